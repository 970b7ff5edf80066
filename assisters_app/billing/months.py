"""Calendar months in UTC: what is billed together."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from assisters_app.base.clock import now
from assisters_app.base.errors import NotFound


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month, such as Month(2026, 11)."""

    year: int
    number: int

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first moment of the month after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1).begins

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02d}"


def of(moment: datetime | date) -> Month:
    """Return the month that a moment (in UTC) or a day lies in."""
    return Month(moment.year, moment.month)


def named(text: str) -> Month:
    """Return the month that is written `2026-11`; raise NotFound for anything else."""
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text, re.ASCII):
        raise NotFound("month")
    return Month(int(text[:4]), int(text[5:]))


def current() -> Month:
    """Return the month it is now."""
    return of(now())
