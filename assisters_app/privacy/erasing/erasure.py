"""Erasure (policy 4.1, 6.3, GDPR Art. 17): an account closed with 30 days to change one's mind, or erased now.

    plan(tx, who) -> Plan                   what goes and what stays, table by table, before anything is decided
    close(tx, who) -> Closing               keys and sessions end at once; carried out when the grace is over
    erase_now(tx, who) -> Closing           the same without grace; nobody can sign in any more
    undo(tx, who)                           during the grace; raises Refused when there is nothing to undo
    pending(tx, account_id) -> Closing | None
    remind()                                a mail some days before the grace ends
    so_far(tx, receipt)                     what has been done already, while it is being carried out; None: it is not

`plan`, `close` and `erase_now` demand a recent proof of identity (Refused code "reauthenticate"). What is decided here
is carried out in `purge`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from assisters_app.accounts import reauthentication
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import jobs, mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.ids import handle
from assisters_app.base.mail import Message
from assisters_app.base.settings import settings
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import subject_of
from assisters_app.privacy.erasing import purge, remembering
from assisters_app.privacy.erasing.purge import Line
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.registers import holds
from assisters_app.privacy.rights import requests

GRACE = timedelta(days=30)  # policy 4.1: time to change one's mind
REMINDED = timedelta(days=5)  # before the grace ends, when a mail says so once more
LATE = timedelta(hours=1)  # after its end, within which an account is erased or the promise counts as broken


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do, counted by doing it as a rehearsal; the receipt counts the same."""

    lines: tuple[Line, ...]
    elsewhere: tuple[str, ...]  # what else is reached, as sentences
    carry_out_at: datetime  # when closing with grace would be carried out

    @property
    def goes(self) -> int:
        """How many rows go altogether."""
        return sum(line.goes for line in self.lines)

    @property
    def stays(self) -> int:
        """How many rows stay, without what leads to the person."""
        return sum(line.stays for line in self.lines)


@dataclass(frozen=True, slots=True)
class Closing:
    """An erasure that was asked for. The receipt's page exists once it has been carried out."""

    requested_at: datetime
    carry_out_at: datetime
    now: bool
    receipt: str


def carry_out_at(requested_at: datetime, *asked_before: datetime) -> datetime:
    """Return when the grace ends: 30 days on, or at the earliest statutory deadline where a short month brings it.

    Whoever had asked for it before, by mail, is not made to wait beyond the deadline of that (`asked_before`).
    """
    return min(requested_at + GRACE, requests.deadlines(requested_at).earliest, *asked_before)


async def plan(tx: Tx, who: Person) -> Plan:
    """Count what would go and what would stay, the records of the erasure itself included."""
    reauthentication.require_recent(who)
    async with tx.rehearsal():
        await erase_now(tx, who)
        subject = await subject_of(tx, who.account_id)
        held = (await holds.in_force(tx)).told()
        lines = [await purge.line(tx, table, rows, subject, held) for table, rows in inventory.personal_tables()]
    counted = tuple(line for line in lines if line.goes or line.stays)
    return Plan(counted, purge.elsewhere(subject), await _end_of_grace(tx, who.account_id))


async def close(tx: Tx, who: Person) -> Closing:
    """Close the account: keys and sessions end now, everything else when the grace is over."""
    reauthentication.require_recent(who)
    if await _waiting(tx, who.account_id):
        raise Refused("Your account is being closed already.", code="closing", status=409)
    ends = await _end_of_grace(tx, who.account_id)
    if ends <= now():
        raise Refused(
            "What you asked for by mail is due now, so that there is no time left to undo it: choose “Erase now”.",
            code="due",
            field="how",
            status=409,
        )
    closing = await _ask(tx, who, ends, at_once=False)
    await mail.send(tx, who.email, _goodbye(closing), account_id=who.account_id)
    return closing


async def erase_now(tx: Tx, who: Person) -> Closing:
    """Erase without grace; an account in its grace may still ask for this."""
    reauthentication.require_recent(who)
    waiting = await _waiting(tx, who.account_id)
    if waiting is None:
        return await _ask(tx, who, now(), at_once=True)
    waiting.carry_out_at = now()
    waiting.progress = {**waiting.progress, "at_once": True}
    tx.add(waiting)
    await purge.stop(tx, who.account_id, at_once=True)
    await jobs.enqueue(tx, "privacy.carry-out", erasure_id=str(waiting.id))
    await remembering.soon(tx)
    return _closing(waiting)


async def undo(tx: Tx, who: Person) -> None:
    """Take a closing back. Its keys stay revoked: new ones are made in a moment."""
    waiting = await _waiting(tx, who.account_id)
    if waiting is None or waiting.progress.get("at_once"):
        raise Refused("There is nothing to undo.", code="not_closing", status=409)
    waiting.withdrawn_at = now()
    tx.add(waiting)
    await requests.withdraw_deletion(tx, who.account_id)
    await remembering.soon(tx)
    trail.write(tx, "account:reopened", account_id=who.account_id, actor_id=who.account_id)


