"""The wallet of a key's organization: what is in it, how it came to be that, and where to top it up. Not billed.

Amounts are US dollars twice: as a decimal text with nine decimals, and as a whole number of nano-dollars.
"""

import re
from datetime import timedelta
from typing import Any, get_args
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
import redis

from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.api.exchange import Exchange
from assisters_app.base import db
from assisters_app.base.errors import Refused
from assisters_app.base.money import exact, from_cents
from assisters_app.billing import topups, wallet
from assisters_app.billing.ledger import Kind
from assisters_app.billing.plans import bonus_cents
from assisters_app.billing.wallet import TransactionRow
from assisters_app.gateway import wallets
from assisters_app.gateway.admission import Unavailable

READ = Limit("api-wallet", 60, timedelta(minutes=1))
ORDER = Limit("api-top-up", 10, timedelta(minutes=1))
KINDS = get_args(Kind)
USUAL, MOST = 20, 100  # transactions of a page

_AMOUNT = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,2}))?", re.ASCII)
_ID = re.compile(r"txn_([0-9a-f]{32})", re.ASCII)


async def balance(exchange: Exchange) -> None:
    """Send what is in the wallet, and what of it may be spent now."""
    grant = await exchange.enter("read")
    await attempt(READ, str(grant.organization_id))
    try:
        found = await wallets.standing(exchange.gate.scripts, grant.organization_id)
    except (redis.RedisError, OSError) as problem:
        raise Unavailable from problem
    body = {
        "object": "wallet.balance",
        "currency": "usd",
        **_money("balance", found.balance),
        **_money("pending", found.unposted),
        **_money("held", found.held),
        **_money("available", found.available),
    }
    await exchange.reply(200, orjson.dumps(body))


async def transactions(exchange: Exchange) -> None:
    """Send one page of what moved, the latest first. `after` is the id of the last one seen."""
    grant = await exchange.enter("read")
    await attempt(READ, str(grant.organization_id))
    asked = dict(parse_qsl(exchange.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    size, after, kind = _size(asked), _after(asked), asked.get("kind")
    if kind is not None and kind not in KINDS:
        raise _wrong("kind", f"must be one of {', '.join(KINDS)}")
    async with db.transaction() as tx:
        rows = await wallet.page(tx, grant.organization_id, size=size + 1, after=after, kind=kind)
    data = [_transaction(row) for row in rows[:size]]
    body = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(rows) > size,
    }
    await exchange.reply(200, orjson.dumps(body))


async def top_up(exchange: Exchange) -> None:
    """Order credit for `amount` dollars; send where to pay for it. Nothing is charged before somebody pays there."""
    grant = await exchange.enter("write")
    cents = _cents((await exchange.json()).get("amount"))
    if grant.mode == "test":
        raise Refused("A test key moves no money. Use a live key.", code="live_key_required", status=403)
    await attempt(ORDER, str(grant.organization_id))
    async with db.transaction() as tx:
        placed = await topups.order(tx, await topups.payer(tx, grant.organization_id), cents)
    body = {
        "object": "wallet.top_up",
        "id": placed.handle,
        "currency": "usd",
        **_money("amount", from_cents(cents)),
        **_money("bonus", from_cents(bonus_cents(cents))),
        "checkout_url": placed.url,
    }
    await exchange.reply(200, orjson.dumps(body))


def _transaction(row: TransactionRow) -> dict[str, Any]:
    return {
        "id": f"txn_{row.id.hex}",
        "object": "wallet.transaction",
        "kind": row.kind,
        "currency": "usd",
        **_money("amount", row.amount_nano),
        "created_at": int(row.at.timestamp()),
        "model": row.model,
        "day": row.day.isoformat() if row.day else None,
    }


def _money(name: str, nano: int) -> dict[str, Any]:
    return {name: exact(nano), f"{name}_nano_usd": nano}


def _cents(given: Any) -> int:  # noqa: ANN401 (any JSON)
    """Return cents for a number of dollars: a whole number, or a text with at most two decimals; never a float."""
    text = str(given) if type(given) is int else given
    found = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise _wrong("amount", 'must be dollars: a whole number such as 25, or a text such as "25.50"')
    return int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))


def _size(asked: dict[str, str]) -> int:
    text = asked.get("limit", str(USUAL))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST):  # noqa: PLR2004 (digits)
        raise _wrong("limit", f"must be from 1 to {MOST}")
    return int(text)


def _after(asked: dict[str, str]) -> UUID | None:
    if "after" not in asked:
        return None
    found = _ID.fullmatch(asked["after"])
    if found is None:
        raise _wrong("after", "must be the id of a transaction")
    return UUID(hex=found[1])


def _wrong(name: str, what: str) -> Refused:
    return Refused(f"`{name}` {what}.", code="invalid_value", field=name)
