"""Somebody has lost the mailbox of their account: two admins give it another one, slowly and in everybody's sight.

    ask(tx, staff, email, new_email, proofs)   one admin, who has seen two proofs; both mailboxes are written to
    confirm(tx, token)                         the new mailbox says that it is theirs
    approve(tx, staff, handle)                 another admin; from then on seven days
    stop(tx, staff, handle)                    any admin; stop_by_link(tx, token): the old mailbox; keep(tx, person):
                                               who is signed in. A new password by a link to the old mailbox stops it
    listed(tx, staff), mine(tx, person)        what is under way, and (for staff) what ended
    lapse_all(tx)                              after a backup was put back: who stopped it since is not known
    let_go(tx, address)                        what would make an address somebody's that is being erased ends
    due(tx) -> Moved | None                    the next whose seven days are over: done, and told to the old mailbox

Nothing changes before the seven days are over, and nobody alone can change it: not an admin, not who has one of the
mailboxes. So neither of the two admins may have been made one by another within seven days. The procedure for people,
and what counts as a proof, is in docs/staff.md. No papers are asked for: only what is needed to remove the doubt (GDPR
Art. 12(6)).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, delete, or_, select

from assisters_app.accounts import corrections, emails, links, roles, sessions, signing_up
from assisters_app.accounts.identity import identity
from assisters_app.accounts.moving import Moved
from assisters_app.accounts.people import masked
from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import holders, is_staff, require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, ExternalIdentity, MailboxRecovery
from assisters_app.base import contact, lasting, mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle as new_handle
from assisters_app.base.settings import settings
from assisters_app.base.tables import TrailEntry

WAIT = timedelta(days=7)  # from the second admin's yes; as long for that yes to come
SHOWN = 50
PROOFS = {
    "key": "A call with a live key of the account, with a word of ours as its User-Agent",
    "invoice": "Number, day and amount of the last two invoices or top-ups",
    "domain": "A word of ours in the DNS of the old address's domain",
    "owner": "A call back by the owner of that domain, at a number that they publish",
}
ENOUGH = 2  # proofs


@dataclass(frozen=True, slots=True)
class Recovery:
    """One recovery. Addresses are masked; `asked_by`, `approved_by` are staff's, "" for whom that is not shown to."""

    handle: str
    account_id: UUID
    old: str
    new: str
    proofs: tuple[str, ...]
    asked_at: datetime
    asked_by: str
    mine: bool  # asked for by who looks: another admin has to approve it
    confirmed_at: datetime | None
    approved_by: str
    due_at: datetime | None
    lapses_at: datetime
    ended_at: datetime | None
    outcome: str


async def ask(tx: Tx, staff: Person, email: str, new_email: str, proofs: Collection[str]) -> Recovery:
    """Begin. Raises NotFound; Refused: reauthenticate, bad_email, few_proofs, of_staff, not_open, email_taken, open.

    `email` is the account's present address, `proofs` are names of PROOFS: two different ones at least.
    """
    require(staff, "recovery")
    require_recent(staff)
    await roles.take_turn(tx, staff)
    account = await _account(tx, emails.normalized(email))
    new = emails.normalized(new_email)
    shown = sorted(set(proofs) & PROOFS.keys())
    if len(shown) < ENOUGH:
        raise Refused("Two different proofs are needed.", code="few_proofs", field="proofs")
    if is_staff(account.role):
        raise Refused("Take their role away first: this is for members.", code="of_staff", field="email")
    if account.suspended_at is not None:
        raise Refused("That account is suspended or closed.", code="not_open", field="email")
    if await signing_up.find(tx, new) is not None:
        raise Refused("The new address has an account already.", code="email_taken", field="new_email")
    if await _open_of(tx, account.id) is not None:
        raise Refused("One is under way for that account.", code="open")
    row = MailboxRecovery(
        handle=new_handle("rec"),
        account_id=account.id,
        new_email=new,
        proofs=" ".join(shown),
        asked_by=staff.account_id,
        created_at=now(),
    )
    tx.add(row)
    await tx.flush()  # two at once: the second finds the first in the database's own index
    _write(tx, "mailbox:asked", row, staff.account_id)
    await mail.send(tx, account.email, await _to_old(tx, row), account_id=account.id)
    await mail.send(tx, new, await _to_new(tx, row), account_id=account.id)
    for admin in await holders(tx, "recovery"):
        if admin.id != staff.account_id:
            await mail.send(tx, admin.email, _to_admins(row), account_id=admin.id)
    return _view(row, account.email, {}, staff.account_id)


