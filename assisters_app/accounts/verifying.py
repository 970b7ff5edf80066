"""The proof that an address belongs to the one who signed up with it.

    verify(tx, token) -> str     the address, now proven; raises Refused(code="bad_link")

Nobody is signed in by it: a link that signs in could be sent to somebody else, who would then work in a stranger's
account. The page goes on to the sign-in form with the address filled in.
"""

from assisters_app.accounts import links
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account
from assisters_app.base import trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx


async def verify(tx: Tx, token: str) -> str:
    """Use up a verification link and return the address it proves."""
    followed = await links.follow(tx, token, "verify")
    account = await tx.get_one(Account, followed.account_id)
    await mark_verified(tx, account)
    return account.email


async def mark_verified(tx: Tx, account: Account) -> None:
    """Note that the address of `account` has been proven, if that is new."""
    if account.verified_at is not None:
        return
    account.verified_at = now()
    tx.add(account)
    await identity().confirm(tx, account)
    trail.write(tx, "account:verified", account_id=account.id, actor_id=account.id)
