"""The audit trail: who did what, to whose account, when. Written in the transaction that does it."""

from uuid import UUID

from assisters_app.base.db import Tx
from assisters_app.base.tables import TrailEntry


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
