"""The days that `usage_event` is made of: one partition each, created ahead, dropped whole when their time is over.

    create_sql(day) / drop_sql(day)           the statements, for a migration
    ensure(tx, days)                          makes what is missing
    ahead(tx)                                 makes today's and the next days'
    drop_expired(tx) -> list[date]            drops days that the request log's 30 days have passed

A dropped partition is gone at once and leaves no bloat. Rows are deleted one by one only in the day that is just
growing too old (`privacy.retention`, by quarter hours, so that events and tallies stay comparable), and when a person
is erased.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.jobs import job
from assisters_app.base.marks import REQUEST_LOGS

PREFIX = "usage_event_"
AHEAD = timedelta(days=7)  # how far ahead partitions exist, so that a worker may be down for a week
LOCK = 7_236_002  # advisory: one process changes partitions at a time


def name(day: date) -> str:
    """Return the name of a day's partition."""
    return f"{PREFIX}{day:%Y%m%d}"


def create_sql(day: date) -> tuple[str, str]:
    """Return the statements that make a day's partition (UTC) and lock it as every table of ours is locked."""
    after = day + timedelta(days=1)
    return (
        (
            f"CREATE TABLE IF NOT EXISTS {name(day)} PARTITION OF usage_event "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{after} 00:00+00')"
        ),
        f"ALTER TABLE {name(day)} ENABLE ROW LEVEL SECURITY",
    )


def drop_sql(day: date) -> str:
    """Return the statement that drops a day with all its events."""
    return f"DROP TABLE IF EXISTS {name(day)}"


async def ensure(tx: Tx, days: Iterable[date]) -> None:
    """Make the partitions of `days` that do not exist yet."""
    missing = set(days) - set(await existing(tx))
    if not missing:
        return
    await _alone(tx)
    for day in sorted(missing):
        for statement in create_sql(day):
            await (await tx.connection()).execute(text(statement))


async def ahead(tx: Tx) -> None:
    """Make the partitions from today to a week from now."""
    today = now().date()
    await ensure(tx, (today + timedelta(days=n) for n in range(AHEAD.days + 1)))


async def drop_expired(tx: Tx) -> list[date]:
    """Drop the days whose last event is older than the request log may be; return them."""
    period = REQUEST_LOGS.period
    assert period is not None
    oldest_kept = (now() - period).date()
    expired = [day for day in await existing(tx) if day < oldest_kept]
    if expired:
        await _alone(tx)
    for day in expired:
        await (await tx.connection()).execute(text(drop_sql(day)))
    return expired


@job("usage.days", every="10 0 * * *")
async def keep_days() -> None:
    """Make the coming days' partitions and drop those whose 30 days are over."""
    async with transaction() as tx:
        await ahead(tx)
        await drop_expired(tx)


async def existing(tx: Tx) -> list[date]:
    """Return the days that have a partition, the oldest first."""
    listed = await (await tx.connection()).execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'usage_event'::regclass ORDER BY c.relname"
        )
    )
    return [_day(relname) for (relname,) in listed]


def _day(relname: str) -> date:
    return datetime.strptime(relname.removeprefix(PREFIX), "%Y%m%d").replace(tzinfo=UTC).date()


async def _alone(tx: Tx) -> None:
    await (await tx.connection()).execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
