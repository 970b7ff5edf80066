"""Suspensions (policy 2.4; GDPR Art. 22): a person decides, says why, and another one looks at an appeal.

The deciding is in `accounts.people`, appeals are in `rights.requests`: whoever suspended an account is refused there.
"""

from sqlalchemy import func
from sqlmodel import col, select

from assisters_app.accounts.tables import Account
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx
from assisters_app.base.marks import AUDIT_TRAIL
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import promises
from assisters_app.privacy.erasing.purge import ERASING


@promises.check("2.4", says="Each suspended account names its reason, and a person decided it, not software alone.")
async def a_person_decided(tx: Tx) -> str:
    """Look for suspensions without a reason, or without a member of staff in the trail while that is kept."""
    suspended = col(Account.suspended_at).is_not(None)
    nameless = select(func.count()).where(suspended, col(Account.suspension_reason) == "")
    if count := (await tx.exec(nameless)).one():
        raise promises.Broken(f"{count} accounts are suspended without a reason.")
    decided = (
        select(TrailEntry.id)
        .where(
            col(TrailEntry.account_id) == Account.id,
            col(TrailEntry.action) == "account:suspended",
            col(TrailEntry.actor_id).is_not(None),
        )
        .exists()
    )
    lately = col(Account.suspended_at) > months_later(AUDIT_TRAIL.cutoff(now()), 1)
    by_nobody = (suspended, lately, col(Account.suspension_reason) != ERASING, ~decided)
    if count := (await tx.exec(select(func.count()).where(*by_nobody))).one():
        raise promises.Broken(f"{count} accounts were suspended without a person deciding it.")
    total = (await tx.exec(select(func.count()).where(suspended))).one()
    return f"{total} accounts are suspended; each has its reason, and a person decided."
