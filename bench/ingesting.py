"""How fast the worker writes what the API has left in the stream, against how fast the API can leave it there."""

import asyncio
import time
from dataclasses import dataclass

from assisters_app.base import db, memory, valkey
from assisters_app.gateway import ingest

LONGEST = 12.0  # seconds


@dataclass(frozen=True, slots=True)
class Ingest:
    """`rate` in records a second, `cpu` in seconds of the worker's per record, `left` what still waits."""

    records: int
    rate: float
    cpu: float
    left: int

    def sentence(self, peak: float | None) -> str:
        """Say it, and how many times the API's own peak it is."""
        times = f", {self.rate / peak:.1f} times what the API alone produces at full load" if peak else ""
        return (
            f"Ingest, one worker: {self.rate:.0f} records/s ({self.records} of the records that the load left behind, "
            f"{self.cpu * 1e6:.0f} µs of CPU each){times}."
        )


def measure() -> Ingest:
    """Write records for some seconds, as the worker does."""
    return asyncio.run(_measure())


async def _measure() -> Ingest:
    try:
        await ingest.run_once()  # makes its group, opens its connections
        memory.settle()  # as the worker does
        began, cpu = time.perf_counter(), time.process_time()
        written = sum(await asyncio.gather(*(_write_until(began + LONGEST) for _ in range(ingest.WRITERS))))
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
        left = (await ingest.backlog()).waiting
        return Ingest(written, written / seconds, spent / max(written, 1), left)
    finally:
        await valkey.close()
        await db.dispose()


async def _write_until(end: float) -> int:
    written = 0
    while time.perf_counter() < end and (batch := await ingest.run_once()):
        written += batch
    return written
