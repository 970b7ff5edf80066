"""Wallets in Valkey: what an organization may spend right now, filled from the ledger and rebuilt whenever it is lost.

publish(scripts, organization_id, posted=()) -> int      reads the ledger and tells Valkey; returns the balance
forget(organization_id)                                  when fewer movements are left than there were
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from sqlmodel import func, select

from assisters_app.base import db
from assisters_app.base.valkey import valkey
from assisters_app.billing import wallet
from assisters_app.billing.tables import LedgerTransaction
from assisters_app.gateway.scripts import PUBLISH, Keys, Scripts

LIFE = timedelta(days=1)  # a wallet is rebuilt from the ledger at least this often


async def publish(scripts: Scripts, organization_id: UUID, posted: Iterable[UUID] = ()) -> int:
    """Tell Valkey what the ledger holds, and that it holds the requests in `posted`; return nano-USD.

    The movements are counted before the balance is read, in a transaction that begins after whatever is posted was
    committed: a balance is then never older than its count says, and Valkey takes none that is older than its own.
    """
    async with db.transaction() as tx:
        counting = select(func.count()).where(LedgerTransaction.organization_id == organization_id)
        count = (await tx.exec(counting)).one()
        balance = await wallet.balance(tx, organization_id)
    keys = Keys.of(organization_id)
    names = [str(request_id) for request_id in posted]
    life = int(LIFE.total_seconds())
    await scripts.run(PUBLISH, (keys.wallet, keys.holds, keys.unposted), count, balance, life, *names)
    return balance


async def forget(organization_id: UUID) -> None:
    """Have the wallet read anew at its next use: where old movements were swept, their number no longer only grows."""
    await valkey().delete(Keys.of(organization_id).wallet)
