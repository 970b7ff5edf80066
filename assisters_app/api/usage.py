"""GET /v1/usage: what was used, in the shape of OpenAI's usage API, for the key's organization. Not billed.

Parameters: `start_time` and `end_time` (Unix seconds), `bucket_width` (15m, 1h, 1d), `group_by` (model, api_key_id,
endpoint), `models` and `api_key_ids` (what is counted; these three repeated or separated by commas), `limit` (buckets
of a page), `page`. Days are UTC.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
from assisters_app.base.errors import Refused
from assisters_app.usage import reports
from assisters_app.usage.periods import Period, Step, edges
from assisters_app.usage.reports import Dimension, Filter, Row, Whose

OFTEN = Limit("api-usage", 60, timedelta(minutes=1))  # it reads the database, unlike every other call
WIDTHS: dict[str, tuple[Step, int, int]] = {  # step, usual and most buckets of a page
    "15m": ("quarter", 96, 672),
    "1h": ("hour", 24, 168),
    "1d": ("day", 7, 31),
}
GROUPS: dict[str, Dimension] = {"model": "model", "api_key_id": "key", "endpoint": "endpoint"}
MOST_NAMED = 50  # models, or keys, in one question
UTC_ZONE = ZoneInfo("UTC")
USUAL = timedelta(days=7)


async def buckets(exchange: Exchange) -> None:
    """Send one page of buckets, each with what was used in it."""
    grant = await exchange.enter("read")
    await attempt(OFTEN, str(grant.organization_id))
    asked = parse_qsl(exchange.scope["query_string"].decode("latin-1"))
    period, size, groups, only = _question(asked)
    starts = edges(period)
    page = Period(starts[0], starts[min(size, len(starts) - 1)], UTC_ZONE, period.step)
    async with db.transaction() as tx:
        rows = await reports.table(tx, Whose(grant.organization_id), page, list(groups.values()), only)
    more = page.end < starts[-1]
    body = {
        "object": "page",
        "data": _buckets(page, rows, list(groups)),
        "has_more": more,
        "next_page": str(int(page.end.timestamp())) if more else None,
    }
    await exchange.reply(200, orjson.dumps(body))


def _question(asked: list[tuple[str, str]]) -> tuple[Period, int, dict[str, Dimension], Filter]:
    single = dict(asked)
    width = single.get("bucket_width", "1d")
    if width not in WIDTHS:
        raise _wrong("bucket_width", "must be 15m, 1h or 1d")
    step, usual, most = WIDTHS[width]
    size = _number(single, "limit", usual)
    if not 1 <= size <= most:
        raise _wrong("limit", f"must be from 1 to {most}")
    end = _time(single, "end_time", now())
    start = _time(single, "page", _time(single, "start_time", end - USUAL))
    if start >= end:
        raise _wrong("start_time", "must be before end_time")
    return Period(start, end, UTC_ZONE, step), size, _groups(asked), _narrowed(asked)


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
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise _wrong(name, "is not a time in Unix seconds") from None


def _number(given: Mapping[str, str], name: str, otherwise: int) -> int:
    text = given.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # noqa: PLR2004 (until the year 33658)
        raise _wrong(name, "must be a whole number")
    return int(text)


def _buckets(page: Period, rows: Iterable[Row], groups: list[str]) -> list[dict[str, Any]]:
    found: dict[datetime, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.at, []).append(_result(row, groups))
    starts = edges(page)
    return [
        {
            "object": "bucket",
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "results": found.get(start, []),
        }
        for start, end in pairwise(starts)
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
