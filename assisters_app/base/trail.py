"""The audit trail: who did what, to whose account, when. Written in the transaction that does it."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlmodel import col, select

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.tables import TrailEntry

ONE_LOOK = timedelta(hours=1)  # who looks again within this has looked once


def write(
    tx: Tx,
    action: str,
    *,
    account_id: UUID | None,
    actor_id: UUID | None = None,
    ip: str = "",
    **details: str | int | bool | None,
) -> None:
    """Record `action` (`noun:verb`) on `account_id` by `actor_id` (None: the software); details are handles, counts."""
    tx.add(TrailEntry(account_id=account_id, actor_id=actor_id, action=action, ip=ip, details=details))


async def looked(tx: Tx, action: str, account_ids: Collection[UUID], actor_id: UUID) -> None:
    """Record that a member of staff saw something of each of these accounts in a list, once an hour each."""
    others = set(account_ids) - {actor_id}
    lately = select(TrailEntry.account_id).where(
        col(TrailEntry.account_id).in_(others),
        TrailEntry.actor_id == actor_id,
        TrailEntry.action == action,
        col(TrailEntry.created_at) > now() - ONE_LOOK,
    )
    seen = set((await tx.exec(lately)).all()) if others else set()
    for account_id in sorted(others - seen):
        write(tx, action, account_id=account_id, actor_id=actor_id)
