"""What a person says about themselves, and its correction (policy 6.2).

    view(tx, person) -> ProfileView
    correct(tx, person, name, time_zone)                      raises Refused: bad_name, bad_time_zone
    request_email_change(tx, person, new_email, client)       raises Refused: reauthenticate, bad_email, same_email,
                                                              too_many
    confirm_email_change(tx, token) -> EmailChange            raises Refused: bad_link, email_taken

A new address counts once its owner followed the link sent to it; the old one is told at both steps. The caller hands
`EmailChange` on to whoever else holds the address (policy 6.2, GDPR Art. 19: the payment processor).
"""

import zoneinfo
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from assisters_app.accounts import emails, links, sessions, signing_up
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.organizations import one_line
from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit, attempt, within
from assisters_app.base import contact, mail, trail
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused

CHANGES = Limit("email-change", 5, timedelta(hours=1))
NOT_YOU = f"If it was not you, choose a new password at once and write to {contact.EMAIL}."
ASKED_FOR = mail.Message(
    "Your e-mail address is about to change",
    (
        "Somebody, hopefully you, asked for your Assisters account to use another e-mail address.",
        "Nothing changes before the link sent there is followed. " + NOT_YOU,
    ),
)
CHANGED = mail.Message(
    "Your e-mail address was changed",
    ("Your Assisters account now uses another e-mail address. This is the last mail to this one.", NOT_YOU),
)
TAKEN = mail.Message(
    "This address has an account already",
    (
        "Somebody asked for their Assisters account to use this address, which is the one of your account.",
        "Nothing was changed. If it was you, sign in with this address instead.",
    ),
)


@dataclass(frozen=True, slots=True)
class ProfileView:
    """What a person has told us. Their other ways to sign in are told by `oauth.methods`."""

    email: str
    name: str
    time_zone: str
    organization_name: str
    has_password: bool
    member_since: datetime


@dataclass(frozen=True, slots=True)
class EmailChange:
    """An address that is no longer an account's, and the one that is."""

    account_id: UUID
    old: str
    new: str


async def view(tx: Tx, person: Person) -> ProfileView:
    """Return what `person` has told us."""
    account = await tx.get_one(Account, person.account_id)
    return ProfileView(
        email=account.email,
        name=account.name,
        time_zone=account.time_zone,
        organization_name=person.organization_name,
        has_password=await identity().has_password(tx, account),
        member_since=account.created_at,
    )


async def correct(tx: Tx, person: Person, name: str, time_zone: str) -> None:
    """Correct the name (it may be empty) and the time zone (an IANA name such as Europe/Paris) of `person`."""
    account = await tx.get_one(Account, person.account_id)
    before = (account.name, account.time_zone)
    account.name, account.time_zone = one_line(name, "name", empty=True), _zone(time_zone)
    if (account.name, account.time_zone) == before:
        return
    tx.add(account)
    await sessions.changed(tx, account.id)
    trail.write(
        tx,
        "account:corrected",
        account_id=account.id,
        actor_id=account.id,
        name=account.name != before[0],
        time_zone=account.time_zone != before[1],
    )


async def request_email_change(tx: Tx, person: Person, new_email: str, client: Client) -> None:
    """Send a link to `new_email`, and a notice to the present address; whose the new one is shows in no answer."""
    require_recent(person)
    new = emails.normalized(new_email)
    if new == person.email:
        raise Refused("That is your address already.", code="same_email", field="email")
    await attempt(CHANGES, str(person.account_id))
    trail.write(tx, "email:change-requested", account_id=person.account_id, actor_id=person.account_id, ip=client.ip)
    await mail.send(tx, person.email, ASKED_FOR, account_id=person.account_id)
    if await within(signing_up.MAILS, new):
        await _ask_the_new_address(tx, person, new)


async def confirm_email_change(tx: Tx, token: str) -> EmailChange:
    """Use up the link that was sent to the new address, which is the account's from now on."""
    followed = await links.follow(tx, token, "email-change")
    account = await tx.get_one(Account, followed.account_id, with_for_update=True)
    change = EmailChange(account.id, account.email, followed.new_email or "")
    if await signing_up.find(tx, change.new) is not None:
        raise Refused("This address has an account by now.", code="email_taken")
    await identity().change_email(tx, account, change.new)
    account.email = change.new
    tx.add(account)
    await links.void(tx, account.id, "reset", "verify")
    await sessions.changed(tx, account.id)
    trail.write(tx, "email:changed", account_id=account.id, actor_id=account.id)
    await mail.send(tx, change.old, CHANGED, account_id=account.id)
    return change


async def _ask_the_new_address(tx: Tx, person: Person, new: str) -> None:
    owner = await signing_up.find(tx, new)
    if owner is not None:
        await mail.send(tx, new, TAKEN, account_id=owner.id)
        return
    message = mail.Message(
        "Confirm your new e-mail address",
        (
            "Follow the link to use this address for your Assisters account. It works once, for a day.",
            "If you have no account with us, somebody mistyped their address: do nothing.",
        ),
        action=("Use this address", await links.link(tx, person.account_id, "email-change", new_email=new)),
    )
    await mail.send(tx, new, message, account_id=person.account_id)


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise Refused("Choose a time zone from the list.", code="bad_time_zone", field="time_zone")
    return name
