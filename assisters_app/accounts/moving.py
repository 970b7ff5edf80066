"""Moving to another e-mail address: both addresses say yes, the old one and the new one (policy 6.2).

    ask(tx, person, new_email, client)          raises Refused: reauthenticate, bad_email, same_email, too_many
    confirm(tx, token) -> Moved | None          one address said yes; None while the other has not; raises Refused:
                                                bad_link, email_taken
    pending(tx, person) -> Pending | None       what is under way
    cancel(tx, person)                          end it
    let_go(tx, address)                         end every change to an address that is being erased

Whoever has got into somebody's account, or into one of the two mailboxes, cannot move it alone. The caller hands
`Moved` on to whoever else holds the address (GDPR Art. 19: the payment processor).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, select, update

from assisters_app.accounts import corrections, emails, links, sessions, signing_up
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.people import masked
from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, AddressChange
from assisters_app.accounts.throttling import Limit, attempt, within
from assisters_app.base import contact, lasting, mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused

CHANGES = Limit("email-change", 5, timedelta(hours=1))
NOT_YOU = f"If it was not you, do not follow it: choose a new password at once and write to {contact.EMAIL}."
CHANGED = mail.Message(
    "Your e-mail address was changed",
    (
        "Your Assisters account now uses another e-mail address. This is the last mail to this one.",
        f"If it was not you, write to {contact.EMAIL} at once.",
    ),
)
TAKEN = mail.Message(
    "This address has an account already",
    (
        "Somebody asked for their Assisters account to use this address, which is the one of your account.",
        "Nothing was changed. If it was you, sign in with this address instead.",
    ),
)

ENDED = mail.Message(
    "The change of your e-mail address has ended",
    ("Your Assisters account goes on with this address. If you still want another one, ask for it again.",),
)


@dataclass(frozen=True, slots=True)
class Moved:
    """An address that is no longer an account's, and the one that is."""

    account_id: UUID
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A change under way, and which of the two addresses has said yes."""

    new_email: str
    old_confirmed: bool
    new_confirmed: bool
    until: datetime


async def ask(tx: Tx, person: Person, new_email: str, client: Client) -> None:
    """Send a link to both addresses; whose the new one is shows in no answer. What was asked for before ends."""
    require_recent(person)
    new = emails.normalized(new_email)
    if new == person.email:
        raise Refused("That is your address already.", code="same_email", field="email")
    await attempt(CHANGES, str(person.account_id))
    await _end(tx, person.account_id)
    until = now() + links.LASTING["email-change"]
    tx.add(AddressChange(account_id=person.account_id, new_email=new, expires_at=until))
    trail.write(tx, "email:change-requested", account_id=person.account_id, actor_id=person.account_id, ip=client.ip)
    await mail.send(tx, person.email, await _let_go(tx, person, new), account_id=person.account_id)
    if await within(signing_up.MAILS, new):
        await _ask_the_new_address(tx, person, new)


async def confirm(tx: Tx, token: str) -> Moved | None:
    """Use up the link that was sent to one of the two addresses; once both are used the new one is the account's."""
    followed = await links.follow(tx, token, "email-change", "email-release")
    account = await tx.get_one(Account, followed.account_id, with_for_update=True)
    change = (await tx.exec(select(AddressChange).where(*_open(account.id)).with_for_update())).first()
    if change is None or (followed.purpose == "email-change" and followed.new_email != change.new_email):
        raise Refused("This link is no longer valid. Ask for a new one.", code="bad_link")
    if followed.purpose == "email-release":
        change.old_confirmed_at = now()
    else:
        change.new_confirmed_at = now()
    tx.add(change)
    if not (change.old_confirmed_at and change.new_confirmed_at):
        return None
    change.ended_at = now()
    return await _move(tx, account, change.new_email)


async def pending(tx: Tx, person: Person) -> Pending | None:
    """Return the change of address that `person` has asked for and that is not finished."""
    change = (await tx.exec(select(AddressChange).where(*_open(person.account_id)))).first()
    if change is None:
        return None
    confirmed = (change.old_confirmed_at is not None, change.new_confirmed_at is not None)
    return Pending(change.new_email, *confirmed, change.expires_at)


async def cancel(tx: Tx, person: Person) -> None:
    """End what is under way: both links stop working."""
    await _end(tx, person.account_id)
    trail.write(tx, "email:change-cancelled", account_id=person.account_id, actor_id=person.account_id)


async def let_go(tx: Tx, address: str) -> None:
    """End whatever would make `address` somebody's, while its own account is erased.

    Whoever asked is told that it ended and can ask anew, but not why: that would say who had an account.
    """
    theirs = (col(AddressChange.new_email) == address, *_under_way())
    asking = select(AddressChange.account_id).where(*theirs).order_by(col(AddressChange.account_id))
    for account_id in (await tx.exec(asking)).all():
        await _end(tx, account_id)
        account = await tx.get_one(Account, account_id)
        await mail.send(tx, account.email, ENDED, account_id=account_id)


async def _move(tx: Tx, account: Account, new: str) -> Moved:
    if await signing_up.find(tx, new) is not None:
        raise Refused("This address has an account by now.", code="email_taken")
    moved = Moved(account.id, account.email, new)
    await identity().change_email(tx, account, new)
    account.email = new
    tx.add(account)
    await links.void(tx, account.id, *links.OWN)
    await sessions.changed(tx, account.id)
    await corrections.write(tx, account.id, "e-mail address", moved.old, new)
    await corrections.told(tx, account.id, "supabase")  # by `identity()`, just now
    await lasting.changed(tx, "account", account_id=account.id)
    trail.write(tx, "email:changed", account_id=account.id, actor_id=account.id)
    await mail.send(tx, moved.old, CHANGED, account_id=account.id)
    return moved


async def _end(tx: Tx, account_id: UUID) -> None:
    await links.void(tx, account_id, "email-change", "email-release")
    await tx.exec(update(AddressChange).where(*_open(account_id)).values(ended_at=now()))


async def _let_go(tx: Tx, person: Person, new: str) -> mail.Message:
    return mail.Message(
        "Confirm that your e-mail address is to change",
        (
            f"Somebody, hopefully you, asked for your Assisters account to use {masked(new)} as its e-mail address.",
            "Nothing changes before both addresses have said yes, each by the link sent to it.",
            "Each link works once, for a day.",
            NOT_YOU,
        ),
        action=("Yes, change my address", await links.link(tx, person.account_id, "email-release")),
    )


async def _ask_the_new_address(tx: Tx, person: Person, new: str) -> None:
    owner = await signing_up.find(tx, new)
    if owner is not None:
        await mail.send(tx, new, TAKEN, account_id=owner.id)
        return
    message = mail.Message(
        "Confirm your new e-mail address",
        (
            "Follow the link to use this address for your Assisters account. It works once, for a day.",
            "It counts once your present address has said yes, too: a link was sent there.",
            "If you have no account with us, somebody mistyped their address: do nothing.",
        ),
        action=("Use this address", await links.link(tx, person.account_id, "email-change", new_email=new)),
    )
    await mail.send(tx, new, message, account_id=person.account_id)


def _open(account_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Return which change is under way; one whose address was erased leads nowhere."""
    return (col(AddressChange.new_email) != "", col(AddressChange.account_id) == account_id, *_under_way())


def _under_way() -> tuple[ColumnElement[bool], ...]:
    return (col(AddressChange.ended_at).is_(None), col(AddressChange.expires_at) > now())
