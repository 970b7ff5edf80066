"""Corrections (policy 6.2) are made in `accounts.profile` and `accounts.moving`; here we watch that others know."""

from datetime import timedelta

from sqlalchemy import func
from sqlmodel import select

from assisters_app.accounts import corrections
from assisters_app.accounts.tables import Correction
from assisters_app.base.db import Tx
from assisters_app.privacy import promises

TOLD_WITHIN = timedelta(days=1)


@promises.check("6.2", says="Corrections are kept, and the companies that hold the old value are told within a day.")
async def corrections_are_passed_on(tx: Tx) -> str:
    """Look for corrections that somebody has not been told (GDPR Art. 19)."""
    if late := await corrections.waiting_since(tx, TOLD_WITHIN):
        raise promises.Broken(f"{late} corrections have not been passed on for more than a day.")
    count = (await tx.exec(select(func.count()).select_from(Correction))).one()
    return f"{count} corrections are kept, every one older than a day was passed on."
