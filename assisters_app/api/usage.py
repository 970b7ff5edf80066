"""GET /v1/usage: what was used, in the shape of OpenAI's usage API, for the key's organization. Not billed.

Parameters: `start_time` and `end_time` (Unix seconds), `bucket_width` (1m, 15m, 1h, 1d), `group_by` (model, api_key_id,
endpoint), `models` and `api_key_ids` (what is counted; these three repeated or separated by commas), `limit` (buckets
of a page), `page`. Days are UTC.

Minutes are read from the calls themselves, as long as these are kept; a page of them ends earlier than asked where it
would hold more than MOST_CALLS.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.api.exchange import Exchange
from assisters_app.base import db
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.marks import REQUEST_LOGS
from assisters_app.usage import reports
from assisters_app.usage.periods import Period, Step, edges
from assisters_app.usage.reports import MINUTE, Dimension, Filter, Row, Span, Whose

OFTEN = Limit("api-usage", 60, timedelta(minutes=1))  # it reads the database, unlike every other call
MOST_CALLS = 250_000  # read for one page of minutes: a fraction of a second


@dataclass(frozen=True, slots=True)
class Width:
    """How long a bucket is, how many a page usually and at most has, and how far back one looks who does not say.

    `step` is its name among the periods of tallies, None where there are none so short.
    """

    length: timedelta
    usual: int
    most: int
    back: timedelta
    step: Step | None


A_WEEK = timedelta(days=7)
WIDTHS = {  # those of OpenAI with its limits, and the quarter hours that we count in
    "1m": Width(MINUTE, 60, 1_440, timedelta(hours=1), None),
    "15m": Width(timedelta(minutes=15), 96, 672, A_WEEK, "quarter"),
    "1h": Width(timedelta(hours=1), 24, 168, A_WEEK, "hour"),
    "1d": Width(timedelta(days=1), 7, 31, A_WEEK, "day"),
}
GROUPS: dict[str, Dimension] = {"model": "model", "api_key_id": "key", "endpoint": "endpoint"}
MOST_NAMED = 50  # models, or keys, in one question
UTC_ZONE = ZoneInfo("UTC")
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: from when until when, in buckets of which width, how many of them at once, and of what."""

    span: Span
    width: Width
    size: int
    groups: dict[str, Dimension]
    only: Filter


@dataclass(frozen=True, slots=True)
class Page:
    """What is found: where its buckets begin, and the end of the last; and what was used in them."""

    edges: list[datetime]
    rows: list[Row]


async def buckets(exchange: Exchange) -> None:
    """Send one page of buckets, each with what was used in it."""
    grant = await exchange.enter("read")
    await attempt(OFTEN, str(grant.organization_id))
    asked = parse_qsl(exchange.scope["query_string"].decode("latin-1"))
    question = _question(asked)
    async with db.transaction() as tx:
        page = await _page(tx, Whose(grant.organization_id), question)
    more = page.edges[-1] < question.span[1]
    body = {
        "object": "page",
        "data": _buckets(page, list(question.groups)),
        "has_more": more,
        "next_page": str(int(page.edges[-1].timestamp())) if more else None,
    }
    await exchange.reply(200, orjson.dumps(body))


