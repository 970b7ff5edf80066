"""Rights that somebody asks for by mail (policy 6.6), carried out by a link to the account's own mailbox.

    offer(tx, staff, handle)                staff sends the link that does what the request asks for
    unsubscribe(tx, staff, handle)          opts out whoever asked for that; no proof is wanted (11 CCR §7060(b))

    asked(tx, token) -> Offer               what a link stands for; nothing is done yet: programs follow links in mail
    take_copy(tx, token) -> Copy, Secret    the copy to read
    take_export(tx, token) -> Export, …     the export, to be streamed
    correct(tx, token, Wanted(…), client)   name and organization at once, the address once both mailboxes said yes
    moved(tx, account_id)                   they have: what asked for it is met
    erase(tx, token, later=…) -> Closing    closes the account, or erases it now

Whoever reads the account's mailbox can choose a new password with it, so a link there proves as much as signing in
does: nobody has to, and who is suspended, or has lost their password, has their rights all the same. A link is used up
by what it does, and ends after a day, with the next one, with a new password and with a new address. A download that
broke off is begun again with the secret that the browser got in exchange. Staff never sees what a link gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, cast
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts import links, moving, organizations, profile, sessions
from assisters_app.accounts.client import Client
from assisters_app.accounts.links import Followed
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import mail, trail
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.secrets import Secret
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy.choices import consents, opting_out, suppressions
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.erasing.erasure import Closing
from assisters_app.privacy.rights import access, desk, export, requests
from assisters_app.privacy.rights.access import Copy
from assisters_app.privacy.rights.export import Export
from assisters_app.privacy.rights.tables import PrivacyRequest

Right = Literal["access", "export", "correction", "deletion"]
LASTING = links.LASTING["access"]  # of every link here
AGAIN = timedelta(minutes=10)  # after a download has begun, in which the same browser may begin it again
SENT = "request:link-sent"
MOVING = "request:address-asked"  # by the link: met once both mailboxes have said yes
DONE: dict[Right, str] = {
    "access": "You took the copy by the link that we mailed",
    "export": "You took the export by the link that we mailed",
    "correction": "You corrected it by the link that we mailed",
    "deletion": "",  # the erasure says it, with the number of its receipt
}
SUBJECTS: dict[Right, str] = {
    "access": "Your copy is ready",
    "export": "Your export is ready",
    "correction": "Correct what is wrong",
    "deletion": "Confirm that your account is to be erased",
}

ACTIONS: dict[Right, str] = {
    "access": "Get your copy",
    "export": "Get your export",
    "correction": "Correct it",
    "deletion": "Erase my account",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a link stands for. `address` is shortened; `suspended` people cannot come back to undo, so they erase.

    `name` and `organization` are what can be corrected, "" where the link is for something else.
    """

    right: Right
    address: str
    suspended: bool
    name: str = ""
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How it should be. `email` is "" where the address stays."""

    name: str
    organization: str
    email: str


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was changed, in words, and the address that both mailboxes are asked about ("": none)."""

    done: tuple[str, ...]
    asked: str


async def offer(tx: Tx, staff: Person, request_handle: str) -> None:
    """Mail the link that does what an open request asks for. Raises NotFound, Refused (no_account, not_by_link)."""
    request = await desk.open_request(tx, staff, request_handle)
    if request.kind not in DONE:
        raise Refused("That is not done by a link.", code="not_by_link", status=409)
    account = await tx.get(Account, request.account_id) if request.account_id else None
    if account is None:
        raise Refused("Nobody has an account with that address.", code="no_account", status=409)
    right = request.kind
    address = await links.link(tx, account.id, right)
    desk.note(tx, staff, SENT, request)
    await mail.send(tx, account.email, _letter(request, right, address), account_id=account.id)


async def unsubscribe(tx: Tx, staff: Person, request_handle: str) -> None:
    """Opt out of marketing whoever asked for it by mail, and answer them. Raises NotFound, Refused (not_by_link)."""
    request = await desk.open_request(tx, staff, request_handle)
    if request.kind != "opt-out":
        raise Refused("That request is not about marketing.", code="not_by_link", status=409)
    account = await tx.get(Account, request.account_id) if request.account_id else None
    email = account.email if account else request.email or ""
    await suppressions.suppress(tx, email)
    if account:
        await consents.withdraw(tx, account.id, "marketing", "request-by-mail")
    await requests.answer(tx, staff, request_handle, "done", f"{opting_out.shortened(email)} gets no more news from us")


async def asked(tx: Tx, token: str) -> Offer:
    """Return what a link stands for; raise Refused (bad_link) when it is unknown, over, or used."""
    followed = await links.look(tx, token, *DONE)
    account = await tx.get_one(Account, followed.account_id)
    right = cast("Right", followed.purpose)
    offer = Offer(right, opting_out.shortened(account.email), account.suspended_at is not None)
    if right != "correction":
        return offer
    who = await sessions.as_if_signed_in(tx, account.id)
    return replace(offer, name=who.name, organization=who.organization_name)


