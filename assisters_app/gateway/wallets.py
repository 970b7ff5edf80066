"""Wallets in Valkey: what an organization may spend right now, filled from the ledger and rebuilt whenever it is lost.

publish(scripts, organization_id, posted=()) -> int      reads the ledger and tells Valkey; returns the balance
standing(scripts, organization_id) -> Standing           what there is, and what of it is spoken for
forget(organization_id)                                  when what it counts as held is no longer so
"""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import text

from assisters_app.base import db
from assisters_app.base.valkey import valkey
from assisters_app.billing import wallet
from assisters_app.gateway.scripts import PUBLISH, Keys, Scripts

LIFE = timedelta(days=1)  # a wallet of which nothing was read for so long is rebuilt from the ledger

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


@dataclass(frozen=True, slots=True)
class Standing:
    """A wallet in nano-USD: what the ledger holds, what was used but is not in it yet, what running calls may cost."""

    balance: int
    unposted: int
    held: int

    @property
    def available(self) -> int:
        """Return what may be spent now."""
        return self.balance - self.unposted - self.held


async def standing(scripts: Scripts, organization_id: UUID) -> Standing:
    """Return how a wallet stands, from the ledger and from Valkey."""
    balance = await publish(scripts, organization_id)
    asked = valkey().hmget(Keys.of(organization_id).wallet, ["unposted", "held"])
    unposted, held = await cast("Awaitable[list[str | None]]", asked)
    return Standing(balance, int(unposted or 0), int(held or 0))


async def forget(organization_id: UUID) -> None:
    """Have the wallet rebuilt at its next use, from the ledger and the holds there are then."""
    name = Keys.of(organization_id).wallet
    await valkey().hdel(name, "ledger", "held", "unposted")  # type: ignore[misc]  # (redis types sync and async as one)
