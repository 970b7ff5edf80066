"""Today's prices, as the landing page and the pricing page show them."""

from dataclasses import dataclass

import reflex as rx

from assisters_app.base.money import dollars
from assisters_app.billing import rating
from assisters_app.billing.rating import PriceVersion
from assisters_app.ui.parts import empty, table
from assisters_app.ui.session import AppState, access, for_anyone

MILLION = 1_000_000
USUAL = {  # how prices of each unit are told
    "second": (60, "minute"),
    "character": (MILLION, "million characters"),
    "document": (1_000, "thousand documents"),
}


@dataclass(frozen=True)
class PriceRow:
    """What one model costs in dollars: per million tokens, or per whatever else it is sold by."""

    model: str
    input: str
    cached: str
    output: str
    other: str
    since: str

    @classmethod
    def of(cls, price: PriceVersion) -> "PriceRow":
        """Write a price for a person."""
        by_unit = bool(price.unit)
        amounts = (_per_million(each, by_unit=by_unit) for each in (price.input, price.cached, price.output))
        input_, cached, output = amounts
        return cls(price.model, input_, cached, output, _per_unit(price), price.valid_from.isoformat())


class PricesState(AppState):
    """The prices in force."""

    phase: str = "loading"
    rows: list[PriceRow] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read the prices in force."""
        async with for_anyone(self) as tx:
            self.rows = [PriceRow.of(price) for price in (await rating.prices(tx)).values()]
        self.phase = "ready"


def price_list() -> rx.Component:
    """Return the table of prices."""
    return table(
        PricesState.rows,
        lambda row: (
            rx.el.code(row.model, class_name="font-mono text-[0.8125rem] whitespace-nowrap"),
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


def _per_million(nano_per_token: int, *, by_unit: bool) -> str:
    if nano_per_token == 0:
        return "—" if by_unit else "free"
    return dollars(nano_per_token * MILLION)


def _per_unit(price: PriceVersion) -> str:
    """Write the price of what is not sold by tokens, for as many as people are used to."""
    if not price.unit:
        return "—"
    many, name = USUAL.get(price.unit, (1, price.unit))
    return f"{dollars(price.per_unit * many)} per {name}"
