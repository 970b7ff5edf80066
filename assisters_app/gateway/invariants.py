"""What must always be true between Valkey and the books.

check(tx) -> list[Invariant]
"""

from datetime import UTC, datetime

from assisters_app.base.db import Tx
from assisters_app.base.valkey import valkey
from assisters_app.gateway import spool
from assisters_app.gateway.ingest import backlog
from assisters_app.gateway.scripts import COUNTS, OPEN
from assisters_app.usage import events
from assisters_app.usage.events import Invariant


async def check(tx: Tx) -> list[Invariant]:
    """Return each invariant with whether it holds now."""
    return [await _admitted(), await _nothing_parked(), _nothing_damaged(), *await events.invariants(tx)]


async def _admitted() -> Invariant:
    async with valkey().pipeline(transaction=True) as together:
        together.hgetall(COUNTS)
        together.zcard(OPEN)
        counts, still_open = await together.execute()
    admitted, settled, late = (int(counts.get(name, 0)) for name in ("admitted", "settled", "late"))
    began = datetime.fromtimestamp(int(counts.get("since", 0)), UTC)
    since = began.strftime("%Y-%m-%d %H:%M") if "since" in counts else "it began"
    sentence = f"{admitted} admitted, {settled} settled, {still_open} open since {since}; {late} came late"
    return Invariant("admitted = settled + open", admitted == settled + still_open, sentence)


async def _nothing_parked() -> Invariant:
    waiting = await backlog()
    sentence = f"{waiting.parked} records parked, {waiting.waiting} waiting to be written"
    return Invariant("no record is parked", waiting.parked == 0, sentence)


def _nothing_damaged() -> Invariant:
    here = spool.waiting()
    sentence = f"on this host's disk {here.records} records wait for Valkey, {here.damaged} lines cannot be read"
    return Invariant("every spool can be read", here.damaged == 0, sentence)
