"""Wallets in Valkey: what an organization may spend right now, filled from the ledger and rebuilt whenever it is lost.

publish(scripts, organization_id) -> int                 reads the ledger and tells Valkey; returns the balance
publish_all(scripts, posted)                             the same for many, and which requests the ledger now holds
standing(scripts, organization_id) -> Standing           what there is, and what of it is spoken for
forget(organization_id)                                  when what it counts as held is no longer so
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import text

from assisters_app.base import db
from assisters_app.base.valkey import valkey
from assisters_app.billing import wallet
from assisters_app.gateway.scripts import PUBLISH, Keys, Scripts

AT_ONCE = 1_000  # requests in one script: Lua's stack holds some thousands
LIFE = timedelta(days=1)  # a wallet of which nothing was read for so long is rebuilt from the ledger

READING = text("SELECT pg_current_xact_id()::text::bigint")


async def publish(scripts: Scripts, organization_id: UUID) -> int:
    """Tell Valkey what the ledger holds for an organization; return nano-USD."""
    return (await publish_all(scripts, {organization_id: ()}))[organization_id]


async def publish_all(scripts: Scripts, posted: Mapping[UUID, Sequence[str]]) -> dict[UUID, int]:
    """Tell Valkey what the ledger holds for each organization in `posted`, and that it holds these requests of theirs.

    Returns nano-USD by organization. A reading is numbered before balances are read, in a transaction that begins after
    whatever is posted was committed: a balance is then never older than its number says, and Valkey takes none that is
    older than its own. Transaction ids are such numbers; counting movements is not, for old ones are swept away.
    """
    async with db.transaction() as tx:
        reading = (await tx.sql(READING)).scalar_one()
        balances = await wallet.balances(tx, posted)
    life = int(LIFE.total_seconds())
    told = [
        scripts.run(
            PUBLISH, _three(organization_id), reading, balances[organization_id], life, *request_ids[at : at + AT_ONCE]
        )
        for organization_id, request_ids in posted.items()
        for at in range(0, max(1, len(request_ids)), AT_ONCE)
    ]
    await asyncio.gather(*told)  # in one round trip
    return balances


def _three(organization_id: UUID) -> tuple[str, str, str]:
    keys = Keys.of(organization_id)
    return keys.wallet, keys.holds, keys.unposted


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
