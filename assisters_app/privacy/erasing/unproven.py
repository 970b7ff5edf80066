"""Accounts whose address nobody ever proved: anybody may have typed it, so they go after 30 days.

The policy states no time for this. Nobody can sign in to such an account, so nobody could have it erased; whoever typed
somebody else's address must not have made us keep it. There is no receipt: it would be mail that nobody asked for.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, or_, select

from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account
from assisters_app.base import jobs, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.marks import rows_of
from assisters_app.privacy import promises
from assisters_app.privacy.belonging import subject_of
from assisters_app.privacy.erasing import purge, remains
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.registers import holds
from assisters_app.privacy.rights.tables import PrivacyRequest

KEPT = timedelta(
    days=30
)  # from signing up; the link that proves the address lasts two days, and can be asked for again
LATE = timedelta(days=2)  # the job runs each night
AT_ONCE = 500  # accounts that are looked up at a time


@jobs.job("privacy.forget-unproven", every="27 4 * * *")
async def forget_unproven() -> None:
    """Erase every account that is 30 days old and that nobody ever came into; one that fails holds up none after it.

    Raises an ExceptionGroup of what went wrong, once it has been through them all.
    """
    found, problems = [UUID(int=0)], list[Exception]()
    while found:
        async with transaction() as tx:
            rest = select(Account.id).where(*await _unproven(tx, KEPT), Account.id > found[-1])
            found = list((await tx.exec(rest.order_by(col(Account.id)).limit(AT_ONCE))).all())
        for account_id in found:
            try:
                await _forget(account_id)
            except Exception as problem:  # noqa: BLE001 (raised below, after the others had their turn)
                problems.append(problem)
    if problems:
        raise ExceptionGroup("Some accounts whose address nobody proved are still there.", problems)


async def _forget(account_id: UUID) -> None:
    """Erase one account, unless somebody has proved its address by now; nobody can while this goes on.

    Of which a legal hold keeps a part waits as it is, for the night after the hold's release.
    """
    async with transaction() as tx:
        still = select(Account).where(Account.id == account_id, *await _unproven(tx, KEPT)).with_for_update()
        account = (await tx.exec(still)).first()
        if account is None:
            return
        subject, elsewhere = await subject_of(tx, account_id), await identity().held_elsewhere(tx, account)
        if not await purge.erase_found(tx, subject, account):
            return
        trail.write(tx, "account:never-proven", account_id=None)
        if elsewhere:
            await identity().forget(elsewhere)  # refused: nothing is committed, and it is tried again
    await remains.forget_in_valkey(subject)


@promises.check("4.1", "1.1", says="An account whose address nobody ever proved is erased after 30 days.")
async def unproven_accounts_go(tx: Tx) -> str:
    """Look for accounts that nobody ever came into and that are still there, but for what waits or has just waited."""
    waiting = select(func.count()).select_from(Account).where(col(Account.verified_at).is_(None))
    held, late, kept = await holds.in_force(tx, since=now() - LATE), 0, 0
    async for account in _each(tx, *await _unproven(tx, KEPT + LATE, free_for=LATE)):
        if await purge.held_rows(tx, await subject_of(tx, account.id), account.email, held):
            kept += 1
        else:
            late += 1
    if late:
        raise promises.Broken(f"{late} accounts should have been erased: nobody ever proved their address.")
    told = f"; {kept} wait for a legal hold on a part of them" * bool(kept)
    return f"{(await tx.exec(waiting)).one()} addresses wait to be proved; none for longer than 30 days{told}."


async def _each(tx: Tx, *which: ColumnElement[bool]) -> AsyncIterator[Account]:
    """Yield the accounts for which all of this holds, by their ids."""
    after = UUID(int=0)
    some = select(Account).where(*which).order_by(col(Account.id)).limit(AT_ONCE)
    while found := (await tx.exec(some.where(col(Account.id) > after))).all():
        for account in found:
            yield account
        after = found[-1].id


async def _unproven(tx: Tx, older: timedelta, *, free_for: timedelta = timedelta(0)) -> tuple[ColumnElement[bool], ...]:
    """Return which accounts go: but for what a legal hold keeps, and what is being erased anyway.

    Whoever wrote to us from that address, and may not be who typed it here, is answered first. What has been kept
    within `free_for` is left out too: its night to go has not come yet.
    """
    table, since = Account.__table__, now() - free_for  # type: ignore[attr-defined]
    held = await holds.in_force(tx, since=since)
    under_way = select(Erasure.id).where(
        col(Erasure.account_id) == col(Account.id),
        col(Erasure.carried_out_at).is_(None),
        or_(col(Erasure.withdrawn_at).is_(None), col(Erasure.withdrawn_at) > since),
    )
    asked = select(PrivacyRequest.id).where(
        or_(col(PrivacyRequest.state) == "open", col(PrivacyRequest.answered_at) > since),
        or_(col(PrivacyRequest.account_id) == col(Account.id), col(PrivacyRequest.email) == col(Account.email)),
    )
    return (
        col(Account.verified_at).is_(None),
        col(Account.created_at) < now() - older,
        ~held.keep(table, rows_of(table)),
        ~under_way.correlate(Account).exists(),
        ~asked.correlate(Account).exists(),
    )