async def pending(tx: Tx, account_id: UUID) -> Closing | None:
    """Return the closing under way for an account, for the banner with the countdown."""
    waiting = (await tx.exec(_under_way(account_id))).first()
    return _closing(waiting) if waiting else None


@jobs.job("privacy.remind-of-erasure", every="17 * * * *")
async def remind() -> None:
    """Mail whoever closed their account that it will be erased in some days, once, while they can still undo it."""
    async with transaction() as tx:
        soon = select(Erasure).where(
            col(Erasure.carry_out_at) > now(),
            col(Erasure.carry_out_at) <= now() + REMINDED,
            col(Erasure.withdrawn_at).is_(None),
            col(Erasure.carried_out_at).is_(None),
        )
        for erasure in (await tx.exec(soon.with_for_update(skip_locked=True))).all():
            if erasure.progress["at_once"] or "reminded_at" in erasure.progress:
                continue
            erasure.progress = {**erasure.progress, "reminded_at": now().isoformat()}
            tx.add(erasure)
            account = await tx.get_one(Account, erasure.account_id)
            await mail.send(tx, account.email, _reminder(_closing(erasure)), account_id=account.id)


async def so_far(tx: Tx, receipt: str) -> tuple[tuple[str, str], ...] | None:
    """Return what has been done already, step by step, for who knows the number of a receipt that is to come.

    None when no such receipt is to come in a moment: its number is unknown, or the grace is not over.
    """
    handle_ = col(Erasure.progress)["receipt"].as_string()
    under_way = (col(Erasure.carried_out_at).is_(None), col(Erasure.withdrawn_at).is_(None))
    erasure = (await tx.exec(select(Erasure).where(handle_ == receipt, *under_way))).first()
    if erasure is None or not erasure.progress["at_once"]:
        return None
    done = erasure.progress.get("elsewhere", {})
    return tuple((name, str(step["outcome"])) for name, step in done.items())


async def _ask(tx: Tx, who: Person, at: datetime, *, at_once: bool) -> Closing:
    if not await requests.deletions_under_way(tx, who.account_id):
        await requests.record(tx, "deletion", "dashboard", account_id=who.account_id)
    receipt = handle("rcp")
    progress = {"receipt": receipt, "pseudonym": str(uuid4()), "at_once": at_once}
    erasure = Erasure(account_id=who.account_id, requested_at=now(), carry_out_at=at, progress=progress)
    tx.add(erasure)
    trail.write(
        tx,
        "account:erasing" if at_once else "account:closed",
        account_id=who.account_id,
        actor_id=who.account_id,
        receipt=receipt,
    )
    await purge.stop(tx, who.account_id, at_once=at_once)
    await jobs.enqueue(tx, "privacy.carry-out", at=None if at_once else at, erasure_id=str(erasure.id))
    await remembering.soon(tx)
    return _closing(erasure)


async def _end_of_grace(tx: Tx, account_id: UUID) -> datetime:
    """Return when a closing of now would be carried out: not later than what they asked for by mail is due."""
    asked = [requests.due(one) for one in await requests.deletions_under_way(tx, account_id)]
    return max(now(), carry_out_at(now(), *asked))


async def _waiting(tx: Tx, account_id: UUID) -> Erasure | None:
    """Return the closing under way, once nobody else decides about this account: two clicks do not make two."""
    await tx.get_one(Account, account_id, with_for_update=True)
    return (await tx.exec(_under_way(account_id))).first()


def _under_way(account_id: UUID) -> SelectOfScalar[Erasure]:
    return select(Erasure).where(
        Erasure.account_id == account_id,
        col(Erasure.withdrawn_at).is_(None),
        col(Erasure.carried_out_at).is_(None),
    )


def _closing(erasure: Erasure) -> Closing:
    progress = erasure.progress
    return Closing(erasure.requested_at, erasure.carry_out_at, bool(progress["at_once"]), str(progress["receipt"]))


def _reminder(closing: Closing) -> Message:
    return Message(
        f"Your account is erased on {closing.carry_out_at:%d %B %Y}",
        (
            f"You closed your account on {closing.requested_at:%d %B %Y}.",
            (
                f"Until {closing.carry_out_at:%d %B %Y, %H:%M} UTC you can still change your mind: sign in and undo "
                "it. After that everything is erased, except for what the law makes us keep, without your name on it."
            ),
            "If that is what you want, there is nothing to do.",
        ),
        ("Keep my account", f"{settings().public_url}/dashboard/privacy/delete"),
    )


def _goodbye(closing: Closing) -> Message:
    return Message(
        "Your account is closed",
        (
            "You closed your account. Your API keys and sign-ins have ended.",
            (
                f"Until {closing.carry_out_at:%d %B %Y, %H:%M} UTC you can sign in and undo this. "
                "After that everything is erased, except for what the law makes us keep, without your name on it."
            ),
        ),
        ("Change your mind", f"{settings().public_url}/dashboard/privacy/delete"),
    )
