"""Events: the terminal record of each API call, written once, and the quarter-hour tallies that charts read.

Event                                  one call's record; travels as JSON through the stream
insert(tx, events) -> list[Event]      writes what is new, and what is better known now; a duplicate changes nothing
invariants(tx) -> list[Invariant]      whether events and tallies still say the same
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.base.marks import REQUEST_LOGS
from assisters_app.usage import ddl
from assisters_app.usage.tables import UsageEvent, UsageTally

QUARTER = timedelta(minutes=15)
OUTCOMES = frozenset({"completed", "failed", "client_disconnected", "interrupted", "refused"})
SUMS = ("requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "units", "cost_nano", "duration_ms")
PROVISIONAL = ("interrupted", 500)  # outcome and status of what the reaper ended; a process's own say 499
FAILED_FROM = 400  # the first HTTP status that counts as an error
MORE_THAN_FITS = 2**63  # into a column

_whose = lru_cache(maxsize=16_384)(UUID)  # organizations and keys come again and again


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one API call. Tokens are counts, `cost_nano` nano-USD under `price_version`, times milliseconds.

    `at` is when it was admitted (UTC); `outcome` is one of OUTCOMES; `units` count what `unit` names (image, second,
    character, document; '' where only tokens are counted); `estimated` says that the counts are ours because the
    upstream did not tell.
    """

    request_id: UUID
    at: datetime
    organization_id: UUID
    key_id: UUID
    mode: str
    endpoint: str
    model: str
    status: int
    outcome: str
    error_code: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    units: int = 0
    unit: str = ""
    estimated: bool = False
    cost_nano: int = 0
    price_version: int = 0
    stream: bool = False
    duration_ms: int = 0
    first_token_ms: int | None = None
    overhead_ms: float = 0.0
    ip: str = ""
    user_agent: str = ""

    def to_json(self) -> str:
        """Return the event as one line of JSON."""
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, line: str) -> "Event":
        """Read an event; raise ValueError when the line is not one."""
        given = orjson.loads(line)
        try:
            given["request_id"] = UUID(given["request_id"])
            given["at"] = datetime.fromisoformat(given["at"])
            given["organization_id"], given["key_id"] = _whose(given["organization_id"]), _whose(given["key_id"])
            event = cls(**given)
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError("The record is not an event.") from problem
        event.require_sound()
        return event

    def require_sound(self) -> None:
        """Raise ValueError when a value is one that no call of ours can have."""
        tokens = (self.input_tokens, self.cached_tokens, self.output_tokens)
        for count in (*tokens, self.units, self.cost_nano, self.duration_ms):
            if type(count) is not int or not 0 <= count < MORE_THAN_FITS:
                raise ValueError("The record holds a count that no call can have.")
        if self.outcome not in OUTCOMES or self.at.tzinfo is None or type(self.status) is not int:
            raise ValueError("The record holds a value that no call can have.")

    @property
    def provisional(self) -> bool:
        """Say whether the reaper wrote it, for a process that never said how the call ended; should it, that counts."""
        return (self.outcome, self.status) == PROVISIONAL

    @property
    def handle(self) -> str:
        """Return the id as callers and logs see it."""
        return handle(self.request_id)

    @property
    def bucket(self) -> datetime:
        """Return the start of the quarter hour (UTC) that the event belongs to."""
        return quarter(self.at)


_NAMES = frozenset(field.name for field in fields(Event))
_COLUMNS = ", ".join(sorted(_NAMES))

# A batch travels as one JSON text, written and read by C: twenty-five parameters a row cost five times as much. In one
# order, so that two workers with the same calls wait for each other and never in a ring. Which ones were written is
# told only when some were not: reading their ids takes longer than writing the rows did.
WRITE = text(f"""
WITH written AS (
  INSERT INTO usage_event ({_COLUMNS}, ingested_at)
  SELECT {_COLUMNS}, :arrived FROM json_populate_recordset(CAST(NULL AS usage_event), CAST(:events AS json))
  ORDER BY request_id ON CONFLICT DO NOTHING RETURNING request_id
)
SELECT CASE WHEN count(*) < :asked THEN coalesce(array_agg(request_id), '{{}}') END FROM written
""")  # noqa: S608 (the names are those of the class above)


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must be true of the books: `holds` says whether it is, `sentence` what was found."""

    name: str
    holds: bool
    sentence: str


def handle(request_id: UUID) -> str:
    """Return a request's id as the X-Request-ID header shows it."""
    return f"req_{request_id.hex}"


def request_id(handle: str) -> UUID:
    """Return the id of the request that the X-Request-ID header showed so; raise NotFound for anything else."""
    if not re.fullmatch("req_[0-9a-f]{32}", handle):
        raise NotFound("request")
    return UUID(hex=handle[4:])


def quarter(at: datetime) -> datetime:
    """Return the start of the quarter hour (UTC) that `at` lies in."""
    utc = at.astimezone(UTC)
    return utc.replace(minute=utc.minute - utc.minute % 15, second=0, microsecond=0)


