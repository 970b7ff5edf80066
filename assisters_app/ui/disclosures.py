"""What authorities demanded of us, counted by year, for everyone."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.privacy.registers import disclosures
from assisters_app.ui.parts import card, empty, heading, link, number, table
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public


@dataclass(frozen=True, slots=True)
class YearRow:
    """The counts of one year."""

    year: str
    demands: int
    accounts: int
    full: int
    part: int
    none: int
    open: int
    untold: int

    @classmethod
    def of(cls, year: disclosures.Year) -> Self:
        """Return what everyone sees of a year."""
        return cls(str(year.year), year.demands, year.accounts, year.full, year.part, year.none, year.open, year.untold)


class YearsState(AppState):
    """The counts."""

    phase: str = "loading"
    rows: list[YearRow] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read the counts, which are for everyone."""
        self.phase = "failed"
        async with for_anyone(self) as tx:
            self.rows = [YearRow.of(year) for year in await disclosures.years(tx)]
        self.phase = "ready"


load = YearsState.load


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Disclosures to authorities",
                lead="How often an authority asked us for somebody's data, and what it got. Counted by the log itself, year by year.",
            ),
            card(
                table(
                    YearsState.rows,
                    _cells,
                    label="Demands of authorities by year",
                    columns=(
                        "Year",
                        "Demands",
                        "Accounts",
                        "All given",
                        "Part given",
                        "Nothing given",
                        "Open",
                        "Not told",
                    ),
                    phase=YearsState.phase,
                    retry=YearsState.load,
                    key=lambda row: row.year,
                    right=range(1, 8),
                    empty=empty("Nothing to count yet", "The first year has not begun.", icon="landmark"),
                ),
            ),
            _what_we_do(),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _cells(row: Any) -> tuple[Any, ...]:
    counts = (row.demands, row.accounts, row.full, row.part, row.none, row.open, row.untold)
    return (rx.el.span(row.year, class_name="font-medium"), *(number(count) for count in counts))


def _what_we_do() -> rx.Component:
    return card(
        rx.el.ul(
            rx.el.li("We ask for the law behind every demand, and hand over what it wants and nothing else."),
            rx.el.li("We tell the people it names before we answer, and what was handed over after."),
            rx.el.li(
                "Where an order forbids that, we write the order and its end down, and tell them the day it ends: “not told” "
                "counts those who still wait."
            ),
            rx.el.li("Whoever is named finds each demand in their dashboard, in their copy and in their export."),
            class_name="list-disc pl-4 space-y-1.5",
        ),
        rx.el.p(link("The sentence of our policy", to="/privacy-policy#3.6"), class_name="mt-4"),
        title="What we do with a demand",
    )
