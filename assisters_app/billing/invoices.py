"""A month's bill as it grows: one line for each model and price version, each derivable again from what was used.

bill(tx, organization_id, month) -> Bill
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.money import invoice_cents
from assisters_app.billing import rating
from assisters_app.billing.months import Month
from assisters_app.billing.rating import PriceVersion

CHARGED = text("""
SELECT t.model, t.price_version, sum(e.amount_nano)::bigint AS amount
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.account = 'revenue'
WHERE t.organization_id = :organization_id AND t.kind = 'usage' AND t.day >= :first AND t.day < :after
GROUP BY t.model, t.price_version ORDER BY t.model, t.price_version
""")
USED = text("""
SELECT model, price_version, sum(requests)::bigint AS requests, sum(input_tokens)::bigint AS input,
       sum(cached_tokens)::bigint AS cached, sum(output_tokens)::bigint AS output, sum(units)::bigint AS units,
       sum(cost_nano)::bigint AS cost
FROM usage_tally
WHERE organization_id = :organization_id AND bucket >= :begins AND bucket < :ends AND mode = 'live'
GROUP BY model, price_version
""")


@dataclass(frozen=True, slots=True)
class Line:
    """What one model under one price version came to. Tokens are counts; `amount_nano` is nano-USD, not rounded.

    `units` are of what the price names as its unit: images, seconds, characters, documents.
    `derived_nano` is the same amount summed from the usage itself; None once the tallies are gone (13 months).
    """

    model: str
    price: PriceVersion | None
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    units: int
    amount_nano: int
    derived_nano: int | None


@dataclass(frozen=True, slots=True)
class Bill:
    """One organization's month. `total_cents` is the only rounded amount; `growing` until the month is over."""

    month: Month
    lines: tuple[Line, ...]
    total_nano: int
    total_cents: int
    growing: bool

    @property
    def holds(self) -> bool:
        """True when every line equals what its usage derives; nothing is invoiced otherwise."""
        return all(line.derived_nano in (None, line.amount_nano) for line in self.lines)


async def bill(tx: Tx, organization_id: UUID, month: Month) -> Bill:
    """Return an organization's bill for a calendar month (UTC)."""
    window = {"organization_id": organization_id, "begins": month.begins, "ends": month.ends}
    days = {"organization_id": organization_id, "first": month.begins.date(), "after": month.ends.date()}
    used = {(row.model, row.price_version): row for row in await tx.sql(USED, window)}
    charged = {(row.model, row.price_version): int(row.amount) for row in await tx.sql(CHARGED, days)}
    known = await rating.versions(tx)
    lines = tuple(
        _line(key, known.get(key), used.get(key), charged.get(key, 0)) for key in sorted(used.keys() | charged.keys())
    )
    total = sum(line.amount_nano for line in lines)
    return Bill(month, lines, total, invoice_cents(total), growing=now() < month.ends)


def _line(key: tuple[str, int], price: PriceVersion | None, used: Row[Any] | None, amount: int) -> Line:
    if used is None:
        return Line(key[0], price, 0, 0, 0, 0, 0, amount, None)
    counts = (used.requests, used.input, used.cached, used.output, used.units)
    return Line(key[0], price, *counts, amount, int(used.cost))
