"""What proves that accounts end when they should, that everything of them is reached, and that nobody comes back."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel import select as select_rows

from assisters_app.accounts.tables import Organization
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.tables import LastingChange
from assisters_app.privacy import inventory, processors, promises
from assisters_app.privacy.erasing import backups, ledger, receipts, reopening, stamp
from assisters_app.privacy.erasing.erasure import LATE
from assisters_app.privacy.erasing.tables import Erasure, ErasureErrand
from assisters_app.privacy.promises import Broken

MOST = 100  # receipts whose signatures are verified at each look, the newest first; `doctor` verifies them all
TOLD_LATE = timedelta(hours=2)  # after which a change that the ledger has not been told of breaks the promise
FATES = ("delete", "keep")  # of a table's rows; columns of rows that stay have marks of their own

# How an erasure reaches what each processor of the registry holds of a person.
REACHED = {
    "supabase": "its database is emptied table by table, and the sign-in there is removed",
    "stripe": "the customer is deleted, and transactions are redacted once Stripe lets go of them",
    "vercel": "it passes requests on, and keeps nothing that is found by an account",
    "upstash": "every key and waiting record that names the person is deleted",
    "sentry": "nothing that identifies anybody is sent there",
}


@promises.check("4.1", says="Every closed account is erased within an hour of the end of its grace.")
async def closed_accounts_are_erased_in_time(tx: Tx) -> str:
    """Look for erasures that are due and were not carried out; what a legal hold keeps waits for its release."""
    waiting = (
        await tx.exec(
            select_rows(Erasure.carry_out_at, Erasure.progress).where(
                col(Erasure.carried_out_at).is_(None), col(Erasure.withdrawn_at).is_(None)
            )
        )
    ).all()
    late = [at for at, progress in waiting if at < now() - LATE and not progress.get("held")]
    if late:
        raise Broken(f"{len(late)} closed accounts should have been erased by now.")
    return f"{len(waiting)} accounts are closed and have not been erased yet; none is late."


@promises.check("4.1", "6.3", says="Nobody who was erased is back, as a restored backup could bring them.")
async def nobody_erased_is_back(tx: Tx) -> str:
    """Hold the accounts and organizations against the ledger that is kept outside the database, 100,000 at a look."""
    if not await stamp.is_open(tx):
        raise Broken("The database was restored and has not been held against the erasure ledger yet.")
    try:
        back = await reopening.back(tx)
    except ledger.LedgerError:
        raise Broken("The erasure ledger is damaged or missing.") from None
    if back:
        raise Broken(f"{back} accounts or organizations are there again that were erased.")
    lines = len(await asyncio.to_thread(ledger.read))
    living = (await tx.sql(select(func.count()).select_from(Organization))).scalar_one()
    return (
        f"{living} organizations and their owners compared with {lines} lines of the erasure ledger: none was erased."
    )


@promises.check("4.1", says="No backup is older than 30 days: what was erased is then in none of them.")
async def backups_are_young(tx: Tx) -> str:  # noqa: ARG001 (every check is given one)
    """Read when each backup was made, and of which days the ledger has keys."""
    kept = await asyncio.to_thread(backups.kept)
    if old := [one for one in kept if now() - one.made_at > backups.KEPT + backups.LATE]:
        raise Broken(f"{len(old)} backups are older than 30 days.")
    if lying := await asyncio.to_thread(ledger.old_keys, now() - ledger.LATE):
        raise Broken(f"{len(lying)} keys of the erasure ledger outlived every backup that could need them.")
    return f"{len(kept)} backups, the oldest of {min(one.made_at for one in kept):%d %B}." if kept else "No backups."


@promises.check("6.3", "11.3", says="Each erasure gave a signed receipt, and each receipt follows the one before it.")
async def receipts_hang_together(tx: Tx) -> str:
    """Verify the newest receipts, and compare their number with the erasures carried out."""
    newest = await receipts.newest(tx, MOST)
    try:
        receipts.verify_links(newest)
    except receipts.NotGenuine as problem:
        raise Broken(str(problem)) from None
    done = await tx.exec(select_rows(Erasure.progress).where(col(Erasure.carried_out_at).is_not(None)))
    handles = {str(progress["receipt"]) for progress in done if "receipt" in progress}
    if missing := len(handles - await receipts.handles(tx)):
        raise Broken(f"{missing} erasures were carried out without a receipt.")
    return f"{len(handles)} erasures on record, each with its receipt; the newest {len(newest)} verify."


@promises.check("6.3", "11.3", says="An erasure reaches every table, and every company that receives data.")
async def erasure_reaches_everything(tx: Tx) -> str:
    """Read the marks and the registry; then look for what should have been done at a company by now and was not."""
    if unknown := [one.name for one in processors.PROCESSORS if one.id not in REACHED]:
        raise Broken(f"Nobody has said how an erasure reaches {', '.join(unknown)}.")
    fateless = [entry.name for entry in inventory.inventory() if entry.personal and entry.on_erase not in FATES]
    if fateless:
        raise Broken(f"Nobody has said what an erasure does to {', '.join(fateless)}.")
    late = select(func.count()).where(
        col(ErasureErrand.finished_at).is_(None), col(ErasureErrand.promised_for) < now() - LATE
    )
    if count := (await tx.sql(late)).scalar_one():
        raise Broken(f"At {count} companies something should have been erased by now.")
    tables = sum(entry.personal for entry in inventory.inventory())
    return f"{tables} tables and {len(REACHED)} companies; nothing that was promised for a day is late."


@promises.check("5.3", "5.5", "6.5", says="What people and staff decided is kept where no restored backup can undo it.")
async def decisions_outlive_a_backup(tx: Tx) -> str:
    """Look for changes that the ledger outside the database should have been told of by now."""
    oldest = (await tx.sql(select(func.min(LastingChange.created_at)))).scalar_one()
    if oldest is not None and oldest < now() - TOLD_LATE:
        raise Broken(f"Since {oldest:%d %B, %H:%M} UTC the ledger has not been told what was decided.")
    return "Ended keys, opt-outs, holds and changed sign-ins are all in the ledger outside the database."
