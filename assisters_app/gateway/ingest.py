"""Ingest: what was settled becomes events, receipts, tallies and ledger entries, in one transaction, exactly once.

    run_once(wait=…) -> int            takes one batch; returns how many records it dealt with
    run_forever(stop)                  until `stop` is set; what the worker runs
    backlog() -> Backlog               how many records wait, and how many were parked
    behind() -> timedelta              how long the first of those that wait has waited
    drop_parked(before) -> int         forgets records that were parked before then

A record leaves the stream only after the transaction that wrote it has been committed; what a worker took and did not
finish is taken over by another. A record that cannot be written is parked with the reason, never dropped.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import redis
from redis.exceptions import ResponseError
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlmodel import col, select

from assisters_app.accounts.tables import Organization
from assisters_app.base import db
from assisters_app.base.clock import now
from assisters_app.base.valkey import line, valkey
from assisters_app.billing import ledger, receipts
from assisters_app.gateway import replays, wallets
from assisters_app.gateway.scripts import PARKED, RECORDS, Keys, Scripts
from assisters_app.keys import keys
from assisters_app.usage import events
from assisters_app.usage.events import Event

GROUP = "ingest"
BATCH = 2_000  # of 8,000 records: half as much again a second as with 500, a quarter less of processor time
WRITERS = 2  # batches under way at once: while the database writes one, the next is read and its receipts are signed
WAIT = 1.0  # seconds to wait for a first record
ABANDONED = 30.0  # seconds after which a record that a worker took and did not finish is another's
TROUBLE = 2.0  # seconds to wait after the database or Valkey was away
POISON = (DataError, IntegrityError)  # what the database says of a record that it will never take

logger = logging.getLogger(__name__)
_scripts = Scripts()
_me = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the books are behind: records that wait, and records that were parked for a person to look at."""

    waiting: int
    parked: int


@dataclass(frozen=True, slots=True)
class _Record:
    id: str  # its place in the stream
    event: Event


async def run_forever(stop: asyncio.Event) -> None:
    """Take batch after batch until `stop` is set; when the database or Valkey is away, wait and go on."""
    await asyncio.gather(*(_write_on(stop) for _ in range(WRITERS)))


async def _write_on(stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await run_once(wait=WAIT)
        except (SQLAlchemyError, redis.RedisError, OSError):
            logger.exception("The ingest stands still: the database or Valkey is away.")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TROUBLE)


async def run_once(*, wait: float = 0.0) -> int:
    """Write one batch of records; return how many left the stream. `wait` is in seconds, 0 to look only."""
    taken = await _take(wait)
    if not taken:
        return 0
    records = await _understood(taken)
    await _write(records)
    return len(taken)


async def backlog() -> Backlog:
    """Return how many records wait to be written, and how many are parked."""
    return Backlog(await valkey().xlen(RECORDS), await valkey().xlen(PARKED))


async def behind() -> timedelta:
    """Return how far the books, and so the charts, are behind: how long the first waiting record has waited."""
    first: Any = await valkey().xrange(RECORDS, count=1)
    if not first:
        return timedelta(0)
    settled_at = datetime.fromtimestamp(int(first[0][0].partition("-")[0]) / 1000, UTC)
    return max(timedelta(0), now() - settled_at)


async def drop_parked(before: datetime) -> int:
    """Delete records parked before `before`, for they say who called from where; return how many."""
    return int(await valkey().xtrim(PARKED, minid=int(before.timestamp() * 1000), approximate=False))


async def _take(wait: float) -> list[tuple[str, dict[str, str]]]:
    try:
        return await _abandoned() or await _new(wait)
    except ResponseError as problem:
        if "NOGROUP" not in str(problem):
            raise
        with suppress(ResponseError):  # another worker has just made it
            await valkey().xgroup_create(RECORDS, GROUP, id="0", mkstream=True)
        return await _new(wait)


async def _abandoned() -> list[tuple[str, dict[str, str]]]:
    claimed: Any = await valkey().xautoclaim(RECORDS, GROUP, _me, int(ABANDONED * 1000), "0-0", count=BATCH)
    return [(entry, fields) for entry, fields in claimed[1] if fields]


