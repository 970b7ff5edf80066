"""What a migrated database needs before anybody comes in: prices, models, the days ahead. Repeating it is harmless."""

import asyncio

from assisters_app.base import db
from assisters_app.billing import rating
from assisters_app.gateway import catalog
from assisters_app.usage import ddl


def open_house() -> None:
    """Put the first prices, the first models and the coming days' partitions in place where they are missing."""
    asyncio.run(_open())


async def _open() -> None:
    try:
        async with db.transaction() as tx:
            await rating.ensure_first_prices(tx)
            await catalog.ensure_first_models(tx)
            await ddl.ahead(tx)
    finally:
        await db.dispose()
