"""Stretches of time as a person means them: days and hours of their own zone, across daylight-saving changes.

    Period(start, end, zone, step)         `start` and `end` aware, end excluded
    days(zone, count=30) / month(zone) / today(zone) -> Period
    before(period) -> Period               as long, and just before
    edges(period) -> list[datetime]        where its buckets begin, in UTC, and the end

Tallies are kept by the quarter hour in UTC; a zone is applied here, when they are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.usage.events import QUARTER, quarter

Step = Literal["quarter", "hour", "day", "month"]
MOST_BUCKETS = 1_500  # of one chart; more than a screen has pixels
LONGEST = timedelta(days=400)  # 13 months are kept


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until just before `end`, in buckets of `step`, as seen in `zone`."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    step: Step = "day"

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("A period has aware ends.")
        if not self.start < self.end:
            raise Refused("A period ends after it begins.", code="empty_period")
        if self.end - self.start > LONGEST:
            raise Refused("A period spans at most 13 months.", code="period_too_long")

    def stepping(self, step: Step) -> "Period":
        """Return the same stretch in other buckets."""
        return replace(self, step=step)


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name, UTC when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def today(zone: ZoneInfo, step: Step = "hour") -> Period:
    """Return the day that it is in `zone`."""
    return days(zone, 1, step)


def days(zone: ZoneInfo, count: int, step: Step = "day") -> Period:
    """Return the last `count` calendar days of `zone`, today included."""
    last = now().astimezone(zone).date()
    return between(last - timedelta(days=count - 1), last, zone, step)


def month(zone: ZoneInfo, step: Step = "day") -> Period:
    """Return the calendar month that it is in `zone`, from its first day to its last."""
    first = now().astimezone(zone).date().replace(day=1)
    return between(first, _next_month(first) - timedelta(days=1), zone, step)


def between(first: date, last: date, zone: ZoneInfo, step: Step = "day") -> Period:
    """Return the calendar days from `first` to `last`, both included."""
    return Period(midnight(first, zone), midnight(last + timedelta(days=1), zone), zone, step)


def before(period: Period) -> Period:
    """Return the stretch of as many calendar days (or as much time) just before `period`."""
    start, end = period.start.astimezone(period.zone), period.end.astimezone(period.zone)
    if start == midnight(start.date(), period.zone) and end == midnight(end.date(), period.zone):
        earlier = start.date() - (end.date() - start.date())
        return replace(period, start=midnight(earlier, period.zone), end=period.start)
    return replace(period, start=period.start - (period.end - period.start), end=period.start)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when `day` begins in `zone`, in UTC; where clocks skip midnight, when they had skipped it."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def edges(period: Period) -> list[datetime]:
    """Return where the buckets of `period` begin, in UTC and ascending, and its end as the last."""
    found = [quarter(period.start)]
    for edge in _after(found[0], period):
        if edge >= period.end:
            break
        found.append(edge)
        if len(found) > MOST_BUCKETS:
            raise Refused("That is too many points for one chart; choose wider steps.", code="too_many_buckets")
    return [*found, period.end.astimezone(UTC)]


def _after(start: datetime, period: Period) -> Iterator[datetime]:
    at = start
    while True:
        at = _next(at, period)
        yield at


def _next(at: datetime, period: Period) -> datetime:
    local = at.astimezone(period.zone)
    if period.step == "quarter":
        return at + QUARTER
    if period.step == "hour":  # counted in real time, so that the hour that comes twice in autumn stays two hours
        return at + timedelta(minutes=60 - local.minute)
    if period.step == "day":
        return midnight(local.date() + timedelta(days=1), period.zone)
    return midnight(_next_month(local.date()), period.zone)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
