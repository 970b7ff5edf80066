"""What must always be true of money; `doctor` and a page show it, and nothing is invoiced while one is false.

check(tx) -> list[Invariant]         each is one query, so each sees the database at one moment
"""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import TextClause, text

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.billing.inbox import LOUD
from assisters_app.usage.events import Invariant

EVENTS_KEPT = timedelta(days=29)  # whole days of events that no sweep has begun to drop
TALLIES_KEPT = timedelta(days=360)  # the same of tallies, kept 13 months


ZERO = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE total <> 0 OR entries < 2) AS broken FROM (
  SELECT sum(e.amount_nano) AS total, count(e.id) AS entries
  FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id GROUP BY t.id) movements
""")
BALANCES = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE wallet <> moved) AS broken FROM (
  SELECT e.organization_id, sum(e.amount_nano) FILTER (WHERE e.account = 'wallet') AS wallet,
         -sum(e.amount_nano) FILTER (WHERE e.account <> 'wallet') AS moved
  FROM ledger_entry e GROUP BY e.organization_id) wallets
""")
TOP_UPS = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE ordered IS DISTINCT FROM granted) AS broken FROM (
  SELECT o.amount_cents * 10000000::bigint AS ordered,
         (SELECT sum(e.amount_nano) FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
          WHERE t.cause = 'topup:' || o.payment_intent_id AND e.account = 'wallet') AS granted
  FROM top_up o WHERE o.state IN ('paid', 'refunded') AND o.payment_intent_id IS NOT NULL AND o.paid_at >= :tallies
) orders
""")
EVENTS_AND_TALLIES = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE a.cost IS DISTINCT FROM b.cost) AS broken
FROM (SELECT organization_id, (at AT TIME ZONE 'UTC')::date AS day, sum(cost_nano) AS cost
      FROM usage_event WHERE at >= :events GROUP BY 1, 2 HAVING sum(cost_nano) <> 0) a
FULL JOIN (SELECT organization_id, (bucket AT TIME ZONE 'UTC')::date AS day, sum(cost_nano) AS cost
      FROM usage_tally WHERE bucket >= :events GROUP BY 1, 2 HAVING sum(cost_nano) <> 0) b
USING (organization_id, day)
""")
TALLIES_AND_LEDGER = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE a.cost IS DISTINCT FROM b.cost) AS broken
FROM (SELECT organization_id, model, price_version, (bucket AT TIME ZONE 'UTC')::date AS day, sum(cost_nano) AS cost
      FROM usage_tally WHERE bucket >= :tallies GROUP BY 1, 2, 3, 4 HAVING sum(cost_nano) <> 0) a
FULL JOIN (SELECT t.organization_id, t.model, t.price_version, t.day, sum(e.amount_nano) AS cost
      FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.account = 'revenue'
      JOIN organization o ON o.id = t.organization_id
      WHERE t.kind = 'usage' AND t.day >= CAST(:tallies AS timestamptz)::date GROUP BY 1, 2, 3, 4) b
USING (organization_id, model, price_version, day)
""")
RERATED = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE p.id IS NULL OR (u.units <> 0 AND u.unit <> p.unit) OR
    u.cost_nano * 1000000::numeric <> u.units * p.unit_nano * 1000000::numeric +
    (u.input_tokens - u.cached_tokens) * p.input_nano_per_million::numeric
    + u.cached_tokens * p.cached_nano_per_million::numeric + u.output_tokens * p.output_nano_per_million::numeric
  ) AS broken
FROM usage_event u LEFT JOIN price p ON p.model = u.model AND p.version = u.price_version
WHERE u.at >= :events AND u.cost_nano <> 0
""")
INBOX = text("""
SELECT count(*) AS checked, count(*) FILTER (WHERE handled_at IS NULL AND received_at < :loud) AS broken
FROM stripe_event
""")

CHECKS: tuple[tuple[str, str, TextClause], ...] = (
    ("Every ledger transaction adds up to zero", "transactions", ZERO),
    ("Every balance is the sum of its ledger entries", "wallets", BALANCES),
    ("Every paid top-up was granted once, in full", "top-ups", TOP_UPS),
    ("Events and tallies cost the same", "days", EVENTS_AND_TALLIES),
    ("Tallies and the ledger's usage cost the same", "days by model and price", TALLIES_AND_LEDGER),
    ("Every charged event follows from its price version", "events", RERATED),
    ("Every payment notice was handled within the hour", "notices", INBOX),
)


async def check(tx: Tx) -> list[Invariant]:
    """Return each invariant with whether it holds now. Events are compared for 29 days, tallies for 360."""
    moments = {"events": _midnight(EVENTS_KEPT), "tallies": _midnight(TALLIES_KEPT), "loud": now() - LOUD}
    found = []
    for name, unit, query in CHECKS:
        wanted = {key: value for key, value in moments.items() if f":{key}" in query.text}
        row = (await tx.sql(query, wanted)).one()
        told = f"{row.broken} of {row.checked} {unit} are wrong" if row.broken else f"{row.checked} {unit} checked"
        found.append(Invariant(name, row.broken == 0, told))
    return found


def _midnight(ago: timedelta) -> datetime:
    return datetime.combine((now() - ago).date(), time(), UTC)
