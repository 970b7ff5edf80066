"""Retention (policy section 4): what has grown too old goes, twice an hour, by the rules that the tables' marks name.

    sweep(tx) -> tuple[Swept, …]          runs every rule over every table; a Sweep row each
    gauges(tx) -> tuple[Gauge, …]         for the public page: the oldest row of each table against its limit

Rows go by age whether or not anybody asks; what erasure missed because it arrived late goes as an orphan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import ColumnElement, Table, and_, delete, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col
from sqlmodel import select as select_rows

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.marks import REQUEST_CONTENT, REQUEST_LOGS, OnErase, Retention, Rows, rows_of
from assisters_app.billing import ledger
from assisters_app.gateway import ingest
from assisters_app.privacy import inventory
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.keeping.tables import Sweep
from assisters_app.privacy.registers import holds
from assisters_app.privacy.registers.holds import Holds
from assisters_app.usage import ddl

LEDGER = ("ledger_entry", "ledger_transaction")
LATE = timedelta(hours=1)  # how much older than promised a row may be found before the promise counts as broken
ARRIVING = timedelta(days=7)  # how long after an erasure something of it could still arrive: a spool of calls, a retry
SETTLED = timedelta(days=1)  # an orphan younger than this may belong to a sign-up still under way

Dropped = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Swept:
    """What one rule did to one table."""

    rule: str
    table: str
    removed: int
    oldest_left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Gauge:
    """The oldest row of a table against its rule. `kept` is false when the promise is not true at the moment."""

    promise: str  # "4.2", or "not stated in the policy"
    rule: str
    limit: str  # "30 days"
    table: str
    title: str
    oldest_at: datetime | None
    kept: bool

    @property
    def begun_at(self) -> datetime | None:
        """Since when its rule counts for the oldest row; None too where no row has come to its end, as of a session."""
        return self.oldest_at if self.oldest_at and self.oldest_at <= now() else None

    @property
    def nothing(self) -> str:
        """Say what stands in place of a date that there is not."""
        return "no rows" if self.oldest_at is None else "none has ended yet"


async def drop(tx: Tx) -> Dropped:
    """Drop the partitions that have grown too old; return how many rows went, by table."""
    held = await holds.before_destroying(tx)
    drops = {ddl.EVENTS: ddl.drop_expired, ddl.RECEIPTS: ddl.drop_expired_receipts}
    return {
        table: 0 if held.keep_all(table) else await drop_expired(tx, held.organization_ids(table))
        for table, drop_expired in drops.items()
    }


async def sweep(tx: Tx, dropped: Dropped | None = None) -> tuple[Swept, ...]:
    """Remove what is too old from every table, and what belongs to nobody any more; write a Sweep for each.

    `dropped` is given by who has dropped the partitions in a transaction of its own, which was over sooner.
    """
    dropped = await drop(tx) if dropped is None else dropped
    held = await holds.before_destroying(tx)
    removed: dict[Table, int] = {}
    erased_lately = await _erased_lately(tx)
    for table in reversed(inventory.all_tables()):  # those that refer before those that are referred to
        rows = rows_of(table)
        removed[table] = await _sweep_orphans(tx, table, rows, held) if erased_lately else 0
        if table.name in dropped:
            removed[table] += dropped[table.name]
        elif rows.retention.ends:
            removed[table] += await _sweep_table(tx, table, rows, held)
    ended = [(table, rows_of(table)) for table in removed if rows_of(table).retention.ends]
    swept = [
        Swept(rows.retention.id, table.name, removed[table], await _oldest(tx, table, rows, held))
        for table, rows in ended
    ]
    for one in swept:
        await _write_down(tx, one)
    return tuple(swept)


async def gauges(tx: Tx) -> tuple[Gauge, ...]:
    """Return the state of every rule that ends, from the last sweep: when sweeping stops, promises turn false."""
    latest = select_rows(Sweep.table_name, Sweep.oldest_left_at).ext(distinct_on(col(Sweep.table_name)))
    found = await tx.exec(latest.order_by(col(Sweep.table_name), col(Sweep.created_at).desc()))
    oldest: dict[str, datetime | None] = dict(found.all())
    held = await holds.in_force(tx)
    gauges = []
    for table in inventory.all_tables():
        if (rows := rows_of(table)).retention.ends:
            swept = table.name in oldest and rows.retention is not REQUEST_CONTENT  # that goes with its keys
            at = oldest[table.name] if swept else await _oldest(tx, table, rows, held)
            gauges.append(_gauge(table, rows, at))
    return tuple(gauges)


@jobs.job("privacy.sweep", every="1,31 * * * *")
async def sweep_by_the_clock() -> None:
    """Drop, then sweep, each in a transaction of its own; then what waits outside the tables to be looked at."""
    async with transaction() as tx:
        dropped = await drop(tx)
    async with transaction() as tx:
        await sweep(tx, dropped)
    await ingest.drop_parked(REQUEST_LOGS.cutoff(now()))


async def _sweep_table(tx: Tx, table: Table, rows: Rows, held: Holds) -> int:
    cutoff = rows.retention.cutoff(now())
    if table.name in LEDGER:  # balances are carried forward, and the entries go with their transaction
        if table.name != "ledger_transaction" or held.keep_all(table.name):
            return 0
        return await ledger.sweep(tx, cutoff, held.organization_ids(table.name))
    return await _delete(tx, table, and_(_too_old(table, rows, cutoff), ~held.keep(table, rows)))


def _too_old(table: Table, rows: Rows, cutoff: datetime) -> ColumnElement[bool]:
    """Return which rows are too old. What refers to a row under the same rule goes with it, not before or after."""
    for key in table.foreign_keys:
        parent = key.column.table
        parent_rows = rows_of(parent)
        if parent is not table and parent_rows.retention == rows.retention:
            return key.parent.in_(select(key.column).where(_too_old(parent, parent_rows, cutoff)))
    return table.c[rows.since] < cutoff


async def _sweep_orphans(tx: Tx, table: Table, rows: Rows, held: Holds) -> int:
    """Delete rows of accounts and organizations that do not exist: records that arrived after their erasure."""
    owner, owners = (rows.account, Account) if rows.account else (rows.organization, Organization)
    if (
        owner is None
        or rows.on_erase is not OnErase.DELETE
        or table.c[owner].foreign_keys
        or table.c[owner].primary_key
    ):
        return 0
    living = select(col(owners.id)).where(col(owners.id) == table.c[owner]).correlate(table)
    settled = table.c[rows.since] < now() - SETTLED
    free = ~held.keep(table, rows)
    return await _delete(tx, table, and_(table.c[owner].is_not(None), settled, ~living.exists(), free))


async def _erased_lately(tx: Tx) -> bool:
    """Return whether there can be orphans at all: looking for them reads whole tables."""
    lately = select_rows(Erasure.id).where(col(Erasure.carried_out_at) > now() - ARRIVING).limit(1)
    return (await tx.exec(lately)).first() is not None


async def _write_down(tx: Tx, swept: Swept) -> None:
    """Keep each table's last sweep, and before it only those that removed something."""
    empty = (col(Sweep.table_name) == swept.table, col(Sweep.removed) == 0)
    await tx.sql(delete(Sweep).where(*empty))
    tx.add(Sweep(rule=swept.rule, table_name=swept.table, removed=swept.removed, oldest_left_at=swept.oldest_left_at))


