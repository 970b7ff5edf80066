"""The days that `usage_event` and `usage_receipt` are made of: one partition each, created ahead, dropped whole.

    create_sql(table, day) / drop_sql(table, day)   the statements
    ensure(tx, days)                                makes what is missing
    ahead(tx)                                       makes today's and the next days'
    drop_expired(tx) -> list[date]                  drops days of events that the request log's 30 days have passed
    drop_expired_receipts(tx) -> list[date]         drops days of receipts that have begun longer ago than that

A dropped partition is gone at once and leaves no bloat. Rows are deleted one by one only in the day of events that is
just growing too old (`privacy.retention`, by quarter hours, so that events and tallies stay comparable), and when a
person is erased. A day of receipts goes whole, up to a day before its last event: a chain with a part missing proves
nothing.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.jobs import job
from assisters_app.base.marks import REQUEST_LOGS

EVENTS, RECEIPTS = "usage_event", "usage_receipt"
COLUMN = {EVENTS: "at", RECEIPTS: "begins"}  # what each is partitioned by
AHEAD = timedelta(days=7)  # how far ahead partitions exist, so that a worker may be down for a week
LOCK = 7_236_002  # advisory: one process changes partitions at a time


def name(table: str, day: date) -> str:
    """Return the name of a day's partition."""
    return f"{table}_{day:%Y%m%d}"


def create_sql(table: str, day: date) -> tuple[str, str]:
    """Return the statements that make a day's partition (UTC) and lock it as every table of ours is locked."""
    after = day + timedelta(days=1)
    return (
        (
            f"CREATE TABLE IF NOT EXISTS {name(table, day)} PARTITION OF {table} "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{after} 00:00+00')"
        ),
        f"ALTER TABLE {name(table, day)} ENABLE ROW LEVEL SECURITY",
    )


def drop_sql(table: str, day: date) -> str:
    """Return the statement that drops a day with all that is in it."""
    return f"DROP TABLE IF EXISTS {name(table, day)}"


async def ensure(tx: Tx, days: Iterable[date]) -> None:
    """Make the partitions of `days` that do not exist yet."""
    missing = {(table, day) for day in days for table in COLUMN} - set(await _existing(tx))
    if not missing:
        return
    await _alone(tx)
    for table, day in sorted(missing):
        for statement in create_sql(table, day):
            await (await tx.connection()).execute(text(statement))


async def ahead(tx: Tx) -> None:
    """Make the partitions from today to a week from now."""
    today = now().date()
    await ensure(tx, (today + timedelta(days=n) for n in range(AHEAD.days + 1)))


async def drop_expired(tx: Tx) -> list[date]:
    """Drop the days whose last event is older than the request log may be; return them."""
    return await _drop(tx, EVENTS, REQUEST_LOGS.cutoff(now()).date())


async def drop_expired_receipts(tx: Tx) -> list[date]:
    """Drop the days of receipts of which a part is older than the request log may be; return them."""
    cutoff = REQUEST_LOGS.cutoff(now()) - timedelta(microseconds=1)  # a day that begins at this moment may stay
    return await _drop(tx, RECEIPTS, cutoff.date() + timedelta(days=1))


async def _drop(tx: Tx, table: str, oldest_kept: date) -> list[date]:
    expired = [day for day in await existing(tx, table) if day < oldest_kept]
    if expired:
        await _alone(tx)
    for day in expired:
        await (await tx.connection()).execute(text(drop_sql(table, day)))
    return expired


@job("usage.days", every="10 0 * * *")
async def keep_days() -> None:
    """Make the coming days' partitions and drop those whose 30 days are over."""
    async with transaction() as tx:
        await ahead(tx)
        await drop_expired(tx)
        await drop_expired_receipts(tx)


async def existing(tx: Tx, table: str = EVENTS) -> list[date]:
    """Return the days for which `table` has a partition, the oldest first."""
    return sorted(day for which, day in await _existing(tx) if which == table)


async def _existing(tx: Tx) -> list[tuple[str, date]]:
    listed = await (await tx.connection()).execute(
        text(
            "SELECT i.inhparent::regclass::text, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent IN ('usage_event'::regclass, 'usage_receipt'::regclass) AND c.relkind = 'r'"
        )
    )
    return [(table, _day(table, relname)) for table, relname in listed]


def _day(table: str, relname: str) -> date:
    return datetime.strptime(relname.removeprefix(f"{table}_"), "%Y%m%d").replace(tzinfo=UTC).date()


async def _alone(tx: Tx) -> None:
    await (await tx.connection()).execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
