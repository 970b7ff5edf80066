"""How long this disk takes to flush a small write, by itself: a metered call waits for two, one after the other.

What a call waits for is Valkey's append-only file, flushed before each answer: once for the hold, once for the record.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

MANY = 500
WRITTEN = b"x" * 512  # bytes, about what a call appends


@dataclass(frozen=True, slots=True)
class Flush:
    """Milliseconds."""

    p50: float
    p99: float


def measure(place: Path) -> Flush:
    """Append and flush again and again, in a file of its own in `place`."""
    took = []
    file = os.open(place / "flushed", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(MANY):
            os.write(file, WRITTEN)
            began = time.perf_counter()
            os.fdatasync(file)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
    took.sort()
    return Flush(took[MANY // 2], took[MANY * 99 // 100])
