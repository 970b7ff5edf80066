"""Corrections (policy 6.2) are made in `accounts.profile` and `accounts.moving`; here we watch that others know.

Here, too, who lost their mailbox gets another one (`accounts.recovering`) once the seven days are over.
"""

from datetime import timedelta

from sqlalchemy import func
from sqlmodel import select

from assisters_app.accounts import corrections, recovering
from assisters_app.accounts.tables import Correction
from assisters_app.base import jobs
from assisters_app.base.db import Tx, transaction
from assisters_app.billing import customers
from assisters_app.privacy import promises

TOLD_WITHIN = timedelta(days=1)


@jobs.job("accounts.replace-mailboxes", every="4,14,24,34,44,54 * * * *")
async def replace_mailboxes() -> None:
    """Replace each lost mailbox whose waiting time is over, in a transaction of its own, and have Stripe told."""
    while True:
        async with transaction() as tx:
            moved = await recovering.due(tx)
            if moved is None:
                return
            await customers.tell_stripe(tx, moved.account_id)


@promises.check("6.2", says="Corrections are kept, and the companies that hold the old value are told within a day.")
async def corrections_are_passed_on(tx: Tx) -> str:
    """Look for corrections that somebody has not been told (GDPR Art. 19)."""
    if late := await corrections.waiting_since(tx, TOLD_WITHIN):
        raise promises.Broken(f"{late} corrections have not been passed on for more than a day.")
    count = (await tx.exec(select(func.count()).select_from(Correction))).one()
    return f"{count} corrections are kept, every one older than a day was passed on."
