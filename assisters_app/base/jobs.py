"""Work for later, enqueued in the transaction that causes it: a job exists exactly when its cause does.

Jobs run at least once (procrastinate on our own PostgreSQL), so every job is written to be repeated. Arguments are ids
and counts, never personal data: they stay in the jobs' table until it is cleaned.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import procrastinate

from assisters_app.base.db import Tx, configure, connect_args
from assisters_app.base.settings import settings

Work = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """A named piece of work. It is tried again `retries` times, waiting 2, 4, 8 … seconds in between."""

    name: str
    work: Work
    retries: int
    every: str | None  # a cron line for work that repeats by itself


_jobs: dict[str, Job] = {}


def job(name: str, *, retries: int = 8, every: str | None = None) -> Callable[[Work], Work]:
    """Register an async function as the work called `name`; with `every` (cron, UTC) it also repeats by itself."""

    def register(work: Work) -> Work:
        _jobs[name] = Job(name, work, retries, every)
        return work

    return register


async def enqueue(tx: Tx, name: str, *, at: datetime | None = None, once: str | None = None, **args: str | int) -> None:
    """Enqueue the work called `name` when `tx` commits; `at` delays it.

    `once` names the work: while a job of that name waits, another one is not added.
    """
    options: dict[str, Any] = {"schedule_at": at} if at else {}
    if once is None:
        await _defer(tx, name, options, args)
        return
    try:
        async with tx.begin_nested():  # the refusal of a second job must not spoil the caller's transaction
            await _defer(tx, name, {**options, "queueing_lock": once}, args)
    except procrastinate.exceptions.AlreadyEnqueued:
        return


async def _defer(tx: Tx, name: str, options: dict[str, Any], args: dict[str, Any]) -> None:
    connection = await tx.connection()  # asked for here, since this is what sets the savepoint of a nested transaction
    raw = (await connection.get_raw_connection()).driver_connection
    await app().configure_task(name, connection=raw, **options).defer_async(**args)


@functools.cache
def app() -> procrastinate.App:
    """Return the queue of this process, with every job registered so far; the worker opens it."""
    connector = procrastinate.PsycopgConnector(
        conninfo=settings().database_url, kwargs=connect_args(), configure=configure, min_size=1, max_size=8
    )
    queue = procrastinate.App(connector=connector)
    for job in _jobs.values():
        retry = procrastinate.RetryStrategy(max_attempts=job.retries, exponential_wait=2)
        queue.task(name=job.name, retry=retry, pass_context=False)(_on_schedule(job.work) if job.every else job.work)
    return queue


def keep_schedule() -> None:
    """Have the worker of this process also begin, by the clock, what repeats by itself; to be called once."""
    queue = app()
    for job in _jobs.values():
        if job.every:
            queue.periodic(cron=job.every)(queue.tasks[job.name])


def _on_schedule(work: Work) -> Work:
    """Accept the timestamp that a periodic task is called with, and that our work has no use for."""

    @functools.wraps(work)
    async def run(timestamp: int = 0) -> None:  # noqa: ARG001 (procrastinate passes it by name)
        await work()

    return run


@job("jobs.restart-stalled", every="* * * * *")
async def restart_stalled() -> None:
    """Give the jobs of a worker that died (no heartbeat for 30 seconds) back to the queue."""
    for stalled in await app().job_manager.get_stalled_jobs():
        await app().job_manager.retry_job(stalled)


async def run_waiting() -> None:
    """Run every job that was enqueued and is due, then return: what tests call instead of waiting for the worker.

    What repeats by the clock is not begun: a test would find other work done at seven minutes past the hour.
    """
    queue = app()
    async with queue.open_async():
        await queue.run_worker_async(
            wait=False, install_signal_handlers=False, listen_notify=False, delete_jobs="successful"
        )