async def confirm(tx: Tx, token: str) -> None:
    """Note that whoever reads the new mailbox wants it; raise Refused (bad_link) when nothing waits for that."""
    followed = await links.follow(tx, token, "recovery-new")
    row = await _open_of(tx, followed.account_id)
    if row is None or row.new_email != followed.new_email:
        raise Refused("This link is no longer valid.", code="bad_link")
    row.confirmed_at = now()
    tx.add(row)
    _write(tx, "mailbox:confirmed", row, None)


async def approve(tx: Tx, staff: Person, recovery: str) -> None:
    """Say yes as the second admin.

    Raises NotFound; Refused: reauthenticate, same_admin, new_admin, unconfirmed, approved.
    """
    require(staff, "recovery")
    require_recent(staff)
    await roles.take_turn(tx, staff)
    row = await _named(tx, recovery)
    if row.asked_by == staff.account_id:
        raise Refused("You asked for it: another admin has to look, too.", code="same_admin")
    if await _new_admin(tx, row.asked_by, staff.account_id):
        raise Refused("One of you two has been an admin for less than seven days.", code="new_admin")
    if row.confirmed_at is None:
        raise Refused("The new address has not been confirmed yet.", code="unconfirmed")
    if row.approved_at is not None:
        raise Refused("It was approved already.", code="approved", status=409)
    row.approved_by, row.approved_at, row.due_at = staff.account_id, now(), now() + WAIT
    tx.add(row)
    _write(tx, "mailbox:approved", row, staff.account_id)
    account = await tx.get_one(Account, row.account_id)
    await mail.send(tx, account.email, await _to_old(tx, row), account_id=account.id)


async def stop(tx: Tx, staff: Person, recovery: str) -> None:
    """End it as an admin; raises NotFound where nothing is under way."""
    require(staff, "recovery")
    await _stop(tx, await _named(tx, recovery), staff.account_id)


async def stop_by_link(tx: Tx, token: str) -> None:
    """End it as whoever still reads the old mailbox; raise Refused (bad_link)."""
    followed = await links.follow(tx, token, "recovery-stop")
    row = await _open_of(tx, followed.account_id)
    if row is not None:
        await _stop(tx, row, None)


async def keep(tx: Tx, person: Person) -> None:
    """End it as the person whose account it is, who is signed in; nothing happens where nothing is under way."""
    await end(tx, person.account_id, person.account_id)


async def end(tx: Tx, account_id: UUID, actor_id: UUID | None) -> None:
    """End what is under way for an account: its owner got in by the old mailbox, or moved by themselves."""
    row = await _open_of(tx, account_id)
    if row is not None:
        await _stop(tx, row, actor_id)


async def lapse_all(tx: Tx) -> None:
    """End all that is under way, in a database that was put back: it may have been stopped since."""
    await _lapse(tx)


async def let_go(tx: Tx, address: str) -> None:
    """End what would make `address` somebody's, while its own account is erased; the register keeps the rest."""
    await _lapse(tx, col(MailboxRecovery.new_email) == address)


async def _lapse(tx: Tx, *which: ColumnElement[bool]) -> None:
    """End what is under way and of which all this holds, account by account, as all take their turns."""
    under_way = select(MailboxRecovery.account_id).where(col(MailboxRecovery.ended_at).is_(None), *which)
    for account_id in (await tx.exec(under_way.order_by(col(MailboxRecovery.account_id)))).all():
        row = await _open_of(tx, account_id)
        if row is not None:
            await _stop(tx, row, None, outcome="lapsed")


async def mine(tx: Tx, person: Person) -> Recovery | None:
    """Return what is under way for the account of `person`; who of us does it stays unnamed."""
    row = await _open_of(tx, person.account_id)
    return _view(row, person.email, {}, person.account_id) if row else None


