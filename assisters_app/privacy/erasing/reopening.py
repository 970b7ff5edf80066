"""The resurrection guard: a database is held against the erasure ledger before anybody is let in.

    reopen() -> Reopened        brings the database up to the ledger, then stamps it; raises LedgerError
    begin_anew()                a new ledger for a database whose own is lost for good
    back(tx) -> int             how many who were erased are there again: 0, or the promise is broken

In a database that was restored, whoever was erased since is erased again, with the receipt that they have; a closing
asked for since is asked for again, with its own dates; one taken back since is taken back again, so that nobody is
erased who had changed their mind; and everybody signs in anew, and is asked anew for consent, for what had ended or was
withdrawn since would be in force again; links in mails from before end, and so do replacements of lost mailboxes. Keys,
holds, opt-outs and ways to sign in are as they were last decided (`unforgotten`), and what is said with a key is kept
for nobody before they ask for it again. A piece of somebody that came back without their account (one table restored by
hand) is found by its owner and goes as well.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, text
from sqlmodel import col, select

from assisters_app.accounts import recovering
from assisters_app.accounts.tables import Account, MailToken, Organization, Session
from assisters_app.base import jobs, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.ids import new_id
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import Subject
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import backups, ledger, pulse, purge, receipts, remembering, stamp, unforgotten
from assisters_app.privacy.erasing.ledger import BEGUN, ERASED, Entry, LedgerError, Told
from assisters_app.privacy.erasing.tables import Erasure, ErasureReceipt
from assisters_app.privacy.erasing.unforgotten import Replayed
from assisters_app.privacy.rights import requests

LOOK = 100_000  # ids compared with the ledger at one look: a third of a second
FIRST = UUID(int=0)
ONE_AT_A_TIME = 7_236_021  # an advisory lock: two workers that start together do not both replay
# What a worker had in hand when the backup was made nobody has in hand now; as "doing" it would outlive an erasure.
NOBODY_WORKS = text("UPDATE procrastinate_jobs SET status = 'todo', queueing_lock = NULL WHERE status = 'doing'")
REOPENED, LOST = "reopened", "lost"
NOTHING_AGAIN = Replayed()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reopened:
    """What was done to let people in. All is 0 where the database was the one that the ledger knows."""

    restored: bool
    receipts: int = 0  # put back
    taken_back: int = 0  # closings that their person had undone
    closed: int = 0  # closings that are under way again
    erased: int = 0  # people erased again
    pieces: int = 0  # people of whom a piece had come back without their account
    again: Replayed = NOTHING_AGAIN  # what else was brought up to what had been decided since


async def reopen() -> Reopened:
    """Bring the database up to the ledger and stamp it. Killed anywhere, it is shut still, and begins anew."""
    async with transaction() as tx:
        await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ONE_AT_A_TIME})
        entries = await stamp.known(tx)
        restored = not await stamp.is_open(tx) or await _put_back(tx, entries)
        if restored:
            await _shut()
        done = await _replayed(entries) if restored else Reopened(restored=False)
        if not entries:
            await asyncio.to_thread(ledger.append, BEGUN, ledger=ledger.new_identity())
        await remembering.note(tx)
        if restored:
            await _say(done)
        await stamp.write(tx, await asyncio.to_thread(ledger.read))
        await pulse.catch_up(tx)
    await pulse.beat()
    return done


async def _put_back(tx: Tx, entries: tuple[Entry, ...]) -> bool:
    """Return whether a snapshot of the disk was put back, which has the same fingerprint."""
    return await pulse.gone_back(tx) or (not pulse.written() and await stamp.behind(tx, entries))


async def _shut() -> None:
    async with transaction() as tx:
        await stamp.doubt(tx)


async def back(tx: Tx) -> int:
    """Return how many accounts and organizations there are whose erasure the ledger has as begun or carried out.

    An erasure that is being carried out, as its row in this database says, is not counted: it is going.
    """
    known = {handle: told for handle, told in ledger.told(await stamp.known(tx)).items() if told.final}
    going = {str(one.progress.get("receipt")) for one in await tx.exec(select(Erasure).where(_not_done()))}
    gone = _marks(told for handle, told in known.items() if told.receipt or handle not in going)
    if not gone:
        return 0
    mark, found = ledger.marker(), 0
    for column in (col(Account.id), col(Organization.id)):
        ids = await _some(tx, column)
        _seen[str(column)] = {id_ for id_ in ids if mark(id_) in gone}
        found += len(_seen[str(column)])
    return found


async def _some(tx: Tx, column: Any) -> set[UUID]:  # noqa: ANN401 (a column of ids)
    """Return the next ids of a table, after those of the last look; of a table that is not large, all.

    A whole database that is put back is seen otherwise, within seconds (`stamp`, `pulse`). This look is for single rows
    that come back by some other way, and a table of any size is gone through in as many looks as it takes. Whom the
    last look found is looked for again.
    """
    name = str(column)
    after, some = _looked.pop(name, FIRST), select(column).order_by(column)
    ids = set((await tx.exec(some.where(column > after).limit(LOOK))).all())
    if len(ids) == LOOK:
        _looked[name] = max(ids)
    else:  # the end was reached: what is left of this look is for the beginning
        ids |= set((await tx.exec(some.where(column <= after).limit(LOOK - len(ids)))).all())
    return ids | set((await tx.exec(some.where(column.in_(_seen.get(name, set()))))).all())


# Of this process: where its last look ended in a table that it cannot look through at once, and whom it found.
_looked: dict[str, UUID] = {}
_seen: dict[str, set[UUID]] = {}


async def begin_anew() -> None:
    """Begin another ledger and have the database know it; whoever was erased before is not in it.

    Receipts are copied into it, so that they survive. A backup from before must not be restored any more: who was
    erased between the two is not known. What is left of the old ledger is kept beside the new one.
    """
    async with transaction() as tx:
        await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ONE_AT_A_TIME})
        try:
            await stamp.known(tx)
        except LedgerError:
            pass
        else:
            raise LedgerError("The erasure ledger is there, and is the one that this database knows. Nothing was done.")
        await asyncio.to_thread(ledger.put_aside)
        await asyncio.to_thread(ledger.append, LOST)
        for one in await tx.exec(select(ErasureReceipt).order_by(col(ErasureReceipt.number))):
            facts = {"body": one.body, "signature": one.signature, "key": one.public_key}
            await asyncio.to_thread(ledger.append, ERASED, receipt=one.handle, **facts)
        await stamp.write(tx, await asyncio.to_thread(ledger.read))
    await remembering.write_down()


async def _replayed(entries: tuple[Entry, ...]) -> Reopened:
    logger.warning("This database is not the one that the erasure ledger knows: it is held against it first.")
    known = ledger.told(entries)
    async with transaction() as tx:
        await tx.sql(text(f"DROP SCHEMA IF EXISTS {backups.BEFORE} CASCADE"))  # a restore that was killed at its end
        await tx.sql(NOBODY_WORKS)
        put_back = await _put_receipts_back(tx, known.values())
        await tx.sql(delete(Session))
        await tx.sql(delete(MailToken))  # links that were used, or ended with a new password, would open again
        unknown = await stamp.unknown_to(tx, entries)
        again = await unforgotten.replay(tx, unforgotten.told(unknown))  # a hold first, then what it keeps from going
        mark = ledger.marker()
        there = await unforgotten.marked(tx, Account.id, [told.account for told in known.values()])
        accounts = {mark(id_): id_ for id_ in there}
    await consents.forget_after_restore()
    taken_back = closed = erased = 0
    for told in known.values():
        if told.withdrawn:
            taken_back += await _take_back(told)
        elif told.account in accounts and told.final:
            erased += await _erase_again(told, accounts[told.account])
        elif told.account in accounts:
            closed += await _close_again(told, accounts[told.account])
    pieces = await _erase_pieces([told for told in known.values() if told.final])
    async with transaction() as tx:
        await recovering.lapse_all(tx)
    return Reopened(True, put_back, taken_back, closed, erased, pieces, again)


async def _put_receipts_back(tx: Tx, known: Iterable[Told]) -> int:
    count = 0
    for told in known:
        if told.receipt:
            count += await receipts.put_back(tx, told.receipt_handle, **told.receipt)
    return count


async def _take_back(told: Told) -> int:
    async with transaction() as tx:
        erasure = await _erasure(tx, told)
        if erasure is None or erasure.withdrawn_at or erasure.carried_out_at:
            return 0
        erasure.withdrawn_at = now()
        tx.add(erasure)
        await requests.withdraw_deletion(tx, erasure.account_id)
        return 1


async def _close_again(told: Told, account_id: UUID) -> int:
    async with transaction() as tx:
        erasure = await _asked_again(tx, told, account_id)
        if erasure is None:
            return 0
        await purge.stop(tx, account_id, at_once=told.at_once)
        at = None if told.at_once else erasure.carry_out_at
        await jobs.enqueue(tx, "privacy.carry-out", at=at, erasure_id=str(erasure.id))
        return 1


async def _erase_again(told: Told, account_id: UUID) -> int:
    async with transaction() as tx:
        erasure = await _erasure(tx, told) or await _asked_again(tx, told, account_id)
        if erasure is None or erasure.carried_out_at:
            return 0  # only the account came back: it goes as a piece
        erasure.carry_out_at, erasure.withdrawn_at = now(), None
        tx.add(erasure)
        await purge.stop(tx, account_id, at_once=True)
    await purge.carry_out(str(erasure.id), reopening=True)
    return 1


async def _asked_again(tx: Tx, told: Told, account_id: UUID) -> Erasure | None:
    """Return the closing as it was asked for, made anew where the database has forgotten it; None where it has not."""
    if await _erasure(tx, told):
        return None
    asked_at = told.requested_at or now()
    erasure = Erasure(
        account_id=account_id,
        requested_at=asked_at,
        carry_out_at=told.carry_out_at or now(),
        progress={"receipt": told.receipt_handle, "pseudonym": str(uuid4()), "at_once": told.at_once},
    )
    tx.add(erasure)
    await requests.record(tx, "deletion", "dashboard", account_id=account_id, received_at=asked_at)
    trail.write(tx, "account:closed-again", account_id=account_id, receipt=told.receipt_handle)
    await tx.flush()  # what is carried out is looked for in the database
    return erasure


async def _erase_pieces(gone: list[Told]) -> int:
    """Erase what is there of somebody without their account, in any table that says whose its rows are."""
    whose = {told.account: told for told in gone if told.account}
    whose |= {mark: told for told in gone for mark in told.organizations}
    found: dict[str, set[UUID]] = defaultdict(set)
    mark = ledger.marker()
    async with transaction() as tx:
        async for id_ in _owners(tx):
            told = whose.get(mark(id_))
            if told:
                found[told.receipt_handle].add(id_)
    for told in gone:
        if ids := found.get(told.receipt_handle):
            await purge.erase_pieces(_subject(ids, told))
    return len(found)


def _subject(ids: set[UUID], told: Told) -> Subject:
    accounts = [id_ for id_ in ids if ledger.mark_of(id_) == told.account]
    return Subject(
        account_id=accounts[0] if accounts else new_id(),
        email="",
        organization_ids=tuple(ids.difference(accounts)),
        handles=(),
        customer_ids=(),
    )


async def _owners(tx: Tx) -> AsyncIterator[UUID]:
    """Yield every account and organization that any row names as its own, or mentions; some are held at a time."""
    for table, rows in inventory.personal_tables():
        for name in filter(None, (rows.account, rows.organization, *rows.mentions)):
            owners = select(table.c[name]).distinct().execution_options(yield_per=unforgotten.AT_ONCE)
            async for one in (await tx.stream(owners)).scalars():
                if isinstance(one, UUID):
                    yield one


async def _erasure(tx: Tx, told: Told) -> Erasure | None:
    handle = col(Erasure.progress)["receipt"].as_string()
    return (await tx.exec(select(Erasure).where(handle == told.receipt_handle).with_for_update())).first()


def _not_done() -> ColumnElement[bool]:
    return col(Erasure.carried_out_at).is_(None) & col(Erasure.withdrawn_at).is_(None)


def _marks(known: Iterable[Told]) -> set[str]:
    return {mark for told in known for mark in (told.account, *told.organizations) if mark}


async def _say(done: Reopened) -> None:
    counts = {"receipts": done.receipts, "taken_back": done.taken_back, "closed": done.closed}
    counts |= {"erased": done.erased, "pieces": done.pieces, **asdict(done.again)}
    await asyncio.to_thread(ledger.append, REOPENED, **counts)
    logger.warning("The database was held against the erasure ledger: %s.", counts)
