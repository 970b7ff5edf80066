"""Time from one mouth: always aware, always UTC, and settable in tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _wall() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _wall


def now() -> datetime:
    """Return the present moment in UTC."""
    return _source()


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