async def _page(tx: Tx, whose: Whose, asked: Question) -> Page:
    width, by = asked.width, list(asked.groups.values())
    begins, ends = asked.span[0], min(asked.span[1], _floor(asked.span[0], width.length) + asked.size * width.length)
    if width.step is not None:
        period = Period(begins, ends, UTC_ZONE, width.step)
        return Page(edges(period), await reports.table(tx, whose, period, by, asked.only))
    begins = _floor(begins, MINUTE)
    ends = await reports.at_most(tx, whose, (begins, ends), MOST_CALLS)
    starts = [begins + number * MINUTE for number in range(-(-(ends - begins) // MINUTE))]
    return Page([*starts, ends], await reports.minutes(tx, whose, (begins, ends), by, asked.only))


def _floor(at: datetime, length: timedelta) -> datetime:
    return at - (at - EPOCH) % length


def _question(asked: list[tuple[str, str]]) -> Question:
    single = dict(asked)
    width = WIDTHS.get(single.get("bucket_width", "1d"))
    if width is None:
        raise _wrong("bucket_width", "must be 1m, 15m, 1h or 1d")
    size = _number(single, "limit", width.usual)
    if not 1 <= size <= width.most:
        raise _wrong("limit", f"must be from 1 to {width.most}")
    end = _time(single, "end_time", now())
    start = _time(single, "page", _time(single, "start_time", end - width.back))
    if start >= end:
        raise _wrong("start_time", "must be before end_time")
    if width.step is None and start < REQUEST_LOGS.cutoff(now()):
        raise _wrong("start_time", f"must lie within the last {REQUEST_LOGS.sentence} for buckets of a minute")
    return Question((start, end), width, size, _groups(asked), _narrowed(asked))


def _narrowed(asked: Sequence[tuple[str, str]]) -> Filter:
    models, named = _many(asked, "models"), _many(asked, "api_key_ids")
    if len(models) > MOST_NAMED or "\0" in "".join(models):
        raise _wrong("models", f"may hold the names of up to {MOST_NAMED} models")
    try:
        keys = [UUID(one) for one in named]
    except ValueError:
        keys = []
    if len(keys) != len(named) or len(keys) > MOST_NAMED:
        raise _wrong("api_key_ids", f"may hold up to {MOST_NAMED} ids of keys, as `api_key_id` has them")
    return Filter(key_id=tuple(keys) or None, model=tuple(models) or None)


def _groups(asked: Iterable[tuple[str, str]]) -> dict[str, Dimension]:
    named = _many(asked, "group_by")
    unknown = [name for name in named if name not in GROUPS]
    if unknown:
        raise _wrong("group_by", f"may hold {', '.join(GROUPS)}")
    return {name: GROUPS[name] for name in named}


def _many(asked: Iterable[tuple[str, str]], name: str) -> list[str]:
    """Return every value given under `name`, `name[]`, or separated by commas, once each."""
    values = [one for key, value in asked if key in (name, f"{name}[]") for one in value.split(",") if one]
    return list(dict.fromkeys(values))


def _time(given: Mapping[str, str], name: str, otherwise: datetime) -> datetime:
    seconds = _number(given, name, -1)
    if seconds == -1:
        return otherwise
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        at = None
    if at is None or at.year == MAXYEAR:  # a page that begins in the last year of all may end after it
        raise _wrong(name, "is not a time in Unix seconds")
    return at


def _number(given: Mapping[str, str], name: str, otherwise: int) -> int:
    text = given.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # noqa: PLR2004 (until the year 33658)
        raise _wrong(name, "must be a whole number")
    return int(text)


def _buckets(page: Page, groups: list[str]) -> list[dict[str, Any]]:
    found: dict[datetime, list[dict[str, Any]]] = {}
    for row in page.rows:
        found.setdefault(row.at, []).append(_result(row, groups))
    return [
        {
            "object": "bucket",
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "results": found.get(start, []),
        }
        for start, end in pairwise(page.edges)
    ]


def _result(row: Row, groups: list[str]) -> dict[str, Any]:
    named: dict[str, str | None] = {**dict.fromkeys(GROUPS), **dict(zip(groups, row.values, strict=True))}
    return {
        "object": "usage.result",
        "input_tokens": row.sums.input_tokens,
        "input_cached_tokens": row.sums.cached_tokens,
        "output_tokens": row.sums.output_tokens,
        "units": row.sums.units,
        "num_model_requests": row.sums.requests,
        "num_errors": row.sums.errors,
        "cost_nano_usd": row.sums.cost_nano,
        **named,
    }


def _wrong(name: str, what: str) -> Refused:
    return Refused(f"`{name}` {what}.", code="invalid_value", field=name)
