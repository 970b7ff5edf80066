"""Amounts of money where space is short: a few digits to read, the exact amount on hover."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.base.money import NANO, dollars


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as it is read (`short`) and as it is (`exact`)."""

    short: str = ""
    exact: str = ""

    @classmethod
    def of(cls, nano: int) -> Self:
        """Write nano-USD: cents from a dollar up, a hundredth of that from a cent up, three digits below; rounded down.

        Down, so that a balance never looks like more than there is; nothing is ever computed from it.
        """
        step = _step(abs(nano))
        return cls(dollars(nano // step * step), dollars(nano))


def amount(shown: Any) -> rx.Component:
    """Return an amount with its exact value on hover."""
    return rx.el.span(shown.short, title=shown.exact)


def _step(size: int) -> int:
    if size >= NANO:
        return NANO // 100
    if size >= NANO // 100:
        return NANO // 10_000
    return 10 ** max(0, len(str(size)) - 3)
