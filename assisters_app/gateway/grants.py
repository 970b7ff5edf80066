"""What a key may do: read from the database, never on the way of a request that this process has seen before.

load(tx, public_ids) -> dict[str, Grant]        live keys only; a revoked one is simply not there
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.billing.plans import PLANS
from assisters_app.keys import secret
from assisters_app.keys.tables import ApiKey

UNLIMITED = 10**9  # per minute, for a plan made by hand: no limit that anyone could reach


@dataclass(frozen=True, slots=True)
class Grant:
    """A key, whose it is, and its limits per minute. Digests open nothing without the pepper."""

    key_id: UUID
    public_id: str
    organization_id: UUID
    mode: Literal["live", "test"]
    requests_per_minute: int
    tokens_per_minute: int
    expires_at: datetime | None
    suspended: bool
    digest: str
    previous_digest: str | None
    previous_until: datetime | None

    def opens_with(self, presented: str) -> bool:
        """Say whether `presented` is this key, or was until a rotation whose grace is not over."""
        if secret.matches(presented, self.digest):
            return True
        if self.previous_digest is None or self.previous_until is None or self.previous_until <= now():
            return False
        return secret.matches(presented, self.previous_digest)

    @property
    def expired(self) -> bool:
        """Say whether the key's time is over."""
        return self.expires_at is not None and self.expires_at <= now()


async def load(tx: Tx, public_ids: Iterable[str]) -> dict[str, Grant]:
    """Return what the live keys among `public_ids` may do."""
    read = (
        select(ApiKey, Organization, Account)
        .where(col(ApiKey.public_id).in_(list(public_ids)), col(ApiKey.revoked_at).is_(None))
        .where(Organization.id == ApiKey.organization_id, Account.id == Organization.owner_id)
    )
    return {key.public_id: _grant(key, organization, owner) for key, organization, owner in await tx.exec(read)}


def _grant(key: ApiKey, organization: Organization, owner: Account) -> Grant:
    plan = PLANS.get(organization.plan)
    return Grant(
        key_id=key.id,
        public_id=key.public_id,
        organization_id=organization.id,
        mode="test" if key.mode == "test" else "live",
        requests_per_minute=plan.requests_per_minute if plan else UNLIMITED,
        tokens_per_minute=plan.tokens_per_minute if plan else UNLIMITED,
        expires_at=key.expires_at,
        suspended=owner.suspended_at is not None,
        digest=key.digest,
        previous_digest=key.previous_digest,
        previous_until=key.previous_until,
    )
