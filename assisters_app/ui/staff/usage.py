"""Usage review: what all accounts call together, who moved most, and who spends most."""

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

import reflex as rx

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.money import dollars
from assisters_app.privacy.registers import trails
from assisters_app.ui import figures
from assisters_app.ui.asked import RANGES, Question, question, whose_zone
from assisters_app.ui.drawn import chart_of, four_sums
from assisters_app.ui.parts import badge, card, empty, heading, link, number, select, table, with_zone
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.usage import Figures, ShareRow
from assisters_app.usage import periods, reports

SPANS = [one for one in RANGES if one[0] != "dates"]
MOST_LINES = 5  # accounts with a colour of their own


@dataclass(frozen=True, slots=True)
class MoverRow:
    """An organization whose spend changed. Amounts are text; `tone` says whether it grew."""

    handle: str
    search: str
    before: str
    current: str
    change: str
    tone: str
    requests: int

    @classmethod
    def of(cls, mover: reports.Mover) -> Self:
        """Write a change for a person to read."""
        sign = "+" if mover.change_nano > 0 else ""
        return cls(
            handle=mover.handle,
            search=f"/staff/accounts?search={quote(mover.handle)}",
            before=dollars(mover.previous.cost_nano),
            current=dollars(mover.current.cost_nano),
            change=sign + dollars(mover.change_nano),
            tone="good" if mover.change_nano > 0 else "warn",
            requests=mover.current.requests,
        )


class ReviewState(AppState):
    """What is asked and what was found, over all accounts."""

    phase: str = "loading"
    range: str = "30d"
    sums: Figures = Figures()
    blank: bool = True
    cost_figure: dict[str, Any] = {}
    cost_rows: list[list[str]] = []
    requests_figure: dict[str, Any] = {}
    requests_rows: list[list[str]] = []
    tokens_figure: dict[str, Any] = {}
    tokens_rows: list[list[str]] = []
    movers: list[MoverRow] = []
    accounts: list[ShareRow] = []
    models: list[ShareRow] = []
    _browser: str = "UTC"

    @rx.event
    @access("staff", right="usage")
    async def load(self, zone: str) -> None:
        """Read what is asked, for a browser in `zone` (an IANA name)."""
        self._browser = zone
        await self._read()

    @rx.event
    @access("staff", right="usage")
    async def again(self) -> None:
        """Read what is asked once more."""
        await self._read()

    @rx.event
    @access("staff", right="usage")
    async def span(self, chosen: str) -> None:
        """Ask for another range."""
        self.range = chosen[:8]
        await self._read()

    async def _read(self) -> None:
        async with loading(self) as (tx, me):
            asked = question({"range": self.range}, whose_zone(me.time_zone, self._browser))
            whose = reports.everyone(me)
            whole = await reports.comparison(tx, whose, asked.period)
            self.sums, self.blank = Figures.of(whole, compared=True), not whole.current.requests
            await self._draw(tx, me, asked)
            spenders = await reports.shares(tx, whose, asked.period, "organization", most=20)
            models = await reports.shares(tx, whose, asked.period, "model", most=20)
            self.accounts = [ShareRow.of(share, whole.current) for share in spenders]
            self.models = [ShareRow.of(share, whole.current) for share in models]
            movers = await reports.top_movers(tx, me, asked.period)
            self.movers = [MoverRow.of(mover) for mover in movers]
            named = [UUID(share.key) for share in spenders if share.key != reports.REST]
            await trails.compared(tx, me, [*named, *(mover.organization_id for mover in movers)])

    async def _draw(self, tx: Tx, me: Person, asked: Question) -> None:
        whose, period = reports.everyone(me), asked.period
        series = await reports.series(tx, whose, period)
        before = await reports.series(tx, whose, periods.before(period))
        spenders = await reports.series_by(tx, whose, period, "organization", most=MOST_LINES)
        self.cost_figure, self.cost_rows = figures.cost(spenders, series, before, period.step)
        self.requests_figure, self.requests_rows = figures.requests(series, before, period.step)
        self.tokens_figure, self.tokens_rows = figures.tokens(series, before, period.step)


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        with_zone(ReviewState.load),
        heading(
            "Usage review",
            rx.el.div(
                select("Range", "range", SPANS, value=ReviewState.range, on_change=ReviewState.span),
                class_name="w-44",
            ),
            lead="All accounts together, without anyone's name. Whose sums you see here can read that you looked.",
        ),
        four_sums(ReviewState),
        card(_chart("cost", ("When", "Cost", "Period before"), "Cost by account"), title="Cost", lead="By account"),
        rx.el.div(
            card(_chart("requests", ("When", "Requests", "Failed", "Period before"), "Requests"), title="Requests"),
            card(
                _chart("tokens", ("When", "Input", "of which cached", "Output", "Period before"), "Tokens"),
                title="Tokens",
            ),
            class_name="grid lg:grid-cols-2 gap-6",
        ),
        card(_movers(), title="Top movers", lead="Whose spend changed most against the period before"),
        rx.el.div(
            card(_shares(ReviewState.accounts, "Account"), title="By account"),
            card(_shares(ReviewState.models, "Model"), title="By model"),
            class_name="grid xl:grid-cols-2 gap-6",
        ),
        wide=True,
    )


def _chart(what: str, columns: tuple[str, ...], label: str) -> rx.Component:
    return chart_of(ReviewState, what, label, columns, _nothing())


def _nothing() -> rx.Component:
    return empty("Nothing was called", "No account made a request in this range.", icon="chart-column")


def _movers() -> rx.Component:
    return table(
        ReviewState.movers,
        lambda mover: (
            link(mover.handle, to=mover.search, class_name="font-mono text-[0.8125rem]"),
            mover.before,
            mover.current,
            badge(mover.change, tone=mover.tone),
            number(mover.requests),
        ),
        label="Top movers",
        columns=("Account", "Before", "Now", "Change", "Requests"),
        right=(1, 2, 3, 4),
        phase=ReviewState.phase,
        empty=empty("Nobody moved", "No account spent more or less than in the period before.", icon="equal"),
        retry=ReviewState.again,
        key=lambda mover: mover.handle,
    )


def _shares(rows: Any, name: str) -> rx.Component:
    label: Any = (
        (lambda row: link(row.label, to="/staff/accounts?search=" + row.label, class_name="font-mono text-[0.8125rem]"))
        if name == "Account"
        else (lambda row: row.label)
    )
    return table(
        rows,
        lambda row: (label(row), number(row.requests), number(row.errors), row.cost, row.percent),
        label=f"Usage by {name.lower()}",
        columns=(name, "Requests", "Failed", "Cost", "Share"),
        right=(1, 2, 3, 4),
        phase=ReviewState.phase,
        empty=_nothing(),
        retry=ReviewState.again,
        key=lambda row: row.key,
    )