async def listed(tx: Tx, staff: Person) -> tuple[Recovery, ...]:
    """Return what is under way, and what ended, the newest first; each whose it is can read that it was seen."""
    require(staff, "recovery")
    newest = select(MailboxRecovery, Account.email).join(Account, col(Account.id) == MailboxRecovery.account_id)
    first = (col(MailboxRecovery.ended_at).is_not(None), col(MailboxRecovery.id).desc())
    found = (await tx.exec(newest.order_by(*first).limit(SHOWN))).all()
    ids = {one for row, _ in found for one in (row.asked_by, row.approved_by) if one}
    names = dict((await tx.exec(select(Account.id, Account.email).where(col(Account.id).in_(ids)))).all())
    await trail.looked(tx, "mailbox:listed", [row.account_id for row, _ in found], staff.account_id)
    return tuple(_view(row, email, names, staff.account_id) for row, email in found)


async def due(tx: Tx) -> Moved | None:
    """Carry out the next whose time has come, and return whose address changed; None when there is none left.

    One that nobody approved in time lapses. An account that was suspended or closed meanwhile, or that became one of
    staff's, keeps its address.
    """
    for account_id in await _ripe(tx):
        account = await tx.get_one(Account, account_id, with_for_update={"key_share": True})
        row = await _open_of(tx, account_id)
        if row is None or not _is_ripe(row):
            continue  # stopped, or approved, while we waited for our turn
        taken = not row.new_email or await signing_up.find(tx, row.new_email) is not None
        if row.due_at is None or taken or account.suspended_at is not None or is_staff(account.role):
            await _stop(tx, row, None, outcome="lapsed")
            continue
        return await _move(tx, row, account)
    return None


async def _ripe(tx: Tx) -> Sequence[UUID]:
    """Return whose recoveries look as if their time had come; what is true is read in one's turn."""
    waiting = or_(
        col(MailboxRecovery.due_at) <= now(),
        and_(col(MailboxRecovery.due_at).is_(None), col(MailboxRecovery.created_at) <= now() - WAIT),
    )
    ripe = select(MailboxRecovery.account_id).where(col(MailboxRecovery.ended_at).is_(None), waiting)
    return (await tx.exec(ripe.order_by(col(MailboxRecovery.account_id)))).all()  # as all take their turns


def _is_ripe(row: MailboxRecovery) -> bool:
    return (row.due_at or row.created_at + WAIT) <= now()


async def _move(tx: Tx, row: MailboxRecovery, account: Account) -> Moved:
    moved = Moved(account.id, account.email, row.new_email)
    await identity().remove(tx, account)  # whoever has the old mailbox may know the password, too
    account.email = row.new_email
    await tx.exec(delete(ExternalIdentity).where(col(ExternalIdentity.account_id) == account.id))  # and opens these
    tx.add(account)
    await links.void(tx, account.id, *links.LASTING)
    await sessions.end_all(tx, account.id, actor_id=None)
    await lasting.changed(tx, "account", account_id=account.id)
    await corrections.write(tx, account.id, "e-mail address", moved.old, moved.new)
    await corrections.told(tx, account.id, "supabase")  # by `identity()`, just now
    _close(tx, row, "moved")
    _write(tx, "mailbox:replaced", row, None)
    await mail.send(tx, moved.old, _done_to_old(), account_id=account.id)
    welcome = _done_to_new(await links.link(tx, account.id, "reset", lasting=WAIT))
    await mail.send(tx, moved.new, welcome, account_id=account.id)
    return moved


async def _new_admin(tx: Tx, *admins: UUID | None) -> bool:
    """Return whether another admin made one of these an admin lately; the command line is whoever runs the house."""
    lately = select(TrailEntry.id).where(
        TrailEntry.action == roles.GIVEN,
        col(TrailEntry.account_id).in_(admins),
        col(TrailEntry.actor_id).is_not(None),
        col(TrailEntry.created_at) > now() - WAIT,
    )
    return (await tx.exec(lately.limit(1))).first() is not None


async def _stop(tx: Tx, row: MailboxRecovery, actor_id: UUID | None, outcome: str = "stopped") -> None:
    _close(tx, row, outcome)
    await links.void(tx, row.account_id, "recovery-new", "recovery-stop")
    _write(tx, f"mailbox:{outcome}", row, actor_id)
    account = await tx.get_one(Account, row.account_id)
    for address in (account.email, row.new_email):
        await mail.send(tx, address, _stays(), account_id=row.account_id)


def _close(tx: Tx, row: MailboxRecovery, outcome: str) -> None:
    row.ended_at, row.outcome = now(), outcome
    tx.add(row)


