"""Usage as people look at it: totals, series and shares from the tallies, and the request log from the events.

    whose = reports.own(person) | reports.everyone(grace) | reports.organization(grace, organization_id)

    totals(tx, whose, period, only) -> Sums
    comparison(tx, whose, period, only) -> Comparison            this period and the one before
    series(tx, whose, period, only) -> Series                    one point per bucket, empty ones included
    series_by(tx, whose, period, "model", only) -> list[Series]  the largest first, at most `most`, the rest as one
    shares(tx, whose, period, "key", only) -> list[Share]        by key, model, endpoint, mode or organization
    key_sparklines(tx, whose, period) -> dict[UUID, Series]
    log(tx, whose, log_filter, after=cursor, size=50) -> LogPage the request log, newest first
    request(tx, whose, request_id) -> LogRow                     raises NotFound
    table(tx, whose, period, by, only) -> list[Row]              buckets split by any of the dimensions
    minutes(tx, whose, span, by, only) -> list[Row]              the same by the minute, from the events
    at_most(tx, whose, span, most) -> datetime                   until when a span holds no more calls than that
    csv_rows(tx, whose, period, only) -> AsyncIterator[tuple]    the table behind the charts, header first

`only` narrows (a `Filter`); it and all others default to everything that is `whose`.
"""

import base64
import binascii
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    DateTime,
    Executable,
    Select,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Organization
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.keys.tables import ApiKey
from assisters_app.usage.events import FAILED_FROM, QUARTER, SUMS, handle, quarter
from assisters_app.usage.periods import Period, before, edges
from assisters_app.usage.tables import UsageEvent, UsageTally

Dimension = Literal["key", "model", "endpoint", "mode", "organization"]
TALLY = UsageTally.__table__  # type: ignore[attr-defined]
EVENT = UsageEvent.__table__  # type: ignore[attr-defined]
COLUMN = {
    "key": TALLY.c.key_id,
    "model": TALLY.c.model,
    "endpoint": TALLY.c.endpoint,
    "mode": TALLY.c.mode,
    "organization": TALLY.c.organization_id,
}
REST = "others"  # the name under which what is too small for a line of its own is summed
LARGEST_PAGE = 200
MINUTE = timedelta(minutes=1)

Span = tuple[datetime, datetime]  # from the first until just before the second, both aware


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose usage is read: one organization's, or everybody's (None). Made by `own`, `organization`, `everyone`."""

    organization_id: UUID | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What is counted; None means all, of several values any. `mode` is live or test."""

    key_id: UUID | tuple[UUID, ...] | None = None
    model: str | tuple[str, ...] | None = None
    endpoint: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What was used. Tokens are counts, `cost_nano` nano-USD, `duration_ms` summed over all requests."""

    requests: int = 0
    errors: int = 0  # answered with status 400 or above
    input_tokens: int = 0
    cached_tokens: int = 0  # of the input tokens
    output_tokens: int = 0
    units: int = 0  # of images, seconds, characters or documents, whichever the endpoint counts
    cost_nano: int = 0
    duration_ms: int = 0

    @property
    def tokens(self) -> int:
        """Return input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def mean_ms(self) -> float:
        """Return the mean duration of a request in milliseconds, 0 when there was none."""
        return self.duration_ms / self.requests if self.requests else 0.0

    @property
    def error_rate(self) -> float:
        """Return the share of requests that failed, from 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in SUMS))


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket: `at` is its start in the viewer's zone."""

    at: datetime
    sums: Sums


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart. `key` is the value of the dimension (an id as text), `label` what a person reads."""

    key: str
    label: str
    points: tuple[Point, ...]
    total: Sums


@dataclass(frozen=True, slots=True)
class Share:
    """One slice: a key, model, endpoint, mode or organization, and what it used."""

    key: str
    label: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table behind the charts: `at` is the bucket's start (UTC), `values` one text per dimension."""

    at: datetime
    values: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Comparison:
    """A period beside the one before it."""

    current: Sums
    previous: Sums

    def change(self, name: str) -> float | None:
        """Return how `name` (a field of Sums) changed, 0.25 for a quarter more; None when there was nothing before."""
        was, is_now = getattr(self.previous, name), getattr(self.current, name)
        return (is_now - was) / was if was else None


