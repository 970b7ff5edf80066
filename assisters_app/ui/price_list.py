"""Today's prices, as the landing page and the pricing page show them."""

from dataclasses import dataclass

import reflex as rx

from assisters_app.base.money import dollars
from assisters_app.billing import rating
from assisters_app.billing.rating import PriceVersion
from assisters_app.ui.parts import empty, table
from assisters_app.ui.session import AppState, access, for_anyone

MILLION = 1_000_000


@dataclass(frozen=True)
class PriceRow:
    """What one model costs per million tokens, in dollars."""

    model: str
    input: str
    cached: str
    output: str
    since: str

    @classmethod
    def of(cls, price: PriceVersion) -> "PriceRow":
        """Write a price for a person."""
        amounts = (_per_million(price.input), _per_million(price.cached), _per_million(price.output))
        return cls(price.model, *amounts, price.valid_from.isoformat())


class PricesState(AppState):
    """The prices in force."""

    phase: str = "loading"
    rows: list[PriceRow] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read the prices in force."""
        async with for_anyone() as tx:
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
        ),
        label="Prices per million tokens",
        columns=("Model", "Input", "Cached input", "Output"),
        right=(1, 2, 3),
        key=lambda row: row.model,
        phase=PricesState.phase,
        retry=PricesState.load,
        empty=empty("No prices yet", "Prices appear here once they are published.", icon="tag"),
    )


def _per_million(nano_per_token: int) -> str:
    return "free" if nano_per_token == 0 else dollars(nano_per_token * MILLION)
