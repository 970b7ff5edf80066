"""The lines of the bill, movements and top-ups, written for the one who pays."""

from dataclasses import dataclass
from typing import Self

from assisters_app.base.money import dollars, from_cents
from assisters_app.billing.invoices import Line
from assisters_app.billing.rating import TOKENS
from assisters_app.billing.topups import TopUpRow
from assisters_app.billing.wallet import MovementRow

KINDS = {
    "topup": "Top-up",
    "bonus": "Bonus",
    "usage": "Usage",
    "refund": "Refund",
    "dispute": "Disputed payment",
    "adjustment": "Adjustment",
    "carried": "Carried forward",
}
STATES = {"open": "not paid yet", "paid": "paid", "failed": "not completed", "refunded": "refunded"}
STATE_TONES = {"open": "plain", "paid": "good", "failed": "warn", "refunded": "warn"}


@dataclass(frozen=True, slots=True)
class BillRow:
    """One line of the bill. `derivation` says how its amount follows from counts and prices."""

    key: str
    model: str
    version: str
    requests: int
    input_tokens: int
    output_tokens: int
    derivation: str
    amount: str
    holds: bool

    @classmethod
    def of(cls, line: Line) -> Self:
        """Write a line for the one who pays it."""
        version = line.price.version if line.price else 0
        return cls(
            key=f"{line.model}/{version}",
            model=line.model,
            version=f"price version {version}" if line.price else "",
            requests=line.requests,
            input_tokens=line.input_tokens,
            output_tokens=line.output_tokens,
            derivation=_derivation(line),
            amount=dollars(line.amount_nano),
            holds=line.derived_nano in (None, line.amount_nano),
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """One movement of the wallet."""

    key: str
    at: str
    what: str
    about: str
    amount: str
    into: bool

    @classmethod
    def of(cls, number: int, row: MovementRow) -> Self:
        """Write a movement for its owner; `number` tells apart what happened at one moment."""
        about = f"{row.model}, {row.day:%d %b}" if row.model and row.day else row.model or ""
        sign = "+" if row.amount_nano > 0 else "\N{MINUS SIGN}" if row.amount_nano else ""
        return cls(
            key=f"{row.at.isoformat()}/{number}",
            at=row.at.isoformat(),
            what=KINDS.get(row.kind, row.kind),
            about=about,
            amount=sign + dollars(abs(row.amount_nano)),
            into=row.amount_nano > 0,
        )


@dataclass(frozen=True, slots=True)
class Paid:
    """One top-up."""

    handle: str
    at: str
    amount: str
    bonus: str
    state: str
    tone: str

    @classmethod
    def of(cls, row: TopUpRow) -> Self:
        """Write a top-up for its owner."""
        return cls(
            handle=row.handle,
            at=row.created_at.isoformat(),
            amount=dollars(from_cents(row.amount_cents)),
            bonus=dollars(from_cents(row.bonus_cents)) if row.bonus_cents else "",
            state=STATES.get(row.state, row.state),
            tone=STATE_TONES.get(row.state, "plain"),
        )


def _derivation(line: Line) -> str:
    """Write how an amount follows from counts and prices, so that anyone can recalculate it."""
    if line.price is None:
        return "free: the sandbox answered"
    price, fresh = line.price, line.input_tokens - line.cached_tokens
    parts = ((fresh, price.input), (line.cached_tokens, price.cached), (line.output_tokens, price.output))
    terms = [f"{count:,} × {dollars(each * TOKENS)}" for count, each in parts if count and each]  # noqa: RUF001 (the sign people know)
    by_tokens = [" + ".join(terms) + " per million tokens"] if terms else []
    by_units = [f"{line.units:,} × {dollars(price.per_unit)} per {price.unit}"] if line.units else []  # noqa: RUF001
    return " + ".join(by_tokens + by_units) or "free"
