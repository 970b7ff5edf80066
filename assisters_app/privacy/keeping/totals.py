"""Totals of a month over everybody: what is left of usage when its people are gone (policy 2.7, 4.4).

    add_up(tx, month) -> int         makes a month's totals, once; returns how many

Usage analytics lead to an organization, and go with it. What a month came to for each model is added up when it is
over, over all organizations together, and kept without any of them: a model that fewer than SMALLEST of them have
called, or of which one has made nearly all calls, is counted together with others like it, or not at all.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from assisters_app.base import jobs
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx, transaction
from assisters_app.privacy.keeping.tables import UsageTotal

SMALLEST = 10  # organizations that a total is made of, at least
LARGEST_SHARE = 0.8  # of a total's requests that one organization may have made: else the total is about it
SETTLED = timedelta(days=2)  # after a month's end, when late calls have come in

MODELS = text("""
SELECT model, organization_id, sum(requests) AS requests, sum(errors) AS errors, sum(input_tokens) AS input_tokens,
       sum(output_tokens) AS output_tokens, sum(units) AS units
FROM usage_tally WHERE bucket >= :begins AND bucket < :ends AND mode = 'live' GROUP BY 1, 2
""")
ADD_UP = """
WITH each AS ({models}), named AS (
  SELECT model FROM each GROUP BY model
  HAVING count(*) >= :smallest AND max(requests) <= :share * sum(requests)),
own AS (
  SELECT coalesce(named.model, '') AS model, each.organization_id, sum(each.requests) AS requests,
         sum(each.errors) AS errors, sum(each.input_tokens) AS input_tokens,
         sum(each.output_tokens) AS output_tokens, sum(each.units) AS units
  FROM each LEFT JOIN named USING (model) GROUP BY 1, 2)
SELECT model, count(*) AS organizations, sum(requests) AS requests, sum(errors) AS errors,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(units) AS units
FROM own GROUP BY model HAVING count(*) >= :smallest AND max(requests) <= :share * sum(requests)
"""


@jobs.job("usage.totals", every="20 3 * * *")
async def add_up_last_month() -> None:
    """Add the last month up, once it is over and its late calls have come in."""
    async with transaction() as tx:
        await add_up(tx, months_later(_month(now() - SETTLED), -1))


async def add_up(tx: Tx, month: datetime) -> int:
    """Make the totals of a month that is over, unless they are there; return how many. `month` is its first moment."""
    if (await tx.exec(select(UsageTotal.month).where(UsageTotal.month == month).limit(1))).first():
        return 0
    between: dict[str, Any] = {"begins": month, "ends": months_later(month, 1)}
    groups = text(ADD_UP.format(models=MODELS.text))
    found = (await tx.sql(groups, {**between, "smallest": SMALLEST, "share": LARGEST_SHARE})).mappings().all()
    tx.add_all(UsageTotal(month=month, **{name: _whole(value) for name, value in row.items()}) for row in found)
    return len(found)


def _whole(value: Any) -> Any:  # noqa: ANN401 (a name, or a sum, which the database returns as a decimal)
    return value if isinstance(value, str) else int(value)


def _month(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
