"""The prepaid wallet, read from the ledger: what is left, and how it came to be that.

    balance(tx, organization_id) -> int                          nano-USD; may be below zero after a refund or dispute
    balances(tx, organization_ids) -> dict                       the same of many
    page(tx, organization_id, …) -> list[TransactionRow]         every movement by itself, the latest first, paged
    movements(tx, organization_id, month) -> list[MovementRow]   one month's, the latest first, usage summed by day
    give(tx, organization_id, amount_nano, cause) -> bool        credit for nothing: a welcome, a goodwill, a seed

What the gateway may spend is this balance less what it settled but the worker has not posted yet, less open holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from assisters_app.base.db import Tx
from assisters_app.billing import ledger
from assisters_app.billing.months import Month

BALANCES = text("""
SELECT organization_id, sum(amount_nano)::bigint AS nano FROM ledger_entry
WHERE organization_id = ANY(:organization_ids) AND account = 'wallet' GROUP BY organization_id
""")
MOVEMENTS = text("""
SELECT max(t.created_at) AS at, t.kind, sum(e.amount_nano)::bigint AS amount, t.day, t.model
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.account = 'wallet'
WHERE t.organization_id = :organization_id AND t.created_at >= :begins AND t.created_at < :ends
GROUP BY CASE WHEN t.kind = 'usage' THEN NULL ELSE t.id END, t.kind, t.day, t.model
ORDER BY at DESC, t.model
""")


PAGE = text("""
SELECT t.id, t.created_at AS at, t.kind, sum(e.amount_nano)::bigint AS amount, t.day, t.model
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.account = 'wallet'
WHERE t.organization_id = :organization_id AND (CAST(:after AS uuid) IS NULL OR t.id < :after)
AND (CAST(:kind AS text) IS NULL OR t.kind = :kind)
GROUP BY t.id ORDER BY t.id DESC LIMIT :size
""")


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """One movement of a wallet: nano-USD in (above zero) or out. Usage is one for each batch that was written down."""

    id: UUID
    at: datetime
    kind: str
    amount_nano: int
    day: date | None
    model: str | None


@dataclass(frozen=True, slots=True)
class MovementRow:
    """One line of a wallet: nano-USD in (above zero) or out. Usage is one line for each day and model."""

    at: datetime
    kind: str
    amount_nano: int
    day: date | None
    model: str | None


async def balance(tx: Tx, organization_id: UUID) -> int:
    """Return the nano-USD that the ledger holds for an organization: the truth every cache is filled from."""
    return (await balances(tx, [organization_id]))[organization_id]


async def balances(tx: Tx, organization_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return the nano-USD that the ledger holds for each of them."""
    held = dict.fromkeys(organization_ids, 0)
    for row in await tx.sql(BALANCES, {"organization_ids": list(held)}):
        held[row.organization_id] = row.nano
    return held


async def page(
    tx: Tx, organization_id: UUID, *, size: int, after: UUID | None = None, kind: str | None = None
) -> list[TransactionRow]:
    """Return up to `size` movements that are older than `after`, the latest first; of one kind, when it is named."""
    asked = {"organization_id": organization_id, "after": after, "kind": kind, "size": size}
    return [
        TransactionRow(row.id, row.at, row.kind, row.amount, row.day, row.model) for row in await tx.sql(PAGE, asked)
    ]


async def movements(tx: Tx, organization_id: UUID, month: Month) -> list[MovementRow]:
    """Return what moved in a calendar month (UTC), the latest first."""
    window = {"organization_id": organization_id, "begins": month.begins, "ends": month.ends}
    return [MovementRow(row.at, row.kind, row.amount, row.day, row.model) for row in await tx.sql(MOVEMENTS, window)]


async def give(tx: Tx, organization_id: UUID, amount_nano: int, cause: str) -> bool:
    """Credit a wallet for nothing, once for each `cause` (such as "welcome:org_…"); False when it was given before."""
    legs: dict[ledger.Book, int] = {"wallet": amount_nano, "bonus": -amount_nano}
    return await ledger.post(tx, ledger.Movement(organization_id, "bonus", cause, legs))
