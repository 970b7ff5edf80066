"""Time from one mouth: always aware, always UTC, and settable in tests."""

import calendar
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _wall() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _wall


def now() -> datetime:
    """Return the present moment in UTC."""
    return _source()


def months_later(at: datetime, months: int) -> datetime:
    """Return the same day and time `months` later (or earlier), or the last day of a month that is too short."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


@contextmanager
def frozen(at: datetime) -> Iterator[Callable[[datetime], None]]:
    """Hold time still at `at` within the block; what the block is given moves it."""
    global _source  # noqa: PLW0603 (one clock for the process is the point)
    before, held = _source, [at]

    def move(to: datetime) -> None:
        held[0] = to

    _source = lambda: held[0]  # noqa: E731
    try:
        yield move
    finally:
        _source = before
