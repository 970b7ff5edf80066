"""What the ledger is told: that an erasure was asked for or taken back, is about to destroy, and has been carried out.

    note(tx)                                 writes down whatever the database knows and the ledger does not
    about_to_destroy(tx, erasure, subject)   before the first row goes
    was_taken_back(tx, erasure) -> bool      whether nothing may go, whatever the database says

The worker writes, so that one directory holds it all, however many serve the pages. What one has asked for is written
down by a job of the same transaction, and again each hour: a line that is there already is not written twice.
"""

import asyncio
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from assisters_app.base import jobs
from assisters_app.base.db import Tx, transaction
from assisters_app.privacy.belonging import Subject
from assisters_app.privacy.erasing import ledger, pulse, stamp
from assisters_app.privacy.erasing.ledger import ASKED, ERASED, ERASING, WITHDRAWN, Told
from assisters_app.privacy.erasing.tables import Erasure, ErasureReceipt


async def soon(tx: Tx) -> None:
    """Have the worker write down what `tx` decides, once it commits."""
    await jobs.enqueue(tx, "privacy.write-ledger", once="write-ledger")


@jobs.job("privacy.write-ledger", every="37 * * * *")
async def write_down() -> None:
    """Write down what the ledger does not know yet."""
    async with transaction() as tx:
        await note(tx)


async def note(tx: Tx) -> None:
    """Write down every erasure asked for, taken back or carried out of which the ledger does not know.

    Nothing that it knows is ever taken back: in a database that somebody has just restored, less is known than there.
    """
    await pulse.beat()  # first: a database that has gone back is shut, and learns of no line before it was told of it
    is_open = await stamp.is_open(tx)
    known = ledger.told(await stamp.known(tx))
    not_done = select(Erasure).where(col(Erasure.carried_out_at).is_(None)).order_by(col(Erasure.requested_at))
    for erasure in (await tx.exec(not_done)).all():
        told = known.get(str(erasure.progress.get("receipt")))
        if not (told and (told.withdrawn or told.final)):
            await _note_asked(erasure, told)
    written = [handle for handle, told in known.items() if told.receipt]
    receipts = select(ErasureReceipt).where(col(ErasureReceipt.handle).not_in(written))
    for receipt in (await tx.exec(receipts.order_by(col(ErasureReceipt.number)))).all():
        await _append(
            ERASED,
            receipt=receipt.handle,
            body=receipt.body,
            signature=receipt.signature,
            key=receipt.public_key,
        )
    await _stamp(tx, is_open=is_open)


async def about_to_destroy(tx: Tx, erasure: Erasure, subject: Subject) -> None:
    """Write down whose data are about to be destroyed; a repeated purge does not write it again."""
    is_open, handle = await stamp.is_open(tx), str(erasure.progress["receipt"])
    told = ledger.told(await stamp.known(tx)).get(handle)
    if told is None or not told.final:
        await _append(
            ERASING,
            receipt=handle,
            account=ledger.mark_of(subject.account_id),
            organizations=sorted(map(ledger.mark_of, subject.organization_ids)),
        )
        await _stamp(tx, is_open=is_open)


async def was_taken_back(tx: Tx, erasure: Erasure) -> bool:
    """Return whether the ledger has it that the person changed their mind, which a backup may have forgotten."""
    told = ledger.told(await stamp.known(tx)).get(str(erasure.progress["receipt"]))
    return told is not None and told.withdrawn


async def _note_asked(erasure: Erasure, told: Told | None) -> None:
    handle, at_once = str(erasure.progress["receipt"]), bool(erasure.progress["at_once"])
    if erasure.withdrawn_at:
        if told:
            await _append(WITHDRAWN, receipt=handle)
        return
    if told is None or told.carry_out_at is None or _sooner(erasure.carry_out_at, told):
        await _append(
            ASKED,
            receipt=handle,
            account=ledger.mark_of(erasure.account_id),
            requested_at=erasure.requested_at.isoformat(),
            carry_out_at=erasure.carry_out_at.isoformat(),
            at_once=at_once,
        )


def _sooner(at: datetime, told: Told) -> bool:
    return told.carry_out_at is not None and at < told.carry_out_at


async def _stamp(tx: Tx, *, is_open: bool) -> None:
    """Have the database know the ledger's new end; one that has yet to be held against the ledger does not learn it."""
    entries = await asyncio.to_thread(ledger.read)
    if is_open and entries:
        await stamp.write(tx, entries, while_open=True)


async def _append(what: str, **facts: Any) -> None:  # noqa: ANN401 (what goes into JSON)
    await pulse.beat()  # first: a database from before this line shows that it is
    await asyncio.to_thread(ledger.append, what, **facts)
