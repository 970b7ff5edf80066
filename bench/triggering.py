"""What looking at the account costs a commit that writes a row of somebody (migration 0019), as a ratio.

    PYTHONPATH=. DATABASE_URL=… python bench/triggering.py [pairs]

Pairs of transactions, one row of the trail each, into two empty copies of its table that differ in the trigger alone.
Which comes first changes from pair to pair, so that both see the same machine; nothing stays. Each row names an account
twice, as who did it and to whom. Last line: `with=… without=… µs; ratio=…` (medians).
"""

import os
import statistics
import sys
import time

import psycopg
from psycopg import sql

from assisters_app.base.ids import new_id

WITH, WITHOUT = sql.Identifier("assisters", "bench_with"), sql.Identifier("assisters", "bench_without")
COPY = sql.SQL("CREATE TABLE {} (LIKE assisters.trail_entry INCLUDING ALL)")
TRIGGER = sql.SQL(
    "CREATE CONSTRAINT TRIGGER of_the_living AFTER INSERT ON {} DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION assisters.of_the_living('account_id', 'actor_id')"
)
WRITE = sql.SQL(
    "INSERT INTO {} (id, created_at, account_id, actor_id, action, details, ip) "
    "VALUES (%s, now(), %s, %s, 'bench:row', '{{}}', '')"
)
PAIRS = 2000


def main() -> None:
    """Measure, then drop what was written."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        whose = database.execute("SELECT id FROM assisters.account LIMIT 1").fetchone()
        if whose is None:
            sys.exit("There is no account to write about: run `python -m assisters_app seed` first.")
        for table in (WITH, WITHOUT):
            database.execute(COPY.format(table))
        database.execute(TRIGGER.format(WITH))
        database.commit()
        took: tuple[list[float], list[float]] = ([], [])
        try:
            for number in range(2 * pairs):
                which = (0, 1, 1, 0)[number % 4]
                write = WRITE.format((WITH, WITHOUT)[which])
                begun = time.perf_counter()
                database.execute(write, (new_id(), whose[0], whose[0]))
                database.commit()
                took[which].append(time.perf_counter() - begun)
        finally:
            database.rollback()
            for table in (WITH, WITHOUT):
                database.execute(sql.SQL("DROP TABLE {}").format(table))
            database.commit()
    on, off = (statistics.median(each) * 1e6 for each in took)
    print(f"with={on:,.0f} without={off:,.0f} µs; ratio={on / off:.3f}; {pairs} pairs")


main()