@dataclass(frozen=True, slots=True)
class Mover:
    """An organization whose spend changed: what it used in this period and in the one before."""

    organization_id: UUID
    handle: str
    current: Sums
    previous: Sums

    @property
    def change_nano(self) -> int:
        """Return by how much the cost changed, in nano-USD."""
        return self.current.cost_nano - self.previous.cost_nano


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines of the request log; None means all. `failed` keeps those with status 400 and above."""

    only: Filter = field(default_factory=Filter)
    period: Period | None = None
    outcome: str | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class LogRow:
    """One request as its owner may see it. Times are milliseconds, `cost_nano` nano-USD, `at` UTC."""

    request_id: UUID
    at: datetime
    key_id: UUID
    key_name: str
    mode: str
    endpoint: str
    model: str
    status: int
    outcome: str
    error_code: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    units: int
    unit: str
    estimated: bool
    cost_nano: int
    price_version: int
    stream: bool
    duration_ms: int
    first_token_ms: int | None
    overhead_ms: float
    ip: str
    user_agent: str

    @property
    def handle(self) -> str:
        """Return the id as the X-Request-ID header showed it."""
        return handle(self.request_id)


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page of the log. `after` is what to ask for the next page with; None on the last."""

    rows: tuple[LogRow, ...]
    after: str | None


def own(person: Person) -> Whose:
    """Return a person's own organization."""
    return Whose(person.organization_id)


def everyone(staff: Person) -> Whose:
    """Return all organizations together; raise NotFound for who may not compare accounts."""
    require(staff, "usage")
    return Whose(None)


def organization(staff: Person, organization_id: UUID) -> Whose:
    """Return another organization, for who may open an account, else NotFound. The caller writes the audit trail."""
    require(staff, "accounts")
    return Whose(organization_id)


async def totals(tx: Tx, whose: Whose, period: Period, only: Filter = Filter()) -> Sums:
    """Return what was used in `period`."""
    found = await _read(tx, select(*_sums()).where(_within(whose, period, only)))
    return Sums(*(int(value) for value in found.one()))


async def comparison(tx: Tx, whose: Whose, period: Period, only: Filter = Filter()) -> Comparison:
    """Return what was used in `period` and in the one before it."""
    return Comparison(await totals(tx, whose, period, only), await totals(tx, whose, before(period), only))


async def series(tx: Tx, whose: Whose, period: Period, only: Filter = Filter()) -> Series:
    """Return one point for each bucket of `period`, in order; buckets without usage hold zeros."""
    starts = edges(period)
    bucket = _bucket(starts)
    read = select(bucket, *_sums()).where(_within(whose, period, only)).group_by(bucket)
    amounts = {row[0]: _sums_of(row[1:]) for row in await _read(tx, read)}
    return _series("", "", starts, period, amounts)


async def series_by(  # noqa: PLR0913 (each is a word of the question)
    tx: Tx,
    whose: Whose,
    period: Period,
    by: Dimension,
    only: Filter = Filter(),
    *,
    most: int = 8,
) -> list[Series]:
    """Return one series per value of `by`, the costliest first; beyond `most`, the rest is one series called others."""
    starts = edges(period)
    bucket = _bucket(starts)
    read = select(COLUMN[by], bucket, *_sums()).where(_within(whose, period, only)).group_by(COLUMN[by], bucket)
    found: defaultdict[str, dict[int, Sums]] = defaultdict(dict)
    for key, number, *amounts in await _read(tx, read):
        found[str(key)][number] = _sums_of(amounts)
    ranked = sorted(found, key=lambda key: _weight(sum(found[key].values(), Sums())), reverse=True)
    labels = await _labels(tx, by, ranked[:most])
    lines = [_series(key, labels.get(key, key), starts, period, found[key]) for key in ranked[:most]]
    if ranked[most:]:
        rest: defaultdict[int, Sums] = defaultdict(Sums)
        for key in ranked[most:]:
            for number, sums in found[key].items():
                rest[number] += sums
        lines.append(_series(REST, REST, starts, period, rest))
    return lines


