"""What a person asks of their usage, parsed at the door: the page and its CSV read the same question."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.ui.moments import day_picked
from assisters_app.usage import periods
from assisters_app.usage.periods import Period, Step
from assisters_app.usage.reports import Filter

RANGES = (
    ("today", "Today"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("month", "This month"),
    ("90d", "Last 90 days"),
    ("13m", "Last 13 months"),
    ("dates", "From … to …"),
)
DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
NO_DAYS = "Choose a first and a last day."
SHORT, LONG = timedelta(days=3), timedelta(days=120)  # up to which a chart has a bar an hour, a bar a day


@dataclass(frozen=True, slots=True)
class Question:
    """Which stretch of time, seen from which zone, and narrowed to what."""

    period: Period
    only: Filter


def question(sent: Mapping[str, str], zone: ZoneInfo) -> Question:
    """Read `range`, `first`, `last`, `key` and `model`; raise Refused with a sentence when one makes no sense."""
    period = _period(sent, zone)
    key, model = sent.get("key", ""), sent.get("model", "")
    return Question(period, Filter(key_id=_key(key) if key else None, model=model or None))


def whose_zone(chosen: str, browser: str) -> ZoneInfo:
    """Return the zone a person has chosen in their settings or, where that is still UTC, their browser's."""
    return periods.zone_named(browser if chosen == "UTC" else chosen)


def _period(sent: Mapping[str, str], zone: ZoneInfo) -> Period:
    wanted, today = sent.get("range", "30d"), now().astimezone(zone).date()
    if wanted in DAYS:
        first = today - timedelta(days=DAYS[wanted] - 1)
    elif wanted == "month":
        first = today.replace(day=1)
    elif wanted == "13m":
        first = _twelve_months_before(today)
    elif wanted == "dates":
        first, today = (day_picked(sent, name, NO_DAYS) for name in ("first", "last"))
    else:
        raise Refused("Choose a range from the list.", code="bad_range", field="range")
    period = periods.between(first, today, zone)
    return period.stepping(_step(period.end - period.start))


def _twelve_months_before(day: date) -> date:
    return day.replace(year=day.year - 1, day=1)


def _step(length: timedelta) -> Step:
    if length <= SHORT:
        return "hour"
    return "day" if length <= LONG else "month"


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("That key does not exist.", code="not_found", status=404) from None
