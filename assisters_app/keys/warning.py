"""The mail that says, a day before, that the secret before the last rotation is about to end."""

from datetime import timedelta

from sqlmodel import col, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs, mail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.settings import settings
from assisters_app.keys.tables import ApiKey

BEFORE = timedelta(hours=24)
AT_ONCE = 100  # keys in one transaction


@jobs.job("keys.warn-of-ending-secrets", every="*/10 * * * *")
async def warn() -> None:
    """Send one mail for each old secret that ends within a day, once, however often and by however many this is run."""
    more = True
    while more:
        async with transaction() as tx:
            more = await _warn_some(tx) == AT_ONCE


async def _warn_some(tx: Tx) -> int:
    ending = (
        select(ApiKey, Account)
        .where(Organization.id == ApiKey.organization_id, Account.id == Organization.owner_id)
        .where(col(ApiKey.revoked_at).is_(None), col(ApiKey.old_secret_warned_at).is_(None))
        .where(col(ApiKey.previous_until) > now(), col(ApiKey.previous_until) <= now() + BEFORE)
        .order_by(col(ApiKey.id))
        .limit(AT_ONCE)
        .with_for_update(of=ApiKey, skip_locked=True)
    )
    found = (await tx.exec(ending)).all()
    for key, owner in found:
        key.old_secret_warned_at = now()
        if owner.suspended_at is None:
            await mail.send(tx, owner.email, _message(key), account_id=owner.id)
    return len(found)


def _message(key: ApiKey) -> mail.Message:
    ends = f"{key.previous_until:%Y-%m-%d %H:%M} UTC"
    return mail.Message(
        f"The old secret of “{key.name}” stops working at {ends}",
        (
            f"Your API key “{key.name}” ({key.prefix}…) has a new secret. The one before works until {ends}.",
            "Whoever still uses it then is refused. Give your programs the new one, or rotate the key again.",
            "If every program of yours has the new secret, there is nothing to do.",
        ),
        action=("Look at your keys", f"{settings().public_url}/dashboard/api-keys"),
    )
