"""What usage does by itself: days made ahead, and dropped when their time is over."""

from assisters_app.base.db import transaction
from assisters_app.base.jobs import job
from assisters_app.usage import ddl


@job("usage.days", every="10 0 * * *")
async def keep_days() -> None:
    """Make the coming days' partitions and drop those whose 30 days are over."""
    async with transaction() as tx:
        await ddl.ahead(tx)
        await ddl.drop_expired(tx)