async def take_copy(tx: Tx, token: str) -> tuple[Copy, Secret]:
    """Return the copy, and what gets it again for a moment. Raises Refused (bad_link, too_many)."""
    who, followed = await _owner(tx, token, "access")
    await _done(tx, who, "access")
    return await access.made(tx, who), links.once_more(tx, followed, AGAIN)


async def take_export(tx: Tx, token: str) -> tuple[Export, Secret]:
    """Return an export that may be streamed, and what gets it again for a moment. Raises as above."""
    who, followed = await _owner(tx, token, "export")
    await _done(tx, who, "export")
    return await export.allowed(tx, who), links.once_more(tx, followed, AGAIN)


async def correct(tx: Tx, token: str, wanted: Wanted, client: Client) -> Corrected:
    """Correct what differs (policy 6.2). Raises Refused: bad_link, bad_name, bad_email, too_many, no_change."""
    who, _ = await _owner(tx, token, "correction")
    done = []
    if wanted.name.strip() != who.name:
        await profile.correct(tx, who, wanted.name, who.time_zone)
        done.append("your name")
    if wanted.organization.strip() != who.organization_name:
        await organizations.rename(tx, who, wanted.organization)
        done.append("the name of your organization")
    asked = "" if wanted.email.strip().lower() in ("", who.email) else wanted.email.strip().lower()
    if asked:
        await moving.ask(tx, who, asked, client)  # the request stays open until both have said yes
        for handle in await _about(tx, who, "correction"):
            trail.write(tx, MOVING, account_id=who.account_id, actor_id=who.account_id, request=handle)
    elif done:
        await _done(tx, who, "correction")
    else:
        raise Refused("Nothing is different from what we have. Change what is wrong.", code="no_change")
    return Corrected(tuple(done), asked)


async def moved(tx: Tx, account_id: UUID) -> None:
    """Answer what asked by mail for another address: both mailboxes have said yes.

    What a link was sent for that was not used is about something else, such as a name: it stays open.
    """
    who = await sessions.as_if_signed_in(tx, account_id)
    await requests.meet(tx, who.account_id, await _said(tx, who, MOVING), DONE["correction"])


async def erase(tx: Tx, token: str, *, later: bool) -> Closing:
    """Close the account with time to change one's mind, or erase it now.

    Raises Refused (bad_link, suspended, and what closing refuses).
    """
    who, _ = await _owner(tx, token, "deletion")
    if later and (await tx.get_one(Account, who.account_id)).suspended_at:
        raise Refused("Nobody can sign in to a suspended account to undo this.", code="suspended", status=409)
    await links.void(tx, who.account_id, "deletion")
    return await (erasure.close if later else erasure.erase_now)(tx, who)


async def _owner(tx: Tx, token: str, right: Right) -> tuple[Person, Followed]:
    """Use a link up, and return whose it was; what is refused after this leaves it as it was."""
    followed = await links.follow(tx, token, right)
    return await sessions.as_if_signed_in(tx, followed.account_id), followed


async def _done(tx: Tx, who: Person, right: Right) -> None:
    """Answer what was asked for by mail: it is met by their own hand."""
    await requests.meet(tx, who.account_id, await _about(tx, who, right), DONE[right])


async def _about(tx: Tx, who: Person, right: Right) -> Sequence[str]:
    """Return the open requests that their link is about: all of that right, but one correction.

    Each correction is about something else, and the link of one ends that of the one before.
    """
    waiting = select(PrivacyRequest.handle).where(
        col(PrivacyRequest.account_id) == who.account_id,
        col(PrivacyRequest.kind) == right,
        col(PrivacyRequest.state) == "open",
    )
    found = (await tx.exec(waiting)).all()
    if right != "correction":
        return found
    last = next((one for one in await _said(tx, who, SENT) if one in found), None)
    return [last] if last else []


async def _said(tx: Tx, who: Person, action: str) -> Sequence[str]:
    """Return the requests of which the trail says this, the newest first."""
    handle = col(TrailEntry.details)["request"].astext
    said = select(handle).where(TrailEntry.action == action, TrailEntry.account_id == who.account_id)
    return (await tx.exec(said.order_by(col(TrailEntry.created_at).desc(), col(TrailEntry.id).desc()))).all()


def _letter(request: PrivacyRequest, right: Right, address: str) -> mail.Message:
    does = {
        "access": "The link leads to a copy of everything that we hold about you, with all that the law wants said.",
        "export": "The link leads to everything that we hold about you, in files for programs (ZIP).",
        "correction": "The link leads to a page where you correct your name, your organization's, or your address.",
        "deletion": "The link leads to a page where you say that your account is to be erased. Until then it stays.",
    }
    return mail.Message(
        f"{SUBJECTS[right]} ({request.handle})",
        (
            f"You asked us on {request.received_at:%d %B %Y}. {does[right]}",
            "It works once, within a day, and you need not sign in. Whoever has it can do this: do not pass it on.",
            "When it is over, answer this mail, and you get another one.",
            "If it was not you who asked, do nothing, and tell us by answering this mail.",
        ),
        (ACTIONS[right], address),
    )
