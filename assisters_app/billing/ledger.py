"""The double-entry ledger: every movement of money, written once, adding up to zero.

    post(tx, movement) -> bool                  False when that cause was posted before; nothing is written then
    post_usage(tx, inserted) -> int             what ingest newly inserted, one movement per day, model and price
    sweep(tx, before) -> int                    the policy's 7 years: balances carried forward, old movements deleted

An entry above zero on `wallet` is credit the customer holds. The other accounts mirror it: `stripe` (money that came in
or went back), `bonus` (credit given away), `revenue` (usage), `disputes` (money a bank holds back).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlmodel import col

from assisters_app.base import valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.ids import new_id
from assisters_app.billing.tables import LedgerEntry, LedgerTransaction

Kind = Literal["topup", "bonus", "usage", "refund", "dispute", "adjustment", "carried"]
Book = Literal["wallet", "stripe", "bonus", "revenue", "disputes"]


@dataclass(frozen=True, slots=True)
class Movement:
    """What is to be posted: `legs` in nano-USD add up to zero; `cause` is unique for ever."""

    organization_id: UUID
    kind: Kind
    cause: str
    legs: dict[Book, int]
    model: str | None = None
    price_version: int | None = None
    day: date | None = None


class Used(Protocol):
    """One newly ingested call, as `usage.events.insert` returns it. `cost_nano` is nano-USD under `price_version`."""

    @property
    def request_id(self) -> UUID: ...  # noqa: D102 (the class says what it is)
    @property
    def organization_id(self) -> UUID: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def price_version(self) -> int: ...  # noqa: D102
    @property
    def cost_nano(self) -> int: ...  # noqa: D102


async def post(tx: Tx, movement: Movement) -> bool:
    """Write a movement and tell every process that the wallet changed; False when its cause was posted before.

    Raises ValueError when the legs do not add up to zero or fewer than two of them are not zero.
    """
    posted = await _write(tx, [movement])
    if posted:
        tx.afterwards(partial(valkey.announce, "organization", str(movement.organization_id)))
    return bool(posted)


async def post_usage(tx: Tx, inserted: Iterable[Used]) -> int:
    """Charge newly ingested calls to their wallets; return nano-USD charged.

    One movement for each organization, model, price version and UTC day, named by its first request, so that posting
    the same batch again changes nothing. No process is told: the gateway settled these calls itself.
    """
    batches: dict[tuple[UUID, str, int, date], list[Used]] = defaultdict(list)
    for call in inserted:
        if call.cost_nano:
            batches[call.organization_id, call.model, call.price_version, call.at.astimezone(UTC).date()].append(call)
    movements = [_usage(*key, calls) for key, calls in batches.items()]
    posted = await _write(tx, movements)
    return sum(-movement.legs["wallet"] for movement in posted)


def _usage(organization_id: UUID, model: str, price_version: int, day: date, calls: list[Used]) -> Movement:
    spent = sum(call.cost_nano for call in calls)
    cause = f"usage:{min(call.request_id for call in calls)}"
    return Movement(
        organization_id, "usage", cause, {"wallet": -spent, "revenue": spent}, model, price_version, day
    )  # fmt: skip


async def _write(tx: Tx, movements: list[Movement]) -> list[Movement]:
    for movement in movements:
        _check(movement)
    if not movements:
        return []
    at, rows = now(), {}
    for movement in movements:
        rows[movement.cause] = _transaction(movement, at)
    fresh = insert_or_leave(LedgerTransaction).values(list(rows.values())).on_conflict_do_nothing()
    causes = set((await tx.sql(fresh.returning(col(LedgerTransaction.cause)))).scalars())
    posted = [movement for movement in movements if movement.cause in causes]
    entries = [entry for movement in posted for entry in _entries(movement, rows[movement.cause]["id"], at)]
    if entries:
        await tx.sql(insert(LedgerEntry), entries)
    return posted


def _check(movement: Movement) -> None:
    if sum(movement.legs.values()) or sum(1 for amount in movement.legs.values() if amount) < 2:  # noqa: PLR2004 (two sides)
        raise ValueError(f"The legs of {movement.cause} are not two sides of one movement: {movement.legs}.")


def _transaction(movement: Movement, at: datetime) -> dict[str, object]:
    return {
        "id": new_id(),
        "organization_id": movement.organization_id,
        "kind": movement.kind,
        "cause": movement.cause,
        "model": movement.model,
        "price_version": movement.price_version,
        "day": movement.day,
        "created_at": at,
    }


def _entries(movement: Movement, transaction_id: object, at: datetime) -> list[dict[str, object]]:
    return [
        {
            "id": new_id(),
            "transaction_id": transaction_id,
            "organization_id": movement.organization_id,
            "account": account,
            "amount_nano": amount,
            "created_at": at,
        }
        for account, amount in movement.legs.items()
        if amount
    ]


OLD_BALANCES = text("""
SELECT e.organization_id, e.account, sum(e.amount_nano)::bigint AS amount
FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
WHERE t.created_at < :before AND t.organization_id <> ALL(:kept)
  AND EXISTS (SELECT FROM organization o WHERE o.id = e.organization_id)
GROUP BY e.organization_id, e.account
""")
DROP_ENTRIES = text("""
DELETE FROM ledger_entry e USING ledger_transaction t WHERE t.id = e.transaction_id AND t.created_at < :before
  AND t.organization_id <> ALL(:kept)
""")
DROP_TRANSACTIONS = text("""
WITH gone AS (
  DELETE FROM ledger_transaction WHERE created_at < :before AND organization_id <> ALL(:kept) RETURNING id
) SELECT count(*) FROM gone
""")


async def sweep(tx: Tx, before: datetime, kept: Collection[UUID] = ()) -> int:
    """Delete movements older than `before`, after carrying forward what living organizations hold; return how many.

    Those of organizations in `kept` stay as they are: a legal hold names them.
    """
    which = {"before": before, "kept": list(kept)}
    legs: dict[UUID, dict[Book, int]] = defaultdict(dict)
    for row in await tx.sql(OLD_BALANCES, which):
        legs[row.organization_id][row.account] = row.amount
    carried = [
        Movement(organization_id, "carried", f"carried:{organization_id}:{before.isoformat()}", sides)
        for organization_id, sides in legs.items()
        if any(sides.values())
    ]
    await _write(tx, carried)
    await tx.sql(text("SELECT set_config('assisters.sweep', 'on', true)"))
    await tx.sql(DROP_ENTRIES, which)
    dropped = (await tx.sql(DROP_TRANSACTIONS, which)).scalar_one()
    await tx.sql(text("SELECT set_config('assisters.sweep', 'off', true)"))
    return int(dropped)
