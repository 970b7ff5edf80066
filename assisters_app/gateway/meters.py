"""Meters in Valkey: what a key or an organization has spent in its windows, rebuilt from PostgreSQL at need.

    fill(scripts, organization_id, key_id, at)      key_id None: the organization's own
    windows(at) -> {Span: "d20261124", …}           what a call that arrived at `at` counts in

A meter holds what the tallies say, what was settled but is not in them yet, and what is held; from then on admission
and settlement keep it. See METER and FILL_METER in gateway/scripts.py.
"""

import asyncio
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from assisters_app.base import db
from assisters_app.base.clock import now
from assisters_app.base.valkey import valkey
from assisters_app.gateway import wallets
from assisters_app.gateway.scripts import FILL_METER, Keys, Scripts
from assisters_app.keys.terms import SPANS, Span, Window

LIFE = timedelta(days=1)  # a meter is rebuilt at least this often
ATTEMPTS = 20  # the books are written to meanwhile, and a reading has to fall between two batches
SKEW = timedelta(minutes=1)  # who fills a meter shortly before midnight does not vouch for the next day

SPENT = text("""
SELECT coalesce(sum(cost_nano), 0)::bigint FROM usage_tally
WHERE organization_id = :organization_id AND bucket >= :begins AND bucket < :ends
  AND (:key_id ::uuid IS NULL OR key_id = :key_id)
""")
WRITTEN = text("""
SELECT e.request_id FROM usage_event e
JOIN unnest(:ids ::uuid[], :costs ::bigint[]) AS unposted(id, cost) ON e.request_id = id AND e.cost_nano = cost
WHERE e.organization_id = :organization_id
""")
SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def windows(at: datetime) -> dict[Span, str]:
    """Return the names of the windows that a call of `at` counts in."""
    around = Window.of(at)
    return {span: _name(span, around) for span in SPANS}


async def fill(scripts: Scripts, organization_id: UUID, key_id: UUID | None, at: datetime) -> None:
    """Fill a meter with the windows of `at` and of now; raise TimeoutError when the books do not stand still.

    Many may ask for the same one at the same moment: in one process the first does it for all.
    """
    name = Keys.of(key_id or organization_id).spent
    filling = _filling.get(name)
    if filling is None:
        filling = _filling[name] = asyncio.create_task(_fill(scripts, organization_id, key_id, at))
        filling.add_done_callback(lambda _: _filling.pop(name, None))
    await asyncio.shield(filling)


_filling: dict[str, asyncio.Task[None]] = {}


async def _fill(scripts: Scripts, organization_id: UUID, key_id: UUID | None, at: datetime) -> None:
    names = Keys.of(organization_id)
    keys = (names.wallet, names.holds, names.unposted, Keys.of(key_id or organization_id).spent)
    for attempt in range(ATTEMPTS):
        reading = await valkey().hget(names.wallet, "reading")  # type: ignore[misc]  # (redis types sync and async as one)
        if reading is None:
            await wallets.publish(scripts, organization_id)
            continue
        since = f"{(now() + SKEW).date():%Y%m%d}"
        sums, written = await _read(organization_id, key_id, at)
        args = (reading, int(LIFE.total_seconds()), str(key_id or ""), since, len(sums) // 3, *sums, *written)
        if await scripts.run(FILL_METER, keys, *args):
            return
        await asyncio.sleep(0.005 * attempt)
    raise TimeoutError


async def _read(organization_id: UUID, key_id: UUID | None, at: datetime) -> tuple[list[str | int], Iterable[str]]:
    """Return {window, its end, spent}… and the unposted requests that are contained in it, all of one snapshot.

    The snapshot is taken before Valkey is asked what is unposted: what is settled after that is not in the snapshot.
    What the reaper has written of a request, at no cost, is not what its own process then told.
    """
    async with db.transaction() as tx:
        await tx.sql(SNAPSHOT)
        sums: list[str | int] = []
        for name, begins, ends in _spans(at):
            whose = {"organization_id": organization_id, "key_id": key_id, "begins": begins, "ends": ends}
            sums += [name, f"{ends:%Y%m%d}", int((await tx.sql(SPENT, whose)).scalar_one())]
        unposted: Any = await valkey().hgetall(Keys.of(organization_id).unposted)  # type: ignore[misc]  # (as above)
        ids, costs = [UUID(one) for one in unposted], [int(one.partition(":")[0]) for one in unposted.values()]
        found = await tx.sql(WRITTEN, {"organization_id": organization_id, "ids": ids, "costs": costs})
        return sums, [str(request_id) for request_id in found.scalars()]


def _spans(at: datetime) -> Iterable[tuple[str, datetime, datetime]]:
    around = (Window.of(at), Window.of(now()))
    spans = {_name(span, one): (one.begins(span), one.ends(span)) for one in around for span in SPANS}
    return [(name, *ends) for name, ends in spans.items()]


def _name(span: Span, around: Window) -> str:
    begin: date = getattr(around, span)[0]
    return f"{span[0]}{begin:%Y%m%d}"
