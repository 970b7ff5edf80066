"""How retention stands, for staff: the oldest row per promise, the last sweeps, alarms, keys that were destroyed.

review(tx, staff) -> Review      raises NotFound for anyone else
"""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlmodel import col, select

from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.marks import UNSTATED, rows_of
from assisters_app.gateway.content import buckets
from assisters_app.gateway.content.tables import ContentKeyEnd
from assisters_app.privacy import inventory
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.keeping.retention import Gauge
from assisters_app.privacy.keeping.tables import OverdueAlarm, Sweep
from assisters_app.privacy.registers import holds

SHOWN = 20  # of each list, the newest


@dataclass(frozen=True, slots=True)
class Line:
    """One table against its rule. `held` names the legal holds that keep rows of it for longer."""

    gauge: Gauge
    stated: bool
    held: str


@dataclass(frozen=True, slots=True)
class Run:
    """One sweep of one table that removed something."""

    title: str
    removed: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """One table that was overdue; `ended_at` is None while it is."""

    title: str
    oldest_at: datetime
    raised_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """One key of request content that was destroyed."""

    number: int
    key_of: datetime
    destroyed_at: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class Review:
    """Everything on the page. `chain` is "" where the entries of destroyed keys verify, else what is wrong."""

    lines: tuple[Line, ...]
    runs: tuple[Run, ...]
    alarms: tuple[Alarm, ...]
    key_ends: tuple[KeyEnd, ...]
    chain: str
    swept_at: datetime | None


async def review(tx: Tx, staff: Person) -> Review:
    """Return how retention stands."""
    require(staff, "retention")
    held = await holds.in_force(tx)
    gauges = sorted(await retention.gauges(tx), key=lambda one: (one.kept, one.promise == UNSTATED, one.promise))
    ends, chain = await _key_ends(tx)
    return Review(
        tuple(Line(one, one.promise != UNSTATED, held.names(one.table)) for one in gauges),
        await _runs(tx),
        await _alarms(tx),
        ends,
        chain,
        (await tx.exec(select(Sweep.created_at).order_by(col(Sweep.created_at).desc()).limit(1))).first(),
    )


async def _runs(tx: Tx) -> tuple[Run, ...]:
    titles = _titles()
    asked = select(Sweep).where(col(Sweep.removed) > 0).order_by(col(Sweep.created_at).desc()).limit(SHOWN)
    return tuple(
        Run(titles.get(one.table_name, one.table_name), one.removed, one.created_at) for one in await tx.exec(asked)
    )


async def _alarms(tx: Tx) -> tuple[Alarm, ...]:
    titles = _titles()
    asked = select(OverdueAlarm).order_by(col(OverdueAlarm.raised_at).desc()).limit(SHOWN)
    return tuple(
        Alarm(titles.get(one.table_name, one.table_name), one.oldest_at, one.raised_at, one.ended_at)
        for one in await tx.exec(asked)
    )


async def _key_ends(tx: Tx) -> tuple[tuple[KeyEnd, ...], str]:
    asked = select(ContentKeyEnd).order_by(col(ContentKeyEnd.number).desc()).limit(SHOWN)
    newest = (await tx.exec(asked)).all()
    try:
        buckets.verify(reversed(newest))
    except ValueError as problem:
        return (), str(problem)
    return tuple(_key_end(one) for one in newest), ""


def _key_end(entry: ContentKeyEnd) -> KeyEnd:
    facts = orjson.loads(entry.facts)
    return KeyEnd(entry.number, datetime.fromisoformat(facts["key_of"]), entry.destroyed_at, facts["rows_deleted"])


def _titles() -> dict[str, str]:
    return {table.name: rows_of(table).title for table in inventory.all_tables()}
