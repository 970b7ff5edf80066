"""What was spent since some moments ago: what budgets and the spend cap are shown beside.

by_key(tx, person, since) -> {key id: [nano-USD since each]}      one entry for each moment in `since`
of_all(tx, person, since) -> int                                  by all keys together

It is read from the tallies, so it is behind by what the worker has not written down yet, and knows of no holds; what
budgets are decided by is `gateway.meters`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.usage.tables import UsageTally

TALLY = UsageTally.__table__  # type: ignore[attr-defined]


async def by_key(tx: Tx, person: Person, since: Sequence[datetime]) -> dict[UUID, list[int]]:
    """Return what each key of a person's organization that was used has spent since each moment."""
    cost = func.sum(TALLY.c.cost_nano)
    sums = [func.coalesce(cost.filter(TALLY.c.bucket >= moment), 0) for moment in since]
    read = (
        select(TALLY.c.key_id, *sums)
        .where(TALLY.c.organization_id == person.organization_id, TALLY.c.bucket >= min(since))
        .group_by(TALLY.c.key_id)
    )
    rows: Any = await tx.sql(read)
    return {key_id: [int(amount) for amount in amounts] for key_id, *amounts in rows}


async def of_all(tx: Tx, person: Person, since: datetime) -> int:
    """Return nano-USD that a person's organization has spent since a moment."""
    return sum(spent for (spent,) in (await by_key(tx, person, [since])).values())
