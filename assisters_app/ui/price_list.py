"""Today's prices, as the landing page and the pricing page show them."""

from dataclasses import dataclass

import reflex as rx

from assisters_app.base.money import dollars
from assisters_app.billing import plans, rating
from assisters_app.billing.rating import PriceVersion
from assisters_app.gateway import catalog
from assisters_app.ui.parts import empty, table, time
from assisters_app.ui.session import AppState, access, for_anyone

MILLION = 1_000_000


@dataclass(frozen=True)
class PriceRow:
    """What one model costs in dollars: per million tokens, or per whatever else it is sold by."""

    model: str
    input: str
    cached: str
    output: str
    other: str
    coming: str  # what it costs next, "" when no new price is announced
    coming_at: str  # ISO 8601 in UTC

    @classmethod
    def of(cls, price: PriceVersion, coming: PriceVersion | None) -> "PriceRow":
        """Write a price for a person."""
        by_unit = bool(price.unit)
        amounts = (_per_million(each, by_unit=by_unit) for each in (price.input, price.cached, price.output))
        input_, cached, output = amounts
        ahead = (told(coming), coming.valid_from.isoformat()) if coming else ("", "")
        return cls(price.model, input_, cached, output, _per_unit(price), *ahead)


class PricesState(AppState):
    """The prices in force, of the models on offer."""

    phase: str = "loading"
    rows: list[PriceRow] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read the prices in force."""
        async with for_anyone(self) as tx:
            offers, coming = await catalog.offered(tx), await rating.coming(tx)
            self.rows = [PriceRow.of(offer.price, coming.get(offer.id)) for offer in offers.values() if offer.price]
        self.phase = "ready"


def price_list() -> rx.Component:
    """Return the table of prices."""
    return table(
        PricesState.rows,
        lambda row: (
            rx.el.div(
                rx.el.code(row.model, class_name="font-mono text-[0.8125rem] whitespace-nowrap"),
                rx.cond(
                    row.coming != "",
                    rx.el.p("From ", time(row.coming_at), ": ", row.coming, class_name="mt-0.5 text-xs text-muted"),
                ),
            ),
            row.input,
            row.cached,
            row.output,
            row.other,
        ),
        label="Prices in dollars",
        columns=("Model", "Input", "Cached input", "Output", "Otherwise"),
        right=(1, 2, 3, 4),
        key=lambda row: row.model,
        phase=PricesState.phase,
        retry=PricesState.load,
        empty=empty("No prices yet", "Prices appear here once they are published.", icon="tag"),
    )


def told(price: PriceVersion) -> str:
    """Write a price in one line, such as `$0.10 input, $0.05 cached, $0.40 output`."""
    if price.unit:
        return _per_unit(price)
    if price.input == price.cached and not price.output:
        return f"{_per_million(price.input, by_unit=False)} per million tokens"
    parts = (("input", price.input), ("cached", price.cached), ("output", price.output))
    return ", ".join(f"{_per_million(each, by_unit=False)} {name}" for name, each in parts)


def _per_million(nano_per_token: int, *, by_unit: bool) -> str:
    if nano_per_token == 0:
        return "—" if by_unit else "free"
    return dollars(nano_per_token * MILLION)


def _per_unit(price: PriceVersion) -> str:
    """Write the price of what is not sold by tokens, for as many as people are used to."""
    if not price.unit:
        return "—"
    many, name = plans.told_per(price.unit)
    return f"{dollars(price.per_unit * many)} per {name}"
