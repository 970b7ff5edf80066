"""Alarms: rows that are older than promised are told of, once, to who can do something about it.

    look(tx) -> tuple[Gauge, …]      raises an alarm for what has become overdue, ends those of what is no more

The policy's page shows the sentence as not currently true at the same moment, to everyone.
"""

import logging

from sqlmodel import col, select

from assisters_app.accounts.rights import holders
from assisters_app.base import jobs, mail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.settings import settings
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.keeping.retention import Gauge
from assisters_app.privacy.keeping.tables import OverdueAlarm

logger = logging.getLogger(__name__)


@jobs.job("privacy.alarms", every="6,16,26,36,46,56 * * * *")
async def look_by_the_clock() -> None:
    """Look, apart from the sweeps: that one of them fails is a reason for an alarm."""
    async with transaction() as tx:
        await look(tx)


async def look(tx: Tx) -> tuple[Gauge, ...]:
    """Raise an alarm for each table that has become overdue, and return those; end the alarms of what is no more."""
    overdue = {gauge.table: gauge for gauge in await retention.gauges(tx) if not gauge.kept}
    unended = select(OverdueAlarm).where(col(OverdueAlarm.ended_at).is_(None)).with_for_update()
    raised = {alarm.table_name: alarm for alarm in await tx.exec(unended)}
    for table in raised.keys() - overdue.keys():
        raised[table].ended_at = now()
        tx.add(raised[table])
    new = tuple(gauge for table, gauge in overdue.items() if table not in raised)
    for gauge in new:
        logger.error("Rows of %s are older than promised (%s): since %s.", gauge.table, gauge.limit, gauge.oldest_at)
        tx.add(OverdueAlarm(table_name=gauge.table, rule=gauge.rule, oldest_at=gauge.oldest_at or now()))
    if new:
        await _tell_staff(tx, new)
    return new


async def _tell_staff(tx: Tx, overdue: tuple[Gauge, ...]) -> None:
    lines = [
        f"{one.title}: at most {one.limit}; the oldest is of {one.oldest_at:%d %B %Y, %H:%M} UTC." for one in overdue
    ]
    message = mail.Message(
        "Data is kept for longer than promised",
        (*lines, "The privacy policy shows the sentence as not currently true until it has gone."),
        ("See what is overdue", f"{settings().public_url}/staff/retention"),
    )
    for staff in await holders(tx, "retention"):
        await mail.send(tx, staff.email, message, account_id=staff.id)
