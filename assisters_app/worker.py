"""The worker: jobs, their timetable, and the ingest of finished calls. Many may run beside each other."""

import asyncio
import logging
import signal

from assisters_app import doors, tables
from assisters_app.accounts import client, resetting, signing_up
from assisters_app.base import jobs, log, mail, marks, memory
from assisters_app.base.settings import SettingsError, settings
from assisters_app.billing import customers, inbox
from assisters_app.gateway import ingest, reaper
from assisters_app.gateway.content import buckets
from assisters_app.keys import warning
from assisters_app.privacy import canary, proving
from assisters_app.privacy.choices import consents, news
from assisters_app.privacy.erasing import (
    backups,
    erasure,
    errands,
    pulse,
    purge,
    remembering,
    reopening,
    unforgotten,
    unproven,
)
from assisters_app.privacy.keeping import alarms, retention, totals
from assisters_app.privacy.policies import telling
from assisters_app.privacy.registers import audits, disclosures, holds, incidents
from assisters_app.ui import tabs
from assisters_app.usage import ddl

logger = logging.getLogger(__name__)

# A job is known once its module is imported; tests/test_worker.py compares these with every `@jobs.job` there is.
# `tabs` brings no job: it is how a purge reaches what the pages keep.
WORK = (
    client,
    resetting,
    signing_up,
    mail,
    customers,
    inbox,
    warning,
    consents,
    news,
    backups,
    erasure,
    errands,
    purge,
    remembering,
    unforgotten,
    unproven,
    retention,
    alarms,
    totals,
    disclosures,
    holds,
    audits,
    canary,
    incidents,
    proving,
    telling,
    buckets,
    tabs,
    ddl,
)

assert tables.metadata.tables, "every table is known before the first job runs"


async def work() -> None:
    """Work until SIGTERM or SIGINT: finish what is in hand, then stop.

    Nothing is begun before the database was held against the erasure ledger; one that is restored meanwhile is held
    against it before the work goes on.
    """
    marks.check()
    memory.settle()
    jobs.keep_schedule()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    while not stop.is_set():
        await reopening.reopen()
        if not await _shift(stop):
            return


async def _shift(stop: asyncio.Event) -> bool:
    """Work until asked to stop; return True when the work ended because the database was restored."""
    end = asyncio.Event()
    queue = jobs.app()
    async with queue.open_async():
        running = [
            asyncio.create_task(queue.run_worker_async(install_signal_handlers=False, concurrency=4), name="jobs"),
            asyncio.create_task(ingest.run_forever(end), name="ingest"),
            asyncio.create_task(reaper.run_forever(end), name="reaper"),
            asyncio.create_task(pulse.run_forever(end), name="pulse"),
        ]
        logger.info("The worker is at work.")
        shut = asyncio.create_task(doors.until_shut(), name="doors")
        await _until(stop, end, [shut, *running])
    return not stop.is_set()


async def _until(stop: asyncio.Event, end: asyncio.Event, running: list[asyncio.Task[None]]) -> None:
    """Wait for `stop`, or for the doors to shut; then set `end` and wait for every part.

    A part that ends by itself ends the worker, so that whoever runs it starts it anew.
    """
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    shut, queue = running[:2]
    if done - {stopping, shut}:
        stop.set()
    end.set()
    stopping.cancel()
    shut.cancel()
    queue.cancel()  # procrastinate lets its jobs finish when it is cancelled
    await asyncio.gather(*running, stopping, return_exceptions=True)
    for task in done - {stopping}:
        task.result()


def main() -> None:
    """Run the worker in this process. Raises SettingsError behind a pooler by transaction.

    It is told of jobs by LISTEN, and its queue asks outside of our transactions: both need a session of its own.
    """
    log.configure()
    if settings().database_pooler == "transaction":
        raise SettingsError(
            "The worker needs a session of the database: give it a DATABASE_URL that leads there directly, or to a "
            "pooler by session (Supabase: port 5432)."
        )
    asyncio.run(work())
