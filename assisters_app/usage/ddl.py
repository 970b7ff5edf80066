"""The days that `usage_event` and `usage_receipt` are made of: one partition each, created ahead, dropped whole.

    create_sql(table, day)          the statements that make a day
    ensure(tx, days)                makes what is missing
    make_room(tx, moments)          makes what events of these moments need, however late they come
    ahead(tx)                       makes today's and the next days'
    split_due(tx)                   divides the day of events that is about to grow too old into half hours
    drop_expired(tx, kept)          drops what the request log's 30 days have passed, of events
    drop_expired_receipts(tx, kept) drops days of receipts that have begun longer ago than that

Nothing that grows old is deleted row by row. A day of events that is 29 days old is rewritten as 48 half hours, a
partition each, and each is dropped whole when its last moment is 30 days ago: at most half an hour and a sweep late.
Half hours are whole tallies, so that what is left of events and tallies stays comparable. A day of receipts goes whole,
up to a day before its last event: a chain with a part missing proves nothing. Rows are deleted one by one only when a
person is erased, and where a legal hold keeps one organization's rows while the others' go (`kept`).

Locks: rewriting a day reads it without keeping anybody out; only the exchange of the day for its half hours needs the
table alone. Whoever needs a table alone asks for a moment, steps back when it is not given, and asks again, so that
neither the ingest nor a reader waits behind us for longer than that. Dropping a half hour locks its day only.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.exc import OperationalError

from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.jobs import job
from assisters_app.base.marks import REQUEST_LOGS

EVENTS, RECEIPTS = "usage_event", "usage_receipt"
COLUMN = {EVENTS: "at", RECEIPTS: "begins"}  # what each is partitioned by
AHEAD = timedelta(days=7)  # how far ahead partitions exist, so that a worker may be down for a week
HALF = timedelta(minutes=30)  # what goes at a time: policy 4.2, and an hour is the most that anything may be late
A_DAY = timedelta(days=1)
LOCK = 7_236_002  # advisory: one process changes partitions at a time
A_MOMENT = 250  # milliseconds that we wait for a table; whoever comes after us waits behind us for so long
STEP_BACK = 0.25  # seconds before we ask again
ATTEMPTS = 240  # for two minutes; then the next sweep tries


@dataclass(frozen=True, slots=True)
class Part:
    """One partition that may go: its name, its parent's, and the moment after its last row."""

    name: str
    parent: str
    ends: datetime


def name(table: str, day: date) -> str:
    """Return the name of a day's partition."""
    return f"{table}_{day:%Y%m%d}"


def create_sql(table: str, day: date) -> tuple[str, str]:
    """Return the statements that make a day's partition (UTC) and lock it as every table of ours is locked."""
    return _create_sql(name(table, day), table, _midnight(day), A_DAY)


def _create_sql(made: str, parent: str, begins: datetime, lasts: timedelta) -> tuple[str, str]:
    return (
        f"CREATE TABLE IF NOT EXISTS {made} PARTITION OF {parent} {_bounds(begins, lasts)}",
        f"ALTER TABLE {made} ENABLE ROW LEVEL SECURITY",
    )


def _bounds(begins: datetime, lasts: timedelta) -> str:
    return f"FOR VALUES FROM ('{begins.isoformat()}') TO ('{(begins + lasts).isoformat()}')"


async def ensure(tx: Tx, days: Iterable[date]) -> None:
    """Make the partitions of `days` that do not exist yet."""
    there = {(table, day) for table, day, _ in await _existing(tx)}
    missing = {(table, day) for day in days for table in COLUMN} - there
    if not missing:
        return
    await _alone(tx)
    for table, day in sorted(missing):
        await _run(tx, *create_sql(table, day))


async def make_room(tx: Tx, moments: Iterable[datetime]) -> None:
    """Make the partitions that events of these moments need: also a half hour that was dropped, for one that is late.

    What comes so late is counted like any other, and goes with the next sweep.
    """
    moments = list(moments)
    if not moments:
        return
    first, last = min(moments).astimezone(UTC), max(moments).astimezone(UTC)
    if now() - A_DAY < first and last - first < A_DAY:  # the usual case: no day so young is divided
        await ensure(tx, {first.date(), last.date()})
        return
    moments = {at.astimezone(UTC) for at in moments}
    await ensure(tx, {at.date() for at in moments})
    divided = {day for table, day, whole in await _existing(tx) if table == EVENTS and not whole}
    late = {(at.date(), _half(at)) for at in moments if at.date() in divided}
    there = {part.name for day in divided for part in await _halves(tx, day)}
    missing = {(day, begins) for day, begins in late if _half_name(day, begins) not in there}
    if missing:
        await _alone(tx)
    for day, begins in sorted(missing):
        await _run(tx, *_create_sql(_half_name(day, begins), name(EVENTS, day), begins, HALF))


