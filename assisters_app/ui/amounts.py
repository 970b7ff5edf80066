"""Amounts of money where space is short, a few digits to read and the exact amount on hover; and as they are typed."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import reflex as rx

from assisters_app.base.errors import Refused
from assisters_app.base.money import NANO, dollars, from_cents, from_dollars, invoice_cents


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

    @classmethod
    def spent(cls, nano: int) -> Self:
        """Write what was spent as `of`, but from a dollar up rounded as the bill is, beside which it may stand."""
        if nano < NANO:
            return cls.of(nano)
        return cls(dollars(from_cents(invoice_cents(nano))), dollars(nano))


def amount(shown: Any) -> rx.Component:
    """Return an amount with its exact value on hover."""
    return rx.el.span(shown.short, title=shown.exact)


def typed(text: str, field: str) -> int | None:
    """Return nano-USD for dollars that somebody typed, None for nothing; raise Refused naming the field."""
    plain = text.strip().removeprefix("$").replace(",", "").strip()
    if not plain:
        return None
    try:
        return from_dollars(Decimal(plain))
    except (ArithmeticError, ValueError):  # not a number, or one of a million digits
        raise Refused("An amount is in dollars, such as 5 or 0.50.", code=f"bad_{field}", field=field) from None


def _step(size: int) -> int:
    if size >= NANO:
        return NANO // 100
    if size >= NANO // 100:
        return NANO // 10_000
    return 10 ** max(0, len(str(size)) - 3)
