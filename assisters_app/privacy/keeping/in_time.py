"""Whether what is kept is kept no longer than promised: checks of the policy's sections 1 (content), 2.7 and 4."""

from datetime import datetime

from sqlmodel import col, func, select

from assisters_app import tables
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.marks import REQUEST_CONTENT, USAGE_ANALYTICS, mark_of, rows_of
from assisters_app.gateway.content import buckets
from assisters_app.gateway.content.tables import ContentBucket, ContentKeyEnd, RequestContent
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.keeping.tables import UsageTotal
from assisters_app.privacy.keeping.totals import SMALLEST
from assisters_app.privacy.promises import Broken

DIRECT = ("user.contact", "user.name", "user.device", "user.government_id")  # what names a person or their machine
LOOKED_AT = 200  # of the newest rows and entries


@promises.check("4.0", says="Each table has exactly one rule for how long its rows stay, and none is overdue.")
async def each_table_has_a_rule(tx: Tx) -> str:
    """Compare the rules of all tables with the oldest row of each."""
    rules = inventory.kept()
    overdue = [gauge.title for gauge in await retention.gauges(tx) if not gauge.kept]
    if overdue:
        raise Broken(f"Older than its rule allows: {'; '.join(overdue)}.")
    ruled = sum(len(names) for _, names in rules.values())
    if ruled != len(inventory.all_tables()):
        raise Broken(f"{len(inventory.all_tables())} tables, of which {ruled} have a rule.")
    return f"{ruled} tables under {len(rules)} rules; nothing is overdue."


@promises.check("4.2", says="No row of the request log is older than 30 days and an hour.")
async def request_logs_go_in_time(tx: Tx) -> str:
    """Read the gauges of the request log."""
    return await _in_time(tx, "4.2")


@promises.check("4.4", says="No usage analytics are older than 13 calendar months.")
async def usage_analytics_go_in_time(tx: Tx) -> str:
    """Read the gauges of usage analytics."""
    return await _in_time(tx, "4.4")


@promises.check("4.4", "2.7", says="What stays of a month's usage is about ten organizations or more, and names none.")
async def totals_are_of_many(tx: Tx) -> str:
    """Look for a total of few, and for a way from a total to a person."""
    table = tables.metadata.tables[UsageTotal.__tablename__]
    rows = rows_of(table)
    if rows.account or rows.organization or any(mark_of(column).category for column in table.c):
        raise Broken("Totals lead to a person.")
    least, count = (await tx.exec(select(func.min(UsageTotal.organizations), func.count()))).one()
    if least is not None and least < SMALLEST:
        raise Broken(f"A total is made of {least} organizations.")
    return f"{count} totals, each of at least {SMALLEST} organizations."


@promises.check("2.7", says="Usage analytics hold no address, no name, no IP address and no browser.")
async def analytics_name_nobody(tx: Tx) -> str:  # noqa: ARG001 (the marks say it)
    """Read the marks of the analytics' columns."""
    found = [table for table in inventory.all_tables() if rows_of(table).retention is USAGE_ANALYTICS]
    named = [f"{c.table.name}.{c.name}" for table in found for c in table.c if _names_somebody(mark_of(c).category)]
    if named:
        raise Broken(f"Analytics hold {', '.join(named)}.")
    return f"{len(found)} tables of analytics, none with such a column."


@promises.check("4.5", says="No billing record is older than seven years.")
async def billing_records_go_in_time(tx: Tx) -> str:
    """Read the gauges of billing."""
    return await _in_time(tx, "4.5")


@promises.check("4.3", "1.9", says="Content that was kept, and each key that opens it, is less than 24 hours old.")
async def content_ends_within_a_day(tx: Tx) -> str:
    """Compare the oldest content, and the oldest key, with the day they may last."""
    oldest = (await tx.exec(select(func.min(RequestContent.at)))).one()
    _require_young(oldest, "content")
    _require_young((await tx.exec(select(func.min(ContentBucket.begins)))).one(), "a key of content")
    _require_young(buckets.oldest_key(), "a key of content")
    return f"The oldest content is {_age(oldest)} old." if oldest else "No content is kept at the moment."


@promises.check("4.3", says="Each key of content that was destroyed has its signed entry, and none is missing.")
async def destroyed_keys_are_written_down(tx: Tx) -> str:
    """Verify the newest part of the chain."""
    newest = select(ContentKeyEnd).order_by(col(ContentKeyEnd.number).desc()).limit(LOOKED_AT)
    entries = list(reversed((await tx.exec(newest)).all()))
    try:
        buckets.verify(entries)
    except ValueError as problem:
        raise Broken(str(problem)) from None
    return f"{entries[-1].number} keys were destroyed until now." if entries else "No key had to be destroyed yet."


@promises.check(
    "1.9", says="What is said in a call is kept for keys whose owner turned it on, sealed, and for no other."
)
async def content_is_kept_where_asked_for(tx: Tx) -> str:
    """Look whether content stands readable, and for how many keys it is kept."""
    asking = (await tx.exec(select(func.count()).where(col(ApiKey.content_kept_since).is_not(None)))).one()
    newest = select(RequestContent.sealed).order_by(col(RequestContent.bucket).desc()).limit(LOOKED_AT)
    if any(b'"sent"' in sealed for sealed in (await tx.exec(newest)).all()):
        raise Broken("Content stands in the database without a seal.")
    default = tables.metadata.tables["api_key"].c.content_kept_since.default
    if default is not None:
        raise Broken("A new key keeps content without being asked.")
    return f"{asking} keys keep what is said with them for {REQUEST_CONTENT.sentence}; a new key does not."


async def _in_time(tx: Tx, promise: str) -> str:
    found = [gauge for gauge in await retention.gauges(tx) if gauge.promise == promise]
    late = [f"{gauge.title} (since {gauge.oldest_at:%d %B %Y, %H:%M} UTC)" for gauge in found if not gauge.kept]
    if late:
        raise Broken(f"Older than {found[0].limit}: {'; '.join(late)}.")
    oldest = min((gauge.begun_at for gauge in found if gauge.begun_at), default=None)
    return f"{len(found)} tables; the oldest row is {_age(oldest)} old." if oldest else f"{len(found)} tables, no rows."


def _require_young(at: datetime | None, what: str) -> None:
    if at is not None and at + buckets.LIFE < now():
        raise Broken(f"There is {what} that is {_age(at)} old.")


def _age(at: datetime) -> str:
    old = now() - at
    return f"{old.days} days" if old.days > 1 else f"{max(0, old.total_seconds()) / 3600:.1f} hours"


def _names_somebody(category: str | None) -> bool:
    return (category or "").startswith(DIRECT)
