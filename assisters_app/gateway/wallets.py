"""Wallets in Valkey: what an organization may spend right now, filled from the ledger and rebuilt whenever it is lost.

publish(scripts, organization_id, posted=()) -> int      reads the ledger and tells Valkey; returns the balance
forget(organization_id)                                  when what it counts as held is no longer so
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from assisters_app.base import db
from assisters_app.base.valkey import valkey
from assisters_app.billing import wallet
from assisters_app.gateway.scripts import PUBLISH, Keys, Scripts

LIFE = timedelta(days=1)  # a wallet is rebuilt from the ledger at least this often

READING = text("SELECT pg_current_xact_id()::text::bigint")


async def publish(scripts: Scripts, organization_id: UUID, posted: Iterable[UUID] = ()) -> int:
    """Tell Valkey what the ledger holds, and that it holds the requests in `posted`; return nano-USD.

    A reading is numbered before the balance is read, in a transaction that begins after whatever is posted was
    committed: a balance is then never older than its number says, and Valkey takes none that is older than its own.
    Transaction ids are such numbers; counting movements is not, for old ones are swept away.
    """
    async with db.transaction() as tx:
        reading = (await tx.sql(READING)).scalar_one()
        balance = await wallet.balance(tx, organization_id)
    keys = Keys.of(organization_id)
    names = [str(request_id) for request_id in posted]
    life = int(LIFE.total_seconds())
    await scripts.run(PUBLISH, (keys.wallet, keys.holds, keys.unposted), reading, balance, life, *names)
    return balance


async def forget(organization_id: UUID) -> None:
    """Have the wallet rebuilt at its next use, from the ledger and the holds there are then."""
    await valkey().delete(Keys.of(organization_id).wallet)