async def shares(  # noqa: PLR0913 (each is a word of the question)
    tx: Tx,
    whose: Whose,
    period: Period,
    by: Dimension,
    only: Filter = Filter(),
    *,
    most: int = 100,
) -> list[Share]:
    """Return what each value of `by` used, the costliest first, at most `most`."""
    cost, requests = func.sum(TALLY.c.cost_nano), func.sum(TALLY.c.requests)
    read = select(COLUMN[by], *_sums()).where(_within(whose, period, only)).group_by(COLUMN[by])
    rows = (await _read(tx, read.order_by(cost.desc(), requests.desc(), COLUMN[by]).limit(most))).all()
    labels = await _labels(tx, by, [str(row[0]) for row in rows])
    return [Share(str(row[0]), labels.get(str(row[0]), str(row[0])), _sums_of(row[1:])) for row in rows]


async def key_sparklines(tx: Tx, whose: Whose, period: Period) -> dict[UUID, Series]:
    """Return one series per key that was used in `period`, for the small charts in a list of keys."""
    lines = await series_by(tx, whose, period, "key", most=1_000)
    return {UUID(line.key): line for line in lines if line.key != REST}


async def top_movers(tx: Tx, staff: Person, period: Period, *, most: int = 10) -> list[Mover]:
    """Return the organizations whose spend changed most against the period before, the largest change first."""
    require(staff, "usage")
    earlier = before(period)
    current = func.sum(TALLY.c.cost_nano).filter(_during(period))
    previous = func.sum(TALLY.c.cost_nano).filter(_during(earlier))
    change = func.abs(func.coalesce(current, 0) - func.coalesce(previous, 0))
    read = select(TALLY.c.organization_id).where(TALLY.c.bucket >= quarter(earlier.start), TALLY.c.bucket < period.end)
    moved = list((await _read(tx, _largest(read, change, most))).scalars())
    handles = await _labels(tx, "organization", [str(one) for one in moved])
    return [
        Mover(
            one,
            handles.get(str(one), str(one)),
            await totals(tx, Whose(one), period),
            await totals(tx, Whose(one), earlier),
        )
        for one in moved
    ]


def _largest(read: "Select[tuple[UUID]]", weight: ColumnElement[Any], most: int) -> "Select[tuple[UUID]]":
    return read.group_by(TALLY.c.organization_id).having(weight > 0).order_by(weight.desc()).limit(most)


async def log(
    tx: Tx,
    whose: Whose,
    which: LogFilter = LogFilter(),
    *,
    after: str | None = None,
    size: int = 50,
) -> LogPage:
    """Return one page of the request log, the newest first; `after` is the cursor that the page before gave."""
    size = max(1, min(size, LARGEST_PAGE))
    read = _log_lines().where(_log_condition(whose, which))
    if after is not None:
        at, request_id = _read_cursor(after)
        read = read.where(tuple_(EVENT.c.at, EVENT.c.request_id) < tuple_(literal(at), literal(request_id)))
    newest_first = read.order_by(EVENT.c.at.desc(), EVENT.c.request_id.desc()).limit(size + 1)
    rows = [LogRow(*row) for row in await _read(tx, newest_first)]
    more = len(rows) > size
    return LogPage(tuple(rows[:size]), _cursor(rows[size - 1]) if more else None)


