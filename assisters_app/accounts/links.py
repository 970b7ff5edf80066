"""Links sent by mail: used once, soon over, only their fingerprint stored.

Following a link only shows a page with a button: mail scanners follow links too. The button takes the token.

Whoever changes links holds their account first (`turn`), and what hangs on it next: with one order of locks, no two
wait for each other.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, select, update

from assisters_app.accounts.tables import Account, MailToken
from assisters_app.base.clock import now
from assisters_app.base.crypto import fingerprint
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.secrets import Secret, random_token
from assisters_app.base.settings import settings

Purpose = Literal[
    "verify",
    "reset",
    "email-change",
    "email-release",
    "access",
    "export",
    "correction",
    "deletion",
    "recovery-new",
    "recovery-stop",
]

LASTING: dict[Purpose, timedelta] = {
    "verify": timedelta(days=2),
    "reset": timedelta(hours=1),
    "email-change": timedelta(days=1),
    "email-release": timedelta(days=1),
    "access": timedelta(days=1),  # rights asked for by mail: see `privacy.rights.by_mail`
    "export": timedelta(days=1),
    "correction": timedelta(days=1),
    "deletion": timedelta(days=1),
    "recovery-new": timedelta(days=7),
    "recovery-stop": timedelta(days=7),
}
# Asked for by who has the account, and void once they choose a new password. Whoever stops a recovery need not be them.
OWN: tuple[Purpose, ...] = tuple(one for one in LASTING if not one.startswith("recovery-"))
STOPS = frozenset({"recovery-stop"})  # whichever letter one opens, what it warns of can be stopped
PAGES: dict[Purpose, str] = {
    "verify": "/verify",
    "reset": "/reset",
    "email-change": "/confirm-email",
    "email-release": "/confirm-email",
    "access": "/rights",
    "export": "/rights",
    "correction": "/rights",
    "deletion": "/rights",
    "recovery-new": "/new-mailbox",
    "recovery-stop": "/keep-mailbox",
}

_SAID = (col(MailToken.account_id), col(MailToken.purpose), col(MailToken.new_email), col(MailToken.expires_at))


@dataclass(frozen=True, slots=True)
class Followed:
    """What a link stood for, and until when."""

    account_id: UUID
    purpose: str
    new_email: str | None
    until: datetime


async def link(
    tx: Tx, account_id: UUID, purpose: Purpose, *, new_email: str | None = None, lasting: timedelta | None = None
) -> str:
    """Return the address of a new link; the ones sent before for this purpose stop working, but for those that stop."""
    if purpose in STOPS:
        await turn(tx, account_id)
    else:
        await void(tx, account_id, purpose)
    token = _kept(tx, Followed(account_id, purpose, new_email, now() + (lasting or LASTING[purpose])))
    return f"{settings().public_url}{PAGES[purpose]}?{urlencode({'token': token.reveal()})}"


async def follow(tx: Tx, token: str, *purposes: Purpose) -> Followed:
    """Use a link up; raise Refused when it is unknown, over, used, or for something else. Its account waits for us."""
    await turn(tx, (await look(tx, token, *purposes)).account_id)
    used = await tx.exec(update(MailToken).where(*_usable(token, *purposes)).values(used_at=now()).returning(*_SAID))
    return _found(used.first())


def once_more(tx: Tx, followed: Followed, lasting: timedelta) -> Secret:
    """Return what does the same as a link that was just used up, for so long, and not longer than that one would have.

    It is for the browser that followed the link, which keeps it out of sight; nobody else gets to see it.
    """
    return _kept(tx, replace(followed, until=min(followed.until, now() + lasting)))


async def look(tx: Tx, token: str, *purposes: str) -> Followed:
    """Return what a link stands for and leave it as it is; raise Refused as `follow` does."""
    found = await tx.exec(select(*_SAID).where(*_usable(token, *purposes)))
    return _found(found.first())


async def void(tx: Tx, account_id: UUID, *purposes: Purpose) -> None:
    """Make the unused links of an account for these purposes worthless. The account waits for us from here on."""
    await turn(tx, account_id)
    await tx.exec(
        update(MailToken)
        .where(
            col(MailToken.account_id) == account_id,
            col(MailToken.purpose).in_(purposes),
            col(MailToken.used_at).is_(None),
        )
        .values(used_at=now())
    )


async def turn(tx: Tx, account_id: UUID) -> None:
    """Have everybody else who changes this account, or what hangs on it, wait until `tx` has ended.

    Whoever only refers to it (a line in the trail) need not wait, and so cannot hold us up in turn.
    """
    await tx.exec(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


def _kept(tx: Tx, stands_for: Followed) -> Secret:
    token = random_token()
    tx.add(
        MailToken(
            fingerprint=fingerprint(token.reveal()),
            account_id=stands_for.account_id,
            purpose=stands_for.purpose,
            new_email=stands_for.new_email,
            expires_at=stands_for.until,
        )
    )
    return token


def _usable(token: str, *purposes: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(MailToken.fingerprint) == fingerprint(token),
        col(MailToken.purpose).in_(purposes),
        col(MailToken.used_at).is_(None),
        col(MailToken.expires_at) > now(),
    )


def _found(row: tuple[UUID, str, str | None, datetime] | None) -> Followed:
    if row is None:
        raise Refused("This link is no longer valid. Ask for a new one.", code="bad_link")
    return Followed(*row)
