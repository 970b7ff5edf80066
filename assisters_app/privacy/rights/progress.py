"""How far a person's export is: told in Valkey while it runs, so that the page shows it, also after a reload.

    progress = Progress(account_id); progress.rows += 500; await progress.tell()
    latest(account_id) -> Seen | None       what was told last; None an hour after it ended

The name it is told under is a keyed hash, and it holds counts alone: an export that is still running when its account
is erased brings nothing back that leads to anybody.
"""

import dataclasses
import logging
import time
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import orjson
import redis.asyncio as redis

from assisters_app.base import ids
from assisters_app.base.clock import now
from assisters_app.base.crypto import keyed_hash
from assisters_app.base.valkey import valkey

State = Literal["waiting", "reading", "sending", "done", "broken"]
EVERY = 0.5  # seconds between two tellings
KEPT = 3600  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """How far an export is: `rows` of `of` are read (each counts once a form), `sent` of `made` bytes have gone out."""

    id: str
    state: State
    rows: int
    of: int
    made: int
    sent: int
    began_at: str  # ISO 8601, UTC
    seconds: float  # since it began

    @property
    def part(self) -> int:
        """Percent of the rows that are read; all of them once they are."""
        return 100 if self.state in ("sending", "done") else min(99, self.rows * 100 // max(self.of, 1))


class Progress:
    """What the two sides of one export count; told at most twice a second."""

    def __init__(self, account_id: UUID) -> None:
        self._name = _name(account_id)
        self._id = ids.handle("exp")
        self._began, self._began_at, self._told = time.monotonic(), now(), 0.0
        self.state: State = "waiting"
        self.rows = self.of = self.made = self.sent = 0

    async def tell(self, *, at_once: bool = False) -> None:
        """Say where things are; nothing is lost when it cannot be said."""
        if not at_once and time.monotonic() - self._told < EVERY:
            return
        self._told = time.monotonic()
        try:
            await valkey().set(self._name, orjson.dumps(dataclasses.asdict(self.seen())), ex=KEPT)
        except redis.RedisError:
            logger.warning("The progress of an export could not be told.")

    def seen(self) -> Seen:
        """Return what is told."""
        return Seen(
            id=self._id,
            state=self.state,
            rows=self.rows,
            of=self.of,
            made=self.made,
            sent=self.sent,
            began_at=self._began_at.isoformat(),
            seconds=round(time.monotonic() - self._began, 1),
        )


async def latest(account_id: UUID) -> Seen | None:
    """Return how far the person's latest export is, for an hour after its last step."""
    try:
        told = await valkey().get(_name(account_id))
    except redis.RedisError:
        return None
    return Seen(**orjson.loads(told)) if told else None


def _name(account_id: UUID) -> str:
    return f"export:{keyed_hash('export-progress', str(account_id))[:32]}"
