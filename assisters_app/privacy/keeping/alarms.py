"""Alarms: when rows were older than promised, and until when. The log has each as an error, once.

    look(tx) -> tuple[Gauge, …]      raises an alarm for what has become overdue, ends those of what is no more

Staff is mailed by the check of the promise (4.0), as of every promise that breaks; the policy's page turns red with it.
"""

import logging

from sqlmodel import col, select

from assisters_app.base import jobs
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
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
    return new
