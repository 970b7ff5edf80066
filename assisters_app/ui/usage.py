"""Usage: requests, tokens and cost over time, by key and model, in the viewer's own days."""

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlencode

import reflex as rx

from assisters_app.accounts.sessions import Person
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.money import dollars
from assisters_app.gateway import ingest
from assisters_app.keys import keys
from assisters_app.ui import figures
from assisters_app.ui.amounts import Amount
from assisters_app.ui.asked import RANGES, Question, question, whose_zone
from assisters_app.ui.drawn import chart_of, four_sums
from assisters_app.ui.parts import (
    anchor,
    button,
    card,
    empty,
    field,
    heading,
    link,
    link_button,
    notice,
    number,
    select,
    table,
    with_zone,
)
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.usage import periods, reports
from assisters_app.usage.reports import Comparison, Share, Sums

BEHIND = timedelta(minutes=1)  # from here on the page says that its figures are late


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums of a period as text, with how each changed against the period before ("" when that is not asked)."""

    requests: str = ""
    tokens: str = ""
    cost: Amount = dataclasses.field(default_factory=Amount)
    errors: str = ""
    requests_change: str = ""
    tokens_change: str = ""
    cost_change: str = ""
    errors_change: str = ""

    @classmethod
    def of(cls, found: Comparison, *, compared: bool) -> Self:
        """Write both periods for a person."""
        sums = found.current

        def change(name: str) -> str:
            return _change(found.change(name)) if compared else ""

        return cls(
            requests=f"{sums.requests:,}",
            tokens=f"{sums.tokens:,}",
            cost=Amount.spent(sums.cost_nano),
            errors=f"{sums.error_rate:.1%}",
            requests_change=change("requests"),
            tokens_change=change("tokens"),
            cost_change=change("cost_nano"),
            errors_change=f"{found.previous.error_rate:.1%} in the period before"
            if compared
            else f"{sums.errors:,} failed",
        )


@dataclass(frozen=True, slots=True)
class ShareRow:
    """What one key or model used."""

    key: str
    label: str
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: str
    percent: str

    @classmethod
    def of(cls, share: Share, whole: Sums) -> Self:
        """Write one share and its part of the whole cost (of the requests, where nothing cost anything)."""
        part, of = (share.sums.cost_nano, whole.cost_nano) if whole.cost_nano else (share.sums.requests, whole.requests)
        return cls(
            key=share.key,
            label=share.label,
            requests=share.sums.requests,
            errors=share.sums.errors,
            input_tokens=share.sums.input_tokens,
            output_tokens=share.sums.output_tokens,
            cost=dollars(share.sums.cost_nano),
            percent=_part_of(part, of),
        )


class UsageState(AppState):
    """What is asked and what was found. `key` and `model` are "" for all of them."""

    phase: str = "loading"
    zone: str = "UTC"
    range: str = "30d"
    first: str = ""
    last: str = ""
    key: str = ""
    model: str = ""
    compare: bool = False
    beyond: bool = False
    key_options: list[dict[str, str]] = []
    model_options: list[dict[str, str]] = []
    sums: Figures = Figures()
    blank: bool = True
    free: bool = True
    requests_figure: dict[str, Any] = {}
    tokens_figure: dict[str, Any] = {}
    cost_figure: dict[str, Any] = {}
    requests_rows: list[list[str]] = []
    tokens_rows: list[list[str]] = []
    cost_rows: list[list[str]] = []
    requests_columns: list[str] = []
    tokens_columns: list[str] = []
    cost_columns: list[str] = []
    by_key: list[ShareRow] = []
    by_model: list[ShareRow] = []
    csv: str = ""
    behind: str = ""
    _browser: str = "UTC"

    @rx.event
    @access("member")
    async def load(self, zone: str) -> None:
        """Read what is asked, for a browser in `zone` (an IANA name)."""
        self._browser = zone
        await self._read()

    @rx.event
    @access("member")
    async def again(self) -> None:
        """Read what is asked once more."""
        await self._read()

    @rx.event
    @access("member")
    async def choose(self, what: str, value: str) -> AsyncIterator[None]:
        """Ask for another range, key or model."""
        if what not in ("range", "first", "last", "key", "model"):
            return
        setattr(self, what, value[:64])
        yield  # what was chosen shows at once, what is found when it is
        if self.range == "dates" and not (self.first and self.last):
            return
        await self._read()

    @rx.event
    @access("member")
    async def set_beside(self, compare: bool) -> AsyncIterator[None]:
        """Put the period before beside this one, or take it away."""
        self.compare = compare
        yield
        await self._read()

    async def _read(self) -> None:
        async with loading(self) as (tx, me):
            zone = whose_zone(me.time_zone, self._browser)
            asked = question({name: getattr(self, name) for name in ("range", "first", "last", "key", "model")}, zone)
            self.zone, self.csv = zone.key, self._csv_link()
            await self._find(tx, me, asked)

    async def _find(self, tx: Tx, me: Person, asked: Question) -> None:
        whose, period, only = reports.own(me), asked.period, asked.only
        whole = await reports.comparison(tx, whose, period, only)
        self.beyond = self.compare and periods.before(period).start < now() - periods.LONGEST
        self.sums = Figures.of(whole, compared=self.compare and not self.beyond)
        self.blank, self.free = not whole.current.requests, not whole.current.cost_nano
        await self._draw(tx, me, asked)
        by_key = await reports.shares(tx, whose, period, "key", only)
        by_model = await reports.shares(tx, whose, period, "model", only)
        self.by_key = [ShareRow.of(share, whole.current) for share in by_key]
        self.by_model = [ShareRow.of(share, whole.current) for share in by_model]
        self.behind = _behind(await ingest.behind())
        await self._offer(tx, me, asked)

    async def _draw(self, tx: Tx, me: Person, asked: Question) -> None:
        whose, period, only = reports.own(me), asked.period, asked.only
        series = await reports.series(tx, whose, period, only)
        before = (
            await reports.series(tx, whose, periods.before(period), only) if self.compare and not self.beyond else None
        )
        models = await reports.series_by(tx, whose, period, "model", only, most=4)
        self.requests_figure, self.requests_rows = figures.requests(series, before, period.step)
        self.tokens_figure, self.tokens_rows = figures.tokens(series, before, period.step)
        self.cost_figure, self.cost_rows = figures.cost(models, series, before, period.step)
        more = ["Period before"] if before else []
        self.requests_columns = ["When", "Requests", "Failed", *more]
        self.tokens_columns = ["When", "Input", "of which cached", "Output", *more]
        self.cost_columns = ["When", "Cost", *more]

    async def _offer(self, tx: Tx, me: Person, asked: Question) -> None:
        """List the keys there are, and the models that were used in this period or are asked for."""
        all_keys = [*await keys.live(tx, me), *await keys.ended(tx, me)]
        used = {share.key for share in await reports.shares(tx, reports.own(me), asked.period, "model")}
        models = sorted(used | ({self.model} if self.model else set()))
        self.key_options = [_option("", "All keys"), *[_option(str(key.id), key.name) for key in all_keys]]
        self.model_options = [_option("", "All models"), *[_option(model, model) for model in models]]

    def _csv_link(self) -> str:
        asked = {name: getattr(self, name) for name in ("range", "first", "last", "key", "model")}
        return "/download/usage.csv?" + urlencode({**{k: v for k, v in asked.items() if v}, "zone": self._browser})


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        with_zone(UsageState.load),
        heading(
            "Usage",
            link_button("Request log", to="/dashboard/requests"),
            anchor(
                rx.icon("download", size=16, aria_hidden="true"),
                "CSV",
                href=UsageState.csv,
                download=True,
                class_name="inline-flex items-center justify-center gap-2 rounded-lg font-medium h-9 px-3.5 text-sm "
                "border border-line bg-surface text-ink shadow-card hover:bg-raised",
            ),
            lead="What your keys called, counted as it is billed. Kept for 13 months.",
        ),
        _questions(),
        rx.cond(UsageState.behind != "", notice(UsageState.behind, tone="warn")),
        rx.cond(
            UsageState.beyond, notice("Usage is kept for 13 months: the period before this one is no longer there.")
        ),
        four_sums(UsageState),
        card(_chart("cost", "Cost by model in US dollars"), title="Cost", lead="By model, in US dollars"),
        rx.cond((UsageState.phase != "ready") | ~UsageState.blank, _more()),
        wide=True,
    )


def _more() -> rx.Component:
    return rx.fragment(
        rx.el.div(
            card(_chart("requests", "Requests, answered and failed"), title="Requests"),
            card(_chart("tokens", "Tokens, input and output"), title="Tokens"),
            class_name="grid lg:grid-cols-2 gap-6",
        ),
        card(_shares(UsageState.by_model, "Model", "model"), title="By model"),
        card(_shares(UsageState.by_key, "Key", "key"), title="By key"),
    )


def _questions() -> rx.Component:
    return rx.el.div(
        _choice("Range", "range", list(RANGES), UsageState.range),
        rx.cond(UsageState.range == "dates", rx.fragment(_day("From", "first"), _day("To", "last"))),
        _choice("Key", "key", UsageState.key_options, UsageState.key),
        _choice("Model", "model", UsageState.model_options, UsageState.model),
        rx.el.label(
            rx.el.input(
                type="checkbox",
                checked=UsageState.compare,
                on_change=UsageState.set_beside,
                class_name="size-4 accent-accent",
            ),
            "Compare with the period before",
            class_name="flex items-center gap-2 h-10 sm:h-9",
        ),
        rx.el.p(
            "Days begin at midnight in ",
            rx.el.span(UsageState.zone, class_name="text-ink"),
            " · ",
            link("change", to="/dashboard/settings"),
            class_name="basis-full text-[0.8125rem] text-muted",
        ),
        class_name="flex flex-wrap items-end gap-3",
    )


def _choice(label: str, what: str, options: Any, value: Any) -> rx.Component:
    return rx.el.div(
        select(label, what, options, value=value, on_change=lambda chosen: UsageState.choose(what, chosen)),
        class_name="w-[calc(50%-0.375rem)] sm:w-44",
    )


def _day(label: str, what: str) -> rx.Component:
    value = UsageState.first if what == "first" else UsageState.last
    picked = field(label, what, type="date", value=value, on_change=lambda chosen: UsageState.choose(what, chosen))
    return rx.el.div(picked, class_name="w-[calc(50%-0.375rem)] sm:w-40")


def _chart(what: str, label: str) -> rx.Component:
    columns = getattr(UsageState, f"{what}_columns")
    if what == "cost":
        nothing = rx.cond(UsageState.blank, _nothing(), _for_nothing())
        return chart_of(UsageState, what, label, columns, nothing, blank=UsageState.free)
    return chart_of(UsageState, what, label, columns, _nothing())


def _nothing() -> rx.Component:
    return empty(
        "Nothing was called",
        "In this range, with these filters, no request was counted.",
        link_button("Quickstart", to="/docs"),
        icon="chart-column",
    )


def _for_nothing() -> rx.Component:
    return empty("Nothing was charged", "What was called in this range was free.", icon="chart-column")


def _shares(rows: Any, name: str, what: str) -> rx.Component:
    return table(
        rows,
        lambda row: (
            button(
                row.label,
                kind="ghost",
                size="small",
                on_click=UsageState.choose(what, row.key),
                class_name="-ml-2.5 text-ink",
                title="Show only this " + what,
            ),
            number(row.requests),
            number(row.errors),
            number(row.input_tokens),
            number(row.output_tokens),
            row.cost,
            row.percent,
        ),
        label=f"Usage by {what}",
        columns=(name, "Requests", "Failed", "Input tokens", "Output tokens", "Cost", "Share"),
        right=(1, 2, 3, 4, 5, 6),
        phase=UsageState.phase,
        empty=_nothing(),
        retry=UsageState.again,
        key=lambda row: row.key,
    )


def _part_of(part: int, of: int) -> str:
    if not of:
        return "—"
    return "<1%" if 0 < part * 100 < of else f"{part / of:.0%}"


def _option(value: str, text: str) -> dict[str, str]:
    return {"value": value, "text": text}


def _change(change: float | None) -> str:
    return "nothing in the period before" if change is None else f"{change:+.0%} on the period before"


def _behind(waiting: timedelta) -> str:
    if waiting < BEHIND:
        return ""
    minutes = waiting // timedelta(minutes=1)
    return f"Calls of the last {minutes} min are not all counted yet. None is lost: they follow by themselves."
