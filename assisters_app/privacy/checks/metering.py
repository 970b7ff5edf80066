"""What is kept of each API call: when, where to, how it ended (1.5), what it used (1.6); what limits count (2.3)."""

from datetime import timedelta

from sqlalchemy import text

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.valkey import valkey
from assisters_app.billing.plans import PLANS
from assisters_app.gateway.admission import WINDOW
from assisters_app.gateway.scripts import TAG
from assisters_app.privacy import promises
from assisters_app.privacy.promises import Broken
from assisters_app.usage.events import quarter
from assisters_app.usage.tables import UsageEvent

LATELY = timedelta(hours=1)  # what is looked at of the request log: each of its hours comes under the eye four times
LONGEST = 300  # characters that a column of the request log may hold: no prompt, and no answer, fits
MOST_LOOKED_AT = 1_000  # counters in one look; there may be one for each key

COLUMNS = text("""
SELECT column_name AS name, data_type AS kind, character_maximum_length AS most FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'usage_event'
""")
INCOMPLETE = text("""
SELECT count(*) AS rows, count(DISTINCT request_id) AS requests,
       count(*) FILTER (WHERE endpoint NOT LIKE '/v1/%' OR status NOT BETWEEN 100 AND 599) AS incomplete
FROM usage_event WHERE at >= :since
""")
SUMS = text("""
SELECT e.requests, e.tokens, e.units, e.nano, t.requests, t.tokens, t.units, t.nano
FROM (SELECT count(*) AS requests, coalesce(sum(input_tokens + output_tokens), 0) AS tokens,
             coalesce(sum(units), 0) AS units, coalesce(sum(cost_nano), 0) AS nano
      FROM usage_event WHERE at >= :since) e,
     (SELECT coalesce(sum(requests), 0) AS requests, coalesce(sum(input_tokens + output_tokens), 0) AS tokens,
             coalesce(sum(units), 0) AS units, coalesce(sum(cost_nano), 0) AS nano
      FROM usage_tally WHERE bucket >= :since) t
""")


@promises.check("1.5", says="The request log has one complete row for each call, and no column with room for content.")
async def calls_are_logged_without_content(tx: Tx) -> str:
    """Read the table's columns from the database's own catalogue, and the last hour of it."""
    found = (await tx.sql(COLUMNS)).all()
    if {column.name for column in found} != {column.name for column in UsageEvent.__table__.columns}:  # type: ignore[attr-defined]
        raise Broken("The request log has other columns than were written down.")
    roomy = [one.name for one in found if (one.most or 0) > LONGEST or one.kind in ("text", "json", "jsonb", "bytea")]
    if roomy:
        raise Broken(f"The column {roomy[0]} of the request log has room for content.")
    lately = (await tx.sql(INCOMPLETE, {"since": now() - LATELY})).one()
    if lately.incomplete or lately.rows != lately.requests:
        raise Broken(f"{lately.incomplete + lately.rows - lately.requests} calls are logged twice or incompletely.")
    return f"{lately.rows} calls in an hour, one row each; {len(found)} columns, none with room for content"


@promises.check("1.6", says="Usage adds up: the calls of the last hour come to the sums that bills are made of.")
async def usage_adds_up(tx: Tx) -> str:
    """Compare events with tallies, in one statement and so at one moment."""
    found = tuple((await tx.sql(SUMS, {"since": quarter(now() - LATELY)})).one())
    if found[:4] != found[4:]:
        raise Broken("The calls of the last hour and their sums differ.")
    return f"{found[0]} calls with {found[1]} tokens, the same in both"


@promises.check("2.3", says="Every plan has limits, and what is counted for them is forgotten within a minute.")
async def limits_are_counted_and_forgotten(tx: Tx) -> str:  # noqa: ARG001 (the counters are in Valkey)
    """Look at the counters: one that never ended would be a profile of somebody's habits."""
    for name, plan in PLANS.items():
        if min(plan.requests_per_minute, plan.tokens_per_minute, plan.concurrency) < 1:
            raise Broken(f"The plan {name} has no limit.")
    looked_at = 0
    async for counter in valkey().scan_iter(f"{TAG}:limits:*", count=MOST_LOOKED_AT):
        left = await valkey().ttl(counter)
        if left > WINDOW or left == -1:
            raise Broken(f"A counter stays for longer than the {WINDOW} seconds that it counts.")
        looked_at += 1
        if looked_at == MOST_LOOKED_AT:
            break
    return f"{len(PLANS)} plans have limits; {looked_at} counters at this moment, each gone within {WINDOW} seconds"
