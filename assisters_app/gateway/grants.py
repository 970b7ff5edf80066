"""What a key may do: read from the database, never on the way of a request that this process has seen before.

load(tx, public_ids) -> dict[str, Grant]        live keys only; a revoked one is simply not there
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.settings import Network
from assisters_app.billing.plans import PLANS
from assisters_app.keys import secret, terms
from assisters_app.keys.tables import ApiKey
from assisters_app.keys.terms import Scope, Span, Terms

UNLIMITED = 10**9  # for a plan made by hand: no limit that anyone could reach


@dataclass(frozen=True, slots=True)
class Own:
    """The limits that a key has of its own, None where there is none. Budgets are nano-USD."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    budgets: dict[Span, int]

    @property
    def per_minute(self) -> bool:
        """Say whether it limits requests or tokens per minute."""
        return bool(self.requests_per_minute or self.tokens_per_minute)


@dataclass(frozen=True, slots=True)
class Grant:
    """A key, whose it is, what it may do, and the limits of all keys together. Digests open nothing without the pepper.

    `own` and `spend_cap` (nano-USD a month) are None for a key and an organization without such limits.
    """

    key_id: UUID
    public_id: str
    organization_id: UUID
    mode: Literal["live", "test"]
    scopes: frozenset[Scope]
    models: frozenset[str]
    networks: tuple[Network, ...]
    domains: tuple[str, ...]
    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int
    own: Own | None
    spend_cap: int | None
    expires_at: datetime | None
    suspended: bool
    digest: str
    previous_digest: str | None
    previous_until: datetime | None
    keeps_content: bool = False  # its owner wants to read for a day what is said with it

    def opens_with(self, presented: str) -> bool:
        """Say whether `presented` is this key, or was until a rotation whose grace is not over."""
        if secret.matches(presented, self.digest):
            return True
        if self.previous_digest is None or self.previous_until is None or self.previous_until <= now():
            return False
        return secret.matches(presented, self.previous_digest)

    def require_scope(self, scope: Scope | None) -> None:
        """Raise Refused (403) unless the key may do what needs `scope`; None needs none."""
        if scope is not None and scope not in self.scopes:
            raise Refused(
                f"This key has no `{scope}` scope. Use a key that has it, or add it to this one in the dashboard.",
                code="scope_missing",
                status=403,
            )

    def may_call(self, model: str) -> bool:
        """Say whether the key may call a model."""
        return not self.models or model in self.models

    def require_model(self, model: str) -> None:
        """Raise Refused (403) unless the key may call a model."""
        if not self.may_call(model):
            raise Refused(
                f"This key may not call the model `{model}`.", code="model_not_allowed", status=403, field="model"
            )

    @property
    def anywhere(self) -> bool:
        """Say whether the key works wherever a call comes from."""
        return not self.networks and not self.domains

    def require_place(self, address: str, origin: str, referer: str) -> None:
        """Raise Refused (403) unless the key may be used from an address, and by a page, such as these."""
        if self.networks and not terms.may_come_from(self.networks, address):
            shown = address or "an unknown address"
            raise Refused(f"This key may not be used from {shown}.", code="ip_not_allowed", status=403)
        if self.domains and not terms.may_come_by(self.domains, origin, referer):
            raise Refused(
                "This key may be used by pages of its allowed domains only, and this call names none of them.",
                code="domain_not_allowed",
                status=403,
            )

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
    plan, asked = PLANS.get(organization.plan), Terms.of(key)
    return Grant(
        key_id=key.id,
        public_id=key.public_id,
        organization_id=organization.id,
        mode="test" if key.mode == "test" else "live",
        scopes=frozenset(asked.scopes),
        models=frozenset(asked.models),
        networks=tuple(ipaddress.ip_network(one) for one in asked.networks),
        domains=asked.domains,
        requests_per_minute=plan.requests_per_minute if plan else UNLIMITED,
        tokens_per_minute=plan.tokens_per_minute if plan else UNLIMITED,
        concurrency=plan.concurrency if plan else UNLIMITED,
        own=_own(asked),
        spend_cap=organization.spend_cap_nano,
        expires_at=key.expires_at,
        suspended=owner.suspended_at is not None,
        digest=key.digest,
        previous_digest=key.previous_digest,
        previous_until=key.previous_until,
        keeps_content=key.content_kept_since is not None,
    )


def _own(asked: Terms) -> Own | None:
    own = Own(asked.requests_per_minute, asked.tokens_per_minute, asked.concurrency, asked.budgets)
    return own if any((own.requests_per_minute, own.tokens_per_minute, own.concurrency, own.budgets)) else None