async def ahead(tx: Tx) -> None:
    """Make the partitions from today to a week from now."""
    today = now().date()
    await ensure(tx, (today + timedelta(days=n) for n in range(AHEAD.days + 1)))


@job("usage.days", every="10 0 * * *")
async def keep_days() -> None:
    """Make the coming days' partitions. What is too old goes with the sweeps, which know of legal holds."""
    async with transaction() as tx:
        await ahead(tx)


async def split_due(tx: Tx) -> list[date]:
    """Divide the days that begin to grow too old within a day, or have begun to; return them.

    A day without a row stays whole, and goes whole.
    """
    await _alone(tx)
    first = REQUEST_LOGS.cutoff(now()).date()
    due = [
        day
        for table, day, whole in await _existing(tx)
        if table == EVENTS and whole and first <= day and _midnight(day) <= REQUEST_LOGS.cutoff(now()) + A_DAY
    ]
    divided = [day for day in sorted(due) if await _any_row(tx, name(EVENTS, day))]
    for day in divided:
        await _split(tx, day)
    return divided


async def _split(tx: Tx, day: date) -> None:
    """Put 48 half hours in the place of a day, with the same rows, while others go on writing and erasing.

    The day is copied first, and only then is the table taken for ourselves; what has changed in between is copied
    again. All of it happens, or nothing: no copy of a row is left anywhere should this fail.
    """
    whole, begins = name(EVENTS, day), _midnight(day)
    halves = f"{whole}_halves"
    inside = f"CHECK (at >= '{begins.isoformat()}' AND at < '{(begins + A_DAY).isoformat()}')"  # spares a reading of it
    await _run(
        tx,
        f"CREATE TABLE {halves} (LIKE {EVENTS} INCLUDING ALL, {inside}) PARTITION BY RANGE (at)",
        f"ALTER TABLE {halves} ENABLE ROW LEVEL SECURITY",
    )
    for n in range(A_DAY // HALF):
        at = begins + n * HALF
        await _run(tx, *_create_sql(_half_name(day, at), halves, at, HALF))
    before = await _versions(tx, whole)
    await _run(tx, f"INSERT INTO {halves} SELECT * FROM {whole}")  # noqa: S608 (names of ours)
    await _take_alone(tx, EVENTS, whole)
    after = await _versions(tx, whole)
    for at in sorted(at for at in before.keys() | after.keys() if before.get(at) != after.get(at)):
        await _run(
            tx,
            f"TRUNCATE {_half_name(day, at)}",
            f"INSERT INTO {_half_name(day, at)} SELECT * FROM {whole} "  # noqa: S608 (as above)
            f"WHERE at >= '{at.isoformat()}' AND at < '{(at + HALF).isoformat()}'",
        )
    await _run(
        tx,
        f"DROP TABLE {whole}",
        f"ALTER TABLE {halves} RENAME TO {whole}",
        f"ALTER TABLE {EVENTS} ATTACH PARTITION {whole} {_bounds(begins, A_DAY)}",
    )


async def _versions(tx: Tx, table: str) -> dict[datetime, tuple[int, int]]:
    """Return, for each half hour, what changes when any of its rows is written, changed or deleted."""
    counted = text(
        "SELECT date_bin('30 minutes', at, '2000-01-01 00:00+00') AS half, count(*) AS rows, "  # noqa: S608 (a name of ours)
        f"bit_xor(hashtextextended(ctid::text || '/' || xmin::text, 0)) AS versions FROM {table} GROUP BY 1"
    )
    return {found.half: (found.rows, found.versions) for found in await tx.sql(counted)}


async def drop_expired(tx: Tx, kept: Collection[UUID] = ()) -> int:
    """Drop the half hours, and days, whose last event is older than the request log may be; return how many rows went.

    Of organizations in `kept` (a legal hold) nothing goes; there the others' rows are deleted instead.
    """
    await split_due(tx)
    cutoff = REQUEST_LOGS.cutoff(now())
    parts = []
    for table, day, whole in await _existing(tx):
        if table == EVENTS and _midnight(day) + A_DAY <= cutoff:
            parts.append(Part(name(EVENTS, day), EVENTS, _midnight(day) + A_DAY))
        elif table == EVENTS and not whole and _midnight(day) < cutoff:
            parts += [part for part in await _halves(tx, day) if part.ends <= cutoff]
    return sum([await _let_go(tx, part, kept) for part in sorted(parts, key=lambda part: part.ends)])


async def drop_expired_receipts(tx: Tx, kept: Collection[UUID] = ()) -> int:
    """Drop the days of receipts of which a part is older than the request log may be; return how many rows went."""
    cutoff = REQUEST_LOGS.cutoff(now())
    expired = [day for day in await existing(tx, RECEIPTS) if _midnight(day) < cutoff]
    parts = [Part(name(RECEIPTS, day), RECEIPTS, _midnight(day) + A_DAY) for day in expired]
    return sum([await _let_go(tx, part, kept) for part in parts])


async def _let_go(tx: Tx, part: Part, kept: Collection[UUID]) -> int:
    await _alone(tx)
    if kept and await _any_row(tx, part.name, kept):
        others = text(f"DELETE FROM {part.name} WHERE organization_id NOT IN :kept")  # noqa: S608 (a name of ours)
        return (await tx.sql(_listing(others), {"kept": list(kept)})).rowcount
    await _take_alone(tx, part.parent, part.name)
    rows: int = (await tx.sql(text(f"SELECT count(*) FROM {part.name}"))).scalar_one()  # noqa: S608 (as above)
    await _run(tx, f"DROP TABLE {part.name}")
    return rows


async def existing(tx: Tx, table: str = EVENTS) -> list[date]:
    """Return the days for which `table` has a partition, the oldest first."""
    return sorted(day for which, day, _ in await _existing(tx) if which == table)


async def _existing(tx: Tx) -> list[tuple[str, date, bool]]:
    """Return each day's table and date, and whether it is whole."""
    listed = await tx.sql(
        text(
            "SELECT i.inhparent::regclass::text AS parent, c.relname AS part, c.relkind = 'r' AS whole "
            "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent IN ('usage_event'::regclass, 'usage_receipt'::regclass) AND c.relkind IN ('r', 'p')"
        )
    )
    return [(found.parent, _day(found.parent, found.part), found.whole) for found in listed]


async def _halves(tx: Tx, day: date) -> list[Part]:
    parent = name(EVENTS, day)
    listed = await tx.sql(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = CAST(:parent AS regclass) AND c.relkind = 'r' ORDER BY 1"
        ),
        {"parent": parent},
    )
    return [Part(half, parent, _half_of(half) + HALF) for (half,) in listed.all()]