def _write(tx: Tx, action: str, row: MailboxRecovery, actor_id: UUID | None) -> None:
    trail.write(tx, action, account_id=row.account_id, actor_id=actor_id, recovery=row.handle)


async def _account(tx: Tx, email: str) -> Account:
    account = (await tx.exec(select(Account).where(Account.email == email).with_for_update(key_share=True))).first()
    if account is None:
        raise NotFound("account")
    return account


async def _open_of(tx: Tx, account_id: UUID) -> MailboxRecovery | None:
    """Return what is under way for an account, in one's turn: the account first, then this, then its links."""
    await links.turn(tx, account_id)
    theirs = (MailboxRecovery.account_id == account_id, col(MailboxRecovery.ended_at).is_(None))
    return (await tx.exec(select(MailboxRecovery).where(*theirs).with_for_update())).first()


async def _named(tx: Tx, recovery: str) -> MailboxRecovery:
    named = select(MailboxRecovery.account_id).where(MailboxRecovery.handle == recovery)
    account_id = (await tx.exec(named)).first()
    row = await _open_of(tx, account_id) if account_id else None
    if row is None or row.handle != recovery:
        raise NotFound("recovery")
    return row


def _view(row: MailboxRecovery, email: str, names: dict[UUID, str], reader: UUID) -> Recovery:
    return Recovery(
        handle=row.handle,
        account_id=row.account_id,
        old=masked(email),
        new=masked(row.new_email),
        proofs=tuple(PROOFS.get(one, one) for one in row.proofs.split()),
        asked_at=row.created_at,
        asked_by=names.get(row.asked_by, "") if row.asked_by else "",
        mine=row.asked_by == reader,
        confirmed_at=row.confirmed_at,
        approved_by=names.get(row.approved_by, "") if row.approved_by else "",
        due_at=row.due_at,
        lapses_at=row.created_at + WAIT,
        ended_at=row.ended_at,
        outcome=row.outcome,
    )


async def _to_old(tx: Tx, row: MailboxRecovery) -> mail.Message:
    when = (
        f"This happens on {row.due_at:%-d %B %Y, %H:%M} UTC, unless it is stopped."
        if row.due_at
        else "Nothing has changed yet. A second person of ours looks at it; after that there are seven more days."
    )
    return mail.Message(
        "Somebody says that they can no longer read this mailbox",
        (
            f"Somebody who says that they are you asked us to use {masked(row.new_email)} for your Assisters account.",
            "They say that they can no longer read the mail that comes here.",
            when,
            f"If you can read this and did not ask for it, stop it with the link, and write to {contact.EMAIL}.",
        ),
        action=("Stop it", await links.link(tx, row.account_id, "recovery-stop")),
    )


async def _to_new(tx: Tx, row: MailboxRecovery) -> mail.Message:
    return mail.Message(
        "Confirm this mailbox for your Assisters account",
        (
            "You asked us for another e-mail address for your account. Follow the link to say that this one is yours.",
            "Then a second person of ours looks at it, and seven days later it counts. The old address is told, too.",
            "If you asked for nothing, do nothing.",
        ),
        action=("This mailbox is mine", await links.link(tx, row.account_id, "recovery-new", new_email=row.new_email)),
    )


def _to_admins(row: MailboxRecovery) -> mail.Message:
    return mail.Message(
        f"{row.handle}: a second admin is needed",
        ("Another admin asked for a new mailbox for an account whose owner has lost theirs. Look at it yourself.",),
        ("Lost mailboxes", f"{settings().public_url}/staff/mailboxes"),
    )


def _stays() -> mail.Message:
    return mail.Message(
        "The address of your account stays as it is",
        ("The change of your Assisters account's e-mail address was stopped, or was not approved in time.",),
    )


def _done_to_old() -> mail.Message:
    return mail.Message(
        "Your account has another e-mail address now",
        (
            "The seven days are over: your Assisters account uses another address. This is the last mail to this one.",
            f"If it was not you, write to {contact.EMAIL} at once.",
        ),
    )


def _done_to_new(address: str) -> mail.Message:
    return mail.Message(
        "This is the address of your account now",
        (
            "Every sign-in has ended. The old password no longer counts, and no other sign-in (GitHub, Google …) does.",
            "Choose a new password with the link: it works once, for seven days.",
        ),
        action=("Choose a password", address),
    )