async def insert(tx: Tx, events: Sequence[Event]) -> list[Event]:
    """Write the events that are not there yet, add them to the tallies, and return them in the order given.

    An event that was provisional until now is replaced by the one that is not, and returned too: nothing was charged
    for it before.
    """
    unique: dict[UUID, Event] = {}
    for event in events:
        same = unique.setdefault(event.request_id, event)
        if same is not event and same.provisional:
            unique[event.request_id] = event
    if not unique:
        return []
    asked = list(unique.values())
    await ddl.make_room(tx, (event.at for event in asked))
    batch = {"events": orjson.dumps(asked).decode(), "arrived": now(), "asked": len(asked)}
    written = (await tx.sql(WRITE, batch)).scalar_one()
    there = set[UUID]() if written is None else unique.keys() - set(written)
    new = [event for event in asked if event.request_id not in there] if there else asked
    await add_to_tallies(tx, new)
    known = [unique[request_id] for request_id in unique if request_id in there]
    return new + [event for event in known if not event.provisional and await _replace(tx, event)]


async def _replace(tx: Tx, event: Event) -> bool:
    """Put `event` where a provisional one stands; False when none does."""
    table = UsageEvent.__table__  # type: ignore[attr-defined]
    here = (table.c.request_id == event.request_id) & (table.c.at == event.at)
    outcome, status = PROVISIONAL
    waits = here & (table.c.outcome == outcome) & (table.c.status == status)
    found = (await tx.sql(table.select().where(waits).with_for_update())).one_or_none()
    if found is None:
        return False
    before = Event(**{name: value for name, value in found._mapping.items() if name in _NAMES})  # noqa: SLF001 (its documented name)
    await tx.sql(table.update().where(here).values(**asdict(event), ingested_at=now()))
    await add_to_tallies(tx, [before], sign=-1)
    await add_to_tallies(tx, [event])
    return True


async def add_to_tallies(tx: Tx, new: Iterable[Event], *, sign: Literal[1, -1] = 1) -> None:
    """Count events that are not counted yet, or with -1 take back what was counted.

    Used alone only for a past whose events are no longer kept.
    """
    sums: defaultdict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * len(SUMS))
    bucket = datetime.min.replace(tzinfo=UTC)
    for event in new:
        if not timedelta(0) <= event.at - bucket < QUARTER:  # most are of the quarter hour of the one before
            bucket = event.bucket
        key = (
            event.organization_id,
            bucket,
            event.key_id,
            event.model,
            event.endpoint,
            event.mode,
            event.price_version,
        )
        into = sums[key]
        for index, amount in enumerate(_amounts(event)):
            into[index] += sign * amount
    if not sums:
        return
    table = UsageTally.__table__  # type: ignore[attr-defined]
    names = [column.name for column in table.primary_key]
    rows = [dict(zip((*names, *SUMS), (*key, *amounts), strict=True)) for key, amounts in sums.items()]
    rows.sort(key=lambda row: [str(row[name]) for name in names])  # one order for all workers: no deadlock
    write = pg_insert(UsageTally)
    added = {name: table.c[name] + write.excluded[name] for name in SUMS}
    await (await tx.connection()).execute(write.on_conflict_do_update(index_elements=names, set_=added), rows)


def _amounts(event: Event) -> tuple[int, ...]:
    return (
        1,
        int(event.status >= FAILED_FROM),
        event.input_tokens,
        event.cached_tokens,
        event.output_tokens,
        event.units,
        event.cost_nano,
        event.duration_ms,
    )


async def invariants(tx: Tx) -> list[Invariant]:
    """Compare events with tallies over the whole quarter hours that events are kept for.

    Older events are there only for a moment, because they came late, or under a legal hold: without their neighbours.
    """
    oldest = REQUEST_LOGS.cutoff(now())
    since = oldest - (oldest - datetime.min.replace(tzinfo=UTC)) % ddl.HALF
    found = (
        await (await tx.connection()).execute(
            text(
                """
                WITH kept AS (SELECT date_bin('15 minutes', min(at), '2000-01-01 00:00+00') AS since
                              FROM usage_event WHERE at >= :since),
                events AS (SELECT count(*) n, coalesce(sum(cost_nano), 0) cost,
                                  coalesce(sum(input_tokens + output_tokens), 0) tokens,
                                  coalesce(sum(units), 0) units FROM usage_event WHERE at >= :since),
                tallies AS (SELECT coalesce(sum(requests), 0) n, coalesce(sum(cost_nano), 0) cost,
                                   coalesce(sum(input_tokens + output_tokens), 0) tokens,
                                   coalesce(sum(units), 0) units
                            FROM usage_tally, kept WHERE bucket >= kept.since)
                SELECT events.n, tallies.n, events.cost, tallies.cost, events.tokens, tallies.tokens,
                       events.units, tallies.units
                FROM events, tallies
                """
            ),
            {"since": since},
        )
    ).one()
    pairs = zip(("requests", "nano-USD", "tokens", "units"), found[::2], found[1::2], strict=True)
    return [
        Invariant(f"events = tallies ({what})", left == right, f"{left} {what} in the events, {right} in the tallies")
        for what, left, right in pairs
    ]
