"""Signing in with e-mail and password.

    sign_in(tx, email, password, client) -> Secret     the session cookie's value

raises Refused with code
    bad_credentials   the pair is wrong; the same for an address nobody has, and as slow
    too_many          status 429, `retry_after` in seconds
    unverified        the pair is right, the address unproven: offer signing_up.send_verification_again
    suspended         the pair is right; the sentence holds the reason and how to appeal

The last two are said only to somebody who knows the password, so they tell a stranger nothing.
"""

from datetime import timedelta

from assisters_app.accounts import emails, sessions, signing_up
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit, attempt, forgive
from assisters_app.base import contact
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.secrets import Secret

TOGETHER = Limit("sign-in", 10, timedelta(minutes=15))  # one address from one place: guessing a password
BY_PLACE = Limit("sign-in-place", 100, timedelta(minutes=15))  # one place, many addresses: trying stolen lists
BY_ADDRESS = Limit("sign-in-address", 100, timedelta(hours=1))  # one address, many places
APPEAL = contact.EMAIL


async def sign_in(tx: Tx, email: str, password: str, client: Client) -> Secret:
    """Open a session for the one who knows the password and return its cookie's value."""
    email = _typed(email)
    await attempt(TOGETHER, email, client.place)
    await attempt(BY_PLACE, client.place)
    await attempt(BY_ADDRESS, email)
    account = await signing_up.find(tx, email)
    if not await identity().matches(tx, account, password) or account is None or await _overtaken(tx, account):
        raise Refused("That e-mail address and password do not go together.", code="bad_credentials", status=401)
    await forgive(TOGETHER, email, client.place)
    require_open(account)
    return await sessions.open_session(tx, account, client)


def require_open(account: Account) -> None:
    """Raise Refused when nobody may sign in to `account`, whatever they prove."""
    if account.suspended_at is not None:
        raise Refused(
            f"This account is suspended. Reason: {account.suspension_reason} "
            f"If you think this is wrong, write to {APPEAL} and a person will look at it.",
            code="suspended",
            status=403,
        )
    if account.verified_at is None:
        raise Refused(
            "Confirm your e-mail address first: follow the link in the mail we sent, or ask for another one.",
            code="unverified",
            status=403,
        )


async def _overtaken(tx: Tx, account: Account) -> bool:
    """Return whether another password or address came to count while this one was being compared, which takes a while.

    What ends every session looks for those that are there: one that is opened just after would outlive it. From here on
    it waits for us.
    """
    compared = (account.email, account.password_hash)
    await tx.refresh(account, with_for_update={"read": True})
    return compared != (account.email, account.password_hash)


def _typed(email: str) -> str:
    """Return the address as it would be stored; what is no address is nobody's, and no more is said about it."""
    try:
        return emails.normalized(email)
    except Refused:
        return email.strip().lower()[: emails.LONGEST]