def _day(table: str, relname: str) -> date:
    return datetime.strptime(relname.removeprefix(f"{table}_"), "%Y%m%d").replace(tzinfo=UTC).date()


def _half(at: datetime) -> datetime:
    return at.replace(minute=at.minute - at.minute % 30, second=0, microsecond=0)


def _half_name(day: date, begins: datetime) -> str:
    return f"{name(EVENTS, day)}_{begins:%H%M}"


def _half_of(relname: str) -> datetime:
    return datetime.strptime(relname.removeprefix(f"{EVENTS}_"), "%Y%m%d_%H%M").replace(tzinfo=UTC)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def _any_row(tx: Tx, table: str, of: Collection[UUID] = ()) -> bool:
    which = " WHERE organization_id IN :kept" if of else ""
    look = text(f"SELECT EXISTS (SELECT 1 FROM {table}{which})")  # noqa: S608 (a name of ours)
    found = await (tx.sql(_listing(look), {"kept": list(of)}) if of else tx.sql(look))
    return bool(found.scalar_one())


def _listing(statement: TextClause) -> TextClause:
    return statement.bindparams(bindparam("kept", expanding=True))


async def _alone(tx: Tx) -> None:
    await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


async def _take_alone(tx: Tx, *tables: str) -> None:
    """Lock tables for ourselves, the outer one first as everybody does; step back whenever that takes a moment."""
    for attempt in range(ATTEMPTS):
        try:
            async with tx.begin_nested():
                await _run(tx, f"SET LOCAL lock_timeout = {A_MOMENT}")
                for table in tables:
                    await _run(tx, f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
                await _run(tx, "SET LOCAL lock_timeout = 0")
        except OperationalError:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(STEP_BACK)
        else:
            return


async def _run(tx: Tx, *statements: str) -> None:
    for statement in statements:
        await tx.sql(text(statement))