async def request(tx: Tx, whose: Whose, request_id: UUID) -> LogRow:
    """Return one line of the request log; raise NotFound when it is not there for this person."""
    found = await _read(tx, _log_lines().where(_of(whose, EVENT), EVENT.c.request_id == request_id))
    row = found.one_or_none()
    if row is None:
        raise NotFound("request")
    return LogRow(*row)


async def csv_rows(
    tx: Tx,
    whose: Whose,
    period: Period,
    only: Filter = Filter(),
) -> AsyncIterator[tuple[str | int, ...]]:
    """Yield the table behind the charts, its header first: one row per bucket, key, model, endpoint and mode.

    `from` is the bucket's start in the viewer's zone; costs are whole nano-USD.
    """
    rows = await table(tx, whose, period, ("key", "model", "endpoint", "mode"), only)
    names = await _labels(tx, "key", sorted({row.values[0] for row in rows}))
    yield ("from", "key", "key_id", "model", "endpoint", "mode", *SUMS)
    for row in rows:
        at = row.at.astimezone(period.zone).isoformat()
        yield (at, names.get(row.values[0], ""), *row.values, *(getattr(row.sums, name) for name in SUMS))


async def table(tx: Tx, whose: Whose, period: Period, by: Sequence[Dimension], only: Filter = Filter()) -> list[Row]:
    """Return what was used in each bucket, split by every dimension in `by`; buckets without usage have no row."""
    starts = edges(period)
    bucket, parts = _bucket(starts), [COLUMN[one] for one in by]
    read = select(bucket, *parts, *_sums()).where(_within(whose, period, only)).group_by(bucket, *parts)
    found = await _read(tx, read.order_by(bucket, *parts))
    split = 1 + len(parts)
    return [Row(starts[row[0] - 1], tuple(map(str, row[1:split])), _sums_of(row[split:])) for row in found]


async def minutes(tx: Tx, whose: Whose, span: Span, by: Sequence[Dimension], only: Filter = Filter()) -> list[Row]:
    """Return what was used in each minute of `span`, split by every dimension in `by`; read from the events themselves.

    They are kept as long as the request log, and nothing is summed up beforehand: see `at_most`.
    """
    minute, parts = func.date_trunc("minute", EVENT.c.at), [EVENT.c[COLUMN[one].name] for one in by]
    summed = [func.sum(EVENT.c[name]) for name in SUMS[2:]]
    amounts = [func.count(), func.count().filter(EVENT.c.status >= FAILED_FROM), *summed]
    within = and_(_of(whose, EVENT), EVENT.c.at >= span[0], EVENT.c.at < span[1], _narrowed(only, EVENT))
    read = select(minute, *parts, *amounts).where(within).group_by(minute, *parts).order_by(minute, *parts)
    split = 1 + len(parts)
    return [Row(row[0], tuple(map(str, row[1:split])), _sums_of(row[split:])) for row in await _read(tx, read)]


async def at_most(tx: Tx, whose: Whose, span: Span, most: int) -> datetime:
    """Return the end of `span`, or the whole minute at which about `most` calls have been made since its beginning.

    The tallies tell how many there were in each quarter hour, which are taken to have come evenly. One minute of `span`
    is left at least.
    """
    begins, ends = span
    read = select(TALLY.c.bucket, func.sum(TALLY.c.requests)).where(
        _of(whose, TALLY), TALLY.c.bucket >= quarter(begins), TALLY.c.bucket < ends
    )
    left = most
    for bucket, requests in await _read(tx, read.group_by(TALLY.c.bucket).order_by(TALLY.c.bucket)):
        if requests > left:
            into: datetime = max(bucket, begins) + QUARTER * left // int(requests)
            into -= (into - begins) % MINUTE
            return min(ends, max(into, begins + MINUTE))
        left -= int(requests)
    return ends


async def _read(tx: Tx, statement: Executable) -> "CursorResult[*tuple[Any, ...]]":
    connection = await tx.connection()
    return await connection.execute(statement)