async def _new(wait: float) -> list[tuple[str, dict[str, str]]]:
    """Take what is there over the shared line, which reads faster; else wait for some on a connection of our own."""
    there: Any = await line().ask("XREADGROUP", "GROUP", GROUP, _me, "COUNT", BATCH, "STREAMS", RECORDS, ">")
    if there:
        return [(entry, _fields(told)) for _, entries in there for entry, told in entries]
    if not wait:
        return []
    streams: Any = await valkey().xreadgroup(GROUP, _me, {RECORDS: ">"}, count=BATCH, block=int(wait * 1000))
    return [one for _, entries in streams or () for one in entries]


def _fields(told: Sequence[str]) -> dict[str, str]:
    return dict(zip(told[::2], told[1::2], strict=True))


async def _understood(taken: Iterable[tuple[str, dict[str, str]]]) -> list[_Record]:
    records = []
    for entry, fields in taken:
        try:
            records.append(_Record(entry, Event.from_json(fields.get("record", ""))))
        except ValueError:
            await _park(entry, fields, "unreadable")
    return records


async def _write(records: Sequence[_Record]) -> None:
    """Write records together; when the database refuses them, half by half, until the poisonous one is alone."""
    if not records:
        return
    try:
        gone = await _post([record.event for record in records])
    except POISON as problem:
        if len(records) == 1:
            await _park(records[0].id, {"record": records[0].event.to_json()}, type(problem).__name__)
            return
        middle = len(records) // 2
        await _write(records[:middle])
        await _write(records[middle:])
        return
    await _acknowledge([record for record in records if record.event.organization_id not in gone] if gone else records)
    await _forget(gone)
    await _let_go([record.id for record in records])


async def _post(batch: Sequence[Event]) -> set[UUID]:
    """Write events, tallies, receipts, ledger entries and last uses in one transaction: all of it or none.

    Returns the organizations that are gone. Nothing is written of them: their books closed when they were erased.
    """
    async with db.transaction() as tx:
        named = {event.organization_id for event in batch}
        alive = select(Organization.id).where(col(Organization.id).in_(named)).order_by(col(Organization.id))
        # Held until we commit, so that no purge, which locks the row too, looks past what we are about to write.
        living = (await tx.exec(alive.with_for_update(read=True, key_share=True))).all()
        gone = named.difference(living)
        theirs = [event for event in batch if event.organization_id not in gone] if gone else batch
        new = await events.insert(tx, theirs)
        await receipts.append(tx, new)
        await ledger.post_usage(tx, new)
        await keys.note_use(tx, _last_uses(new))
    return gone


def _last_uses(new: Iterable[Event]) -> dict[UUID, datetime]:
    return {event.key_id: event.at for event in sorted(new, key=attrgetter("at"))}


async def _acknowledge(records: Sequence[_Record]) -> None:
    """Tell the wallets that the ledger has these requests; only then may the records go.

    In this order a death in between only repeats: the records are taken again, found written, and acknowledged.
    """
    posted: dict[UUID, list[str]] = {}
    for record in records:
        if record.event.cost_nano:
            posted.setdefault(record.event.organization_id, []).append(str(record.event.request_id))
    if posted:
        await wallets.publish_all(_scripts, posted)


async def _forget(gone: Iterable[UUID]) -> None:
    """Delete what calls that outlived an erasure have left in Valkey; one that is still open then settles nothing."""
    for organization_id in gone:
        left = Keys.of(organization_id)
        await valkey().delete(left.limits, left.wallet, left.holds, left.unposted)
        await replays.forget(organization_id)


async def _park(entry: str, fields: dict[str, str], reason: str) -> None:
    logger.error("A record could not be written and was parked (%s).", reason, extra={"handle": entry})
    async with valkey().pipeline(transaction=True) as both:
        both.xadd(PARKED, dict([*fields.items(), ("reason", reason), ("from", entry)]))
        both.xack(RECORDS, GROUP, entry)
        both.xdel(RECORDS, entry)
        await both.execute()


async def _let_go(entries: Sequence[str]) -> None:
    """Delete records, then say that they are dealt with: a death in between leaves only names, which Valkey drops."""
    await asyncio.gather(line().ask("XDEL", RECORDS, *entries), line().ask("XACK", RECORDS, GROUP, *entries))
