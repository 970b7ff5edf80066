"""What a person's usage and money come to: said in every export, and compared when one is read in again."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from assisters_app.base.db import Tx
from assisters_app.billing.tables import LedgerEntry
from assisters_app.usage.tables import UsageEvent, UsageTally

SUMMED = ("requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "units", "cost_nano")


async def of(tx: Tx, organization_ids: Sequence[UUID]) -> dict[str, int]:
    """Return the sums over the usage analytics, how many calls the request log holds, and the wallet's balance.

    Tokens are counts; `cost_nano` and `wallet_nano` are billionths of a US dollar.
    """
    sums = select(*[func.coalesce(func.sum(UsageTally.__table__.c[name]), 0) for name in SUMMED]).where(  # type: ignore[attr-defined]
        col(UsageTally.organization_id).in_(organization_ids)
    )
    logged = select(func.count()).select_from(UsageEvent).where(col(UsageEvent.organization_id).in_(organization_ids))
    wallet = select(func.coalesce(func.sum(LedgerEntry.amount_nano), 0)).where(
        col(LedgerEntry.organization_id).in_(organization_ids), LedgerEntry.account == "wallet"
    )
    summed = (await tx.sql(sums)).one()
    return {
        **{name: int(value) for name, value in zip(SUMMED, summed, strict=True)},
        "calls_in_the_log": int((await tx.sql(logged)).scalar_one()),
        "wallet_nano": int((await tx.sql(wallet)).scalar_one()),
    }