async def _delete(tx: Tx, table: Table, which: ColumnElement[bool]) -> int:
    return (await tx.sql(delete(table).where(which))).rowcount


async def _oldest(tx: Tx, table: Table, rows: Rows, held: Holds) -> datetime | None:
    """Return how old the oldest row is that no legal hold keeps (policy 2.8: the law may want more than the rule)."""
    question = select(func.min(table.c[rows.since])).where(~held.keep(table, rows))
    if table.name in ddl.COLUMN:  # no index by time: only its oldest day with rows is read
        question = question.where(table.c[rows.since] < await _end_of_first_day(tx, table, rows, held))
    oldest: datetime | None = (await tx.sql(question)).scalar_one()
    return oldest


async def _end_of_first_day(tx: Tx, table: Table, rows: Rows, held: Holds) -> datetime:
    for day in await ddl.existing(tx, table.name):
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        any_row = select(table.c[rows.since]).where(table.c[rows.since] < end, ~held.keep(table, rows)).limit(1)
        if (await tx.sql(any_row)).first():
            return end
    return now()


def _gauge(table: Table, rows: Rows, oldest: datetime | None) -> Gauge:
    rule: Retention = rows.retention
    late = timedelta() if rule is REQUEST_CONTENT else LATE
    kept = oldest is None or oldest >= rule.cutoff(now() - late)
    return Gauge(rule.promise, rule.id, rule.sentence, table.name, rows.title, oldest, kept)
