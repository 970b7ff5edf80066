"""People who close their account at once, and what they are given in return."""

from assisters_app.base import jobs
from assisters_app.base.db import transaction
from assisters_app.privacy.erasing import erasure, receipts


async def erased(person):
    """Erase somebody, and let the worker do all that can be done now; return the closing."""
    async with transaction() as tx:
        closing = await erasure.erase_now(tx, person)
    await jobs.run_waiting()
    return closing


async def receipt_of(closing):
    """Return the receipt of an erasure that was carried out."""
    async with transaction() as tx:
        return await receipts.shown(tx, closing.receipt)
