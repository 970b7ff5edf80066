"""Opting out of marketing: one click, no sign-in (RFC 8058), and for good: the suppression outlives the account.

    unsubscribe_address(email) -> str               for a marketing mail's List-Unsubscribe and its footer
    opt_out(tx, token) -> str                       what a POST to that address does; returns the address, shortened
    may_mail_marketing(tx, email) -> bool           the one question before any marketing mail; `base.mail` asks it, too

A token is the sealed address itself: no row is needed, so the link in an old mail works after the account is gone.
"""

import base64
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from assisters_app.accounts.tables import Account
from assisters_app.base import crypto, mail
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.privacy import promises
from assisters_app.privacy.choices import consents, suppressions
from assisters_app.privacy.choices.tables import Consent, Suppression
from assisters_app.privacy.rights import requests

PATH = "/unsubscribe/"
PROBE = "nobody@assisters.invalid"
LATEST = 500  # consents that the check looks at


def unsubscribe_address(email: str) -> str:
    """Return the address that a single POST to opts `email` out. Following it by GET only shows a button."""
    token = base64.urlsafe_b64encode(crypto.seal("unsubscribe", email.strip().lower())).decode().rstrip("=")
    return f"{settings().public_url}{PATH}{token}"


async def opt_out(tx: Tx, token: str) -> str:
    """Opt out whom the token was made for; return the address with its middle hidden. Twice is as good as once.

    Raises Refused when the token is not one of ours.
    """
    email = address_in(token)
    fresh = await suppressions.suppress(tx, email)
    account_id = await _account_of(tx, email)
    if account_id:
        await consents.withdraw(tx, account_id, "marketing", "one-click-unsubscribe")
    if account_id and fresh:
        await requests.record(tx, "opt-out", "email", account_id=account_id, done="Unsubscribed with one click")
    return shortened(email)


@mail.guard_marketing
async def may_mail_marketing(tx: Tx, email: str) -> bool:
    """Return whether marketing may go to this address: consent is in force, and it has not opted out since."""
    if await suppressions.suppressed(tx, email):
        return False
    account_id = await _account_of(tx, email.strip().lower())
    return account_id is not None and await consents.given(tx, account_id, "marketing")


@promises.check("6.5", says="One click opts out, and who opted out counts as asking for news no more.")
async def opting_out_works(tx: Tx) -> str:
    """Open a link that was made just now, and compare the latest consents with the list of who opted out."""
    if address_in(unsubscribe_address(PROBE).rsplit("/", 1)[1]) != PROBE:
        raise promises.Broken("A link to unsubscribe does not lead to its address.")
    newest = select(Account.email).join(Consent, col(Consent.account_id) == Account.id)
    newest = newest.where(consents.in_force("marketing")).order_by(col(Consent.created_at).desc()).limit(LATEST)
    asking = (await tx.exec(newest)).all()
    if both := await suppressions.among(tx, asking):
        raise promises.Broken(f"{len(both)} of the latest {len(asking)} who ask for news have opted out of it.")
    listed = (await tx.exec(select(func.count()).select_from(Suppression))).one()
    return f"Links open; {listed} addresses have opted out, none of the latest {len(asking)} asking for news."


def address_in(token: str) -> str:
    """Return the address a token was made for; raise Refused when it is not one of ours."""
    try:
        return crypto.unseal("unsubscribe", base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        raise Refused("This link is not one of ours. Unsubscribe in your settings instead.", code="bad_link") from None


def shortened(email: str) -> str:
    """Return an address that its owner recognises and nobody else learns: `a…@example.com`."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}…@{domain}"


async def _account_of(tx: Tx, address: str) -> UUID | None:
    return (await tx.exec(select(Account.id).where(col(Account.email) == address))).first()
