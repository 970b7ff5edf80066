"""Moments: as a view holds them, as a page says them to everyone, and as they are picked in a form."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from assisters_app.base.errors import Refused

YEARS = range(1900, 9000)  # of a day that somebody means; near the ends of time there is no day before or after it


def iso(at: datetime | date | None) -> str:
    """Return a moment or a day as a view holds it: ISO 8601, moments in UTC; "" for none."""
    return at.isoformat() if at else ""


def day(at: datetime | date | None) -> str:
    """Return a day, or that of a moment in UTC, in words, "1 January 2027"; "" for none. For days that are the same for all."""
    return f"{at:%-d %B %Y}" if at else ""


def day_picked(sent: Mapping[str, Any], name: str, says: str = "That is not a day.") -> date:
    """Return the day that the field `name` of a form holds; raise Refused with what it `says` when it holds none."""
    try:
        picked = date.fromisoformat(str(sent.get(name, "")))
    except ValueError:
        picked = None
    if picked is None or picked.year not in YEARS:
        raise Refused(says, code="bad_day", field=name)
    return picked


def beginning_of_day_picked(sent: Mapping[str, Any], name: str, says: str) -> datetime:
    """Return when the day begins, in UTC, that the field `name` holds; raise Refused as above."""
    return datetime.combine(day_picked(sent, name, says), time(), UTC)


def moment_picked(sent: Mapping[str, Any], name: str, says: str = "That is no date and time.") -> datetime | None:
    """Return the moment that the field `name` holds, and None where it is empty; raise Refused as above.

    It is read as UTC unless it says how far from that it is, as 2026-11-24 10:00+01:00 does.
    """
    text = str(sent.get(name) or "").strip()
    if not text:
        return None
    try:
        picked = datetime.fromisoformat(text)
    except ValueError:
        picked = None
    if picked is None or picked.year not in YEARS:
        raise Refused(says, code="bad_moment", field=name)
    return (picked if picked.tzinfo else picked.replace(tzinfo=UTC)).astimezone(UTC)