def _sums() -> list[ColumnElement[Any]]:
    return [func.coalesce(func.sum(TALLY.c[name]), 0).label(name) for name in SUMS]


def _sums_of(amounts: Sequence[Any]) -> Sums:
    return Sums(*(int(value) for value in amounts))


def _weight(sums: Sums) -> tuple[int, int]:
    return sums.cost_nano, sums.requests


def _within(whose: Whose, period: Period, only: Filter) -> ColumnElement[bool]:
    return and_(_of(whose, TALLY), _during(period), _narrowed(only, TALLY))


def _of(whose: Whose, table: Any) -> ColumnElement[bool]:  # noqa: ANN401 (either of the two tables)
    return true() if whose.organization_id is None else table.c.organization_id == whose.organization_id


def _during(period: Period) -> ColumnElement[bool]:
    return and_(TALLY.c.bucket >= quarter(period.start), TALLY.c.bucket < period.end)


def _narrowed(only: Filter, table: Any) -> ColumnElement[bool]:  # noqa: ANN401 (as above)
    asked = ((table.c[item.name], getattr(only, item.name)) for item in fields(only))
    return and_(true(), *(_is(column, value) for column, value in asked if value is not None))


def _is(column: Any, value: Any) -> ColumnElement[bool]:  # noqa: ANN401 (a column, and one or several of its values)
    narrowed: ColumnElement[bool] = column.in_(value) if isinstance(value, tuple) else column == value
    return narrowed


def _bucket(starts: list[datetime]) -> ColumnElement[int]:
    """Return the number of the bucket a tally falls into: the database needs to know nothing of time zones."""
    bounds = bindparam("bounds", starts, type_=ARRAY(DateTime(timezone=True)))
    return func.width_bucket(TALLY.c.bucket, bounds).label("bucket_number")


def _series(key: str, label: str, starts: list[datetime], period: Period, amounts: dict[int, Sums]) -> Series:
    points = tuple(
        Point(start.astimezone(period.zone), amounts.get(number, Sums())) for number, start in enumerate(starts[:-1], 1)
    )
    return Series(key, label, points, sum((point.sums for point in points), Sums()))


async def _labels(tx: Tx, by: Dimension, keys: Sequence[str]) -> dict[str, str]:
    """Return what a person reads instead of an id; names speak for themselves."""
    if by == "key":
        table, label = ApiKey.__table__, "name"  # type: ignore[attr-defined]
    elif by == "organization":
        table, label = Organization.__table__, "handle"  # type: ignore[attr-defined]
    else:
        return {}
    read = select(table.c.id, table.c[label]).where(table.c.id.in_([UUID(key) for key in keys]))
    return {str(row[0]): row[1] for row in await _read(tx, read)}


def _log_lines() -> "Select[Any]":
    key = ApiKey.__table__  # type: ignore[attr-defined]
    columns = [
        func.coalesce(key.c.name, "").label("key_name") if item.name == "key_name" else EVENT.c[item.name]
        for item in fields(LogRow)
    ]
    return select(*columns).select_from(EVENT.outerjoin(key, key.c.id == EVENT.c.key_id))


def _log_condition(whose: Whose, which: LogFilter) -> ColumnElement[bool]:
    conditions = [_of(whose, EVENT), _narrowed(which.only, EVENT)]
    if which.period is not None:
        conditions += [EVENT.c.at >= which.period.start, EVENT.c.at < which.period.end]
    if which.outcome is not None:
        conditions.append(EVENT.c.outcome == which.outcome)
    if which.failed:
        conditions.append(EVENT.c.status >= FAILED_FROM)
    return and_(*conditions)


def _cursor(row: LogRow) -> str:
    text = f"{row.at.astimezone(UTC).isoformat()}|{row.request_id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        at, _, request_id = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
        return datetime.fromisoformat(at), UUID(request_id)
    except (ValueError, binascii.Error):
        raise Refused("That page of the log does not exist.", code="bad_cursor", field="after") from None
