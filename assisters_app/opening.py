"""What a migrated database needs before anybody comes in: prices, models, the days ahead, the keys that sign."""

import asyncio

from assisters_app.base import db
from assisters_app.billing import rating, receipts
from assisters_app.gateway import catalog
from assisters_app.privacy import proving
from assisters_app.privacy.erasing import receipts as erasures
from assisters_app.privacy.policies import versions
from assisters_app.privacy.registers import audits, signing
from assisters_app.usage import ddl


def open_house() -> None:
    """Put what is missing: prices, models, partitions, the receipts' keys, the first policy; have it checked."""
    asyncio.run(_open())


async def _open() -> None:
    try:
        async with db.transaction() as tx:
            await rating.ensure_first_prices(tx)
            await catalog.ensure_first_models(tx)
            await ddl.ahead(tx)
            await receipts.ensure_key(tx)
            await versions.at_opening(tx)
            await audits.at_opening(tx)
            await proving.at_opening(tx)
            await erasures.ensure_key(tx)
            await signing.ensure_keys(tx)
    finally:
        await db.dispose()
