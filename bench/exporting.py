"""How copies of many rows fare: `python bench/exporting.py [ROWS]`, by default a million calls of one person.

Beside it PostgreSQL's own COPY hands out the same table once, as CSV, uncompressed: the least that reading it can cost.
An export writes each row twice (JSON Lines and CSV), hashes, packs and seals it.
"""

import asyncio
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from house import open_house
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.signing_up import open_account
from assisters_app.accounts.tables import Membership
from assisters_app.base import db, valkey
from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.privacy.rights import access, archive, export
from assisters_app.usage import ddl

ROWS = 1_000_000
OVER = 29  # days
CALLS = """
    INSERT INTO usage_event (request_id, at, organization_id, key_id, mode, endpoint, model, status, outcome,
        error_code, input_tokens, cached_tokens, output_tokens, estimated, cost_nano, price_version, stream,
        duration_ms, overhead_ms, ip, user_agent, ingested_at)
    SELECT gen_random_uuid(), at, :organization_id, :key_id, 'live', '/v1/chat/completions', 'assisters-chat', 200,
        'completed', '', (random() * 4000)::int, 0, (random() * 900)::int, false, (random() * 1e7)::bigint, 1,
        n % 2 = 0, (random() * 3000)::int, random() * 4, '192.0.2.' || n % 250, 'OpenAI/Python 3.54.0', at
    FROM (SELECT n, now() - n * (interval '1 day' * :days / :rows) AS at FROM generate_series(1, :rows) n) calls
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One export: seconds to its first byte, to its end, and of this process's time; bytes; growth in MiB."""

    first: float
    whole: float
    spent: float
    size: int
    grown: float


def main() -> None:
    """Fill a house with calls of one person, export them, and say how that went."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as place, open_house(Path(place), "http://127.0.0.1:9/v1"):
        asyncio.run(_measure(rows))


async def _measure(rows: int) -> None:
    try:
        await _exported(await _begun(await _person_with_calls(1)))  # what is imported and opened once is no part of it
        person = await _person_with_calls(rows)
        made = [await _exported(await _begun(person), level) for level in (archive.LEVEL, 6)]
        copied, read = await _copied(), await _read(person)
    finally:
        await valkey.close()
        await db.dispose()
    ours, usual = made
    print(f"The readable copy (policy 6.1), with the newest rows of each table and the count of all: {read:.2f} s.")
    print(
        f"{rows:,} calls: first byte after {ours.first * 1e3:.0f} ms, whole after {ours.whole:.1f} s "
        f"({rows / ours.whole:,.0f} rows/s, {ours.size / 2**20:.1f} MiB), {ours.grown:.0f} MiB more memory; "
        f"{ours.whole / copied:.1f} times as long as COPY alone; "
        f"{ours.spent / rows * 1e6:.1f} µs of this process's time a row."
    )
    print(
        f"Packed as usual (level 6): {usual.whole / ours.whole:.2f} times as long, "
        f"{usual.size / ours.size:.2f} times as large."
    )


async def _person_with_calls(rows: int) -> Person:
    async with db.transaction() as tx:
        account = await open_account(tx, f"{rows}-calls@example.com")
        assert account is not None
        membership = (await tx.exec(select(Membership).where(Membership.account_id == account.id))).one()
        person = Person(
            account_id=account.id,
            session_id=new_id(),
            email=account.email,
            name="",
            role="member",
            organization_id=membership.organization_id,
            organization_name="Personal",
            verified=True,
            reauthenticated_at=now(),
            time_zone="UTC",
        )
    async with db.transaction() as tx:
        await ddl.make_room(tx, [now() - n * ddl.A_DAY for n in range(OVER + 1)])
        named = {"organization_id": person.organization_id, "key_id": new_id(), "rows": rows, "days": OVER}
        await tx.sql(text(CALLS), named)
    return person


async def _begun(person: Person) -> export.Export:
    async with db.transaction() as tx:
        return await export.begin(tx, person)


async def _exported(asked: export.Export, level: int = archive.LEVEL) -> Made:
    archive.LEVEL, usual = level, archive.LEVEL
    before, began, first, size = _memory(), time.perf_counter(), 0.0, 0
    worked = time.process_time()
    try:
        async for part in export.stream(asked):
            first = first or time.perf_counter() - began
            size += len(part)
    finally:
        archive.LEVEL = usual
    return Made(first, time.perf_counter() - began, time.process_time() - worked, size, _memory() - before)


async def _copied() -> float:
    began = time.perf_counter()
    async with db.transaction() as tx:
        raw = (await (await tx.connection()).get_raw_connection()).driver_connection
        async with raw.cursor() as cursor, cursor.copy("COPY (SELECT * FROM usage_event) TO STDOUT CSV") as copy:
            async for _ in copy:
                pass
    return time.perf_counter() - began


async def _read(person: Person) -> float:
    began = time.perf_counter()
    async with db.transaction() as tx:
        await access.copy(tx, person)
    return time.perf_counter() - began


def _memory() -> float:
    """Return the most memory this process ever had, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


if __name__ == "__main__":
    main()
