"""Models and prices: what is offered, who answers for it, and what it costs from when on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx
from pydantic import ValidationError

from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.billing import plans
from assisters_app.billing.rating import PriceVersion
from assisters_app.gateway import offering
from assisters_app.gateway.catalog import UNITS
from assisters_app.ui.moments import moment_picked
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    empty,
    field,
    heading,
    new_button,
    select,
    table,
    time,
)
from assisters_app.ui.price_list import told
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Act, Desk, dialog

Dialog = Literal["", "add", "change", "price", "retire"]
FAMILIES = {
    "chat": "Chat",
    "embeddings": "Embeddings",
    "moderations": "Moderation",
    "rerank": "Rerank",
    "transcriptions": "Speech to text",
    "speech": "Text to speech",
    "images": "Images",
}


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One version of a price. `begins` is ISO 8601 in UTC; `state` is "in force", "to come" or "" for one of the past."""

    number: str
    begins: str
    says: str
    state: str

    @classmethod
    def of(cls, price: PriceVersion, in_force: int, *, ahead: bool) -> Self:
        """Return what staff sees of a version."""
        state = "to come" if ahead else "in force" if price.version == in_force else ""
        return cls(f"{price.version}", price.valid_from.isoformat(), told(price), state)


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model, as it is listed and as its forms begin. Counts are text, as they are typed."""

    id: str
    title: str
    family: str
    kind: str
    upstream: str
    upstream_model: str
    answers: str
    context_tokens: str
    max_output_tokens: str
    dimensions: str
    retired: bool
    price: str  # in force now, "" for none
    sold_by: str  # what its price is told for: "chat", "tokens", or as many of a unit
    prices: list[PriceLine]

    @classmethod
    def of(cls, one: offering.Listed) -> Self:
        """Return what staff sees of a model."""
        row, unit = one.model, UNITS.get(one.model.family, "")
        in_force = next((price for price in one.prices if price.version == one.in_force), None)
        begun = in_force.valid_from if in_force else None
        return cls(
            id=row.id,
            title=row.title,
            family=row.family,
            kind=FAMILIES.get(row.family, row.family),
            upstream=row.upstream,
            upstream_model=row.upstream_model,
            answers=_answers(row.upstream),
            context_tokens=f"{row.context_tokens}",
            max_output_tokens=f"{row.max_output_tokens}",
            dimensions=f"{row.dimensions or ''}",
            retired=row.retired_at is not None,
            price=told(in_force) if in_force else "",
            sold_by=plans.told_per(unit)[1] if unit else "chat" if row.family == "chat" else "tokens",
            prices=[
                PriceLine.of(price, one.in_force, ahead=begun is None or price.valid_from > begun)
                for price in one.prices
            ],
        )


NONE = ModelLine(
    "", "", "chat", "Chat", "", "", "", "128000", "4096", "", retired=False, price="", sold_by="", prices=[]
)


class ModelsState(Desk, AppState):
    """Every model, and the one that the open dialog is about."""

    phase: str = "loading"
    rows: list[ModelLine] = []
    chosen: ModelLine = NONE
    upstreams: list[dict[str, str]] = []

    @rx.event
    @access("staff", right="models")
    async def load(self) -> None:
        """Read the models and their prices."""
        async with loading(self) as (tx, me):
            self.rows = [ModelLine.of(one) for one in await offering.listed(tx, me)]
        self.upstreams = [{"value": name, "text": _answers(name)} for name in offering.upstreams()]

    @rx.event
    @access("staff", right="models")
    def ask(self, dialog: Dialog, handle: str) -> None:
        """Open a dialog about a model or ("") a new one, or close it ("")."""
        self.chosen = next((row for row in self.rows if row.id == handle), NONE)
        self._open(dialog, self.chosen.id)

    @rx.event
    @access("staff", right="models")
    async def add(self, sent: dict[str, Any]) -> Any:
        """Offer a new model."""
        return await self._do("It is on offer once it has a price.", lambda tx, me: offering.add(tx, me, _terms(sent)))

    @rx.event
    @access("staff", right="models")
    async def change(self, sent: dict[str, Any]) -> Any:
        """Change what is said of a model."""
        given = {**sent, "id": self.chosen.id, "family": self.chosen.family}
        return await self._do(
            "Changed. Calls see it within a second.", lambda tx, me: offering.change(tx, me, _terms(given))
        )

    @rx.event
    @access("staff", right="models")
    async def publish(self, sent: dict[str, Any]) -> Any:
        """Put a new version of a price in force, now or on a day to come."""
        model, amounts = self.chosen.id, {name: str(value) for name, value in sent.items()}

        async def act(tx: Any, me: Any) -> None:
            await offering.price(tx, me, model, amounts, moment_picked(sent, "begins"))

        return await self._do("The price is published.", act)

    @rx.event
    @access("staff", right="models")
    async def retire(self, sent: dict[str, Any]) -> Any:  # noqa: ARG002 (a form sends its fields, and has none)
        """Take a model off the list."""
        model = self.chosen.id
        return await self._do(f"{model} is off the list.", lambda tx, me: offering.retire(tx, me, model))

    @rx.event
    @access("staff", right="models")
    async def offer_again(self, model: str) -> Any:
        """Put a retired model back on the list."""
        return await self._do(f"{model} is on offer again.", lambda tx, me: offering.offer_again(tx, me, model))

    async def _do(self, done: str, act: Act) -> Any:
        return await self._carry_out(act, done, ModelsState.load)


load = ModelsState.load


def _answers(upstream: str) -> str:
    """Return who answers for models that name this upstream, in words."""
    known = settings().upstreams
    if upstream:
        return upstream if upstream in known else f"{upstream}, which the settings do not name"
    return "The usual upstream" if "" in known else "The sandbox" if not known else "Nobody: there is no usual upstream"


def _terms(sent: Mapping[str, Any]) -> offering.Terms:
    given = {name: str(value).strip() for name, value in sent.items()}
    try:
        return offering.Terms.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as problem:
        wrong = sorted({str(error["loc"][0]).replace("_", " ") for error in problem.errors()})
        raise Refused(f"Please look again at: {', '.join(wrong)}.", code="terms_unreadable") from problem


def page() -> rx.Component:
    """Draw the page."""
    state = ModelsState
    return shell(
        heading(
            "Models and prices",
            new_button("Add a model", on_click=state.ask("add", "")),
            lead="What callers can name, who answers, and what it costs. A new price is a new version; what was used before is billed at the old one.",
        ),
        card(
            table(
                state.rows,
                _model,
                label="Models",
                columns=("Model", "Kind", "Answered by", "Price", ""),
                phase=state.phase,
                retry=state.load,
                key=lambda row: row.id,
                empty=empty("No models", "What callers can name is listed here.", icon="boxes"),
            )
        ),
        _adding(),
        _changing(),
        _pricing(),
        _retiring(),
        wide=True,
    )


def _model(row: Any) -> tuple[Any, ...]:
    ask = ModelsState.ask
    return (
        rx.el.div(
            rx.el.span(row.title, class_name="font-medium"),
            rx.el.code(row.id, class_name="block font-mono text-xs text-muted break-all"),
        ),
        row.kind,
        rx.el.div(
            rx.el.span(row.answers),
            rx.cond(
                row.upstream_model != row.id,
                rx.el.code(row.upstream_model, class_name="block font-mono text-xs text-muted break-all"),
            ),
        ),
        rx.cond(
            row.retired,
            badge("retired"),
            rx.cond(row.price != "", row.price, badge("no price yet", tone="warn")),
        ),
        rx.el.div(
            button(
                "Price", kind="secondary", size="small", on_click=ask("price", row.id), aria_label="Price of " + row.id
            ),
            button("Edit", kind="secondary", size="small", on_click=ask("change", row.id), aria_label="Edit " + row.id),
            rx.cond(
                row.retired,
                button(
                    "Offer again",
                    kind="secondary",
                    size="small",
                    on_click=ModelsState.offer_again(row.id),
                    aria_label="Offer " + row.id + " again",
                ),
                button(
                    "Retire",
                    kind="secondary",
                    size="small",
                    on_click=ask("retire", row.id),
                    aria_label="Retire " + row.id,
                ),
            ),
            class_name="flex flex-wrap sm:justify-end gap-2 pt-2 sm:pt-0",
        ),
    )


def _dialog(name: Dialog, title: Any, *inside: Any, on_submit: Any, act: str, kind: str = "primary") -> rx.Component:
    state = ModelsState
    fields = rx.el.div(*inside, key=state.chosen.id, class_name="space-y-4")  # each model's begin with what it has
    return dialog(state, name, title, fields, act=act, kind=kind, on_submit=on_submit, on_close=state.ask("", ""))


def _adding() -> rx.Component:
    return _dialog(
        "add",
        "Add a model",
        field(
            "Name", "id", hint="What callers write, such as assisters-chat-v2. It stays.", required=True, max_length=64
        ),
        select("What it does", "family", list(FAMILIES.items())),
        *_said(),
        on_submit=ModelsState.add,
        act="Add it",
    )


def _changing() -> rx.Component:
    return _dialog(
        "change",
        "Edit " + ModelsState.chosen.id,
        *_said(),
        on_submit=ModelsState.change,
        act="Save",
    )


def _said() -> tuple[rx.Component, ...]:
    """Return the fields of what is said of a model."""
    chosen = ModelsState.chosen
    count = {"type": "number", "min": "0", "input_mode": "numeric"}
    return (
        field("Title", "title", default_value=chosen.title, required=True, max_length=120),
        select(
            "Answered by",
            "upstream",
            ModelsState.upstreams,
            default_value=chosen.upstream,
            hint="As the settings name them.",
        ),
        field(
            "Its name there",
            "upstream_model",
            default_value=chosen.upstream_model,
            required=True,
            max_length=120,
        ),
        rx.el.div(
            field("Tokens a request may have", "context_tokens", default_value=chosen.context_tokens, **count),
            field("Tokens an answer may have", "max_output_tokens", default_value=chosen.max_output_tokens, **count),
            class_name="grid sm:grid-cols-2 gap-4",
        ),
        field("Dimensions", "dimensions", default_value=chosen.dimensions, hint="Of embeddings; else empty.", **count),
    )


def _pricing() -> rx.Component:
    chosen = ModelsState.chosen
    amount = {"input_mode": "decimal", "required": True, "auto_complete": "off", "placeholder": "0.10"}
    return _dialog(
        "price",
        "Price of " + chosen.id,
        rx.cond(
            chosen.prices.length() > 0,
            rx.el.ul(
                rx.foreach(chosen.prices, _version),
                aria_label="Versions",
                class_name="divide-y divide-line border-y border-line",
            ),
            rx.el.p("It has no price yet, so live keys cannot call it.", class_name="text-muted"),
        ),
        rx.el.p("A new version, in dollars", class_name="font-medium pt-2"),
        rx.match(
            chosen.sold_by,
            (
                "chat",
                rx.el.div(
                    field("Input", "input", **amount),
                    field("Cached input", "cached", **amount),
                    field("Output", "output", **amount),
                    rx.el.p("Per million tokens.", class_name="col-span-full -mt-2 text-[0.8125rem] text-muted"),
                    class_name="grid grid-cols-3 gap-3",
                ),
            ),
            ("tokens", field("Input", "input", hint="Per million tokens.", **amount)),
            field("Price", "unit", hint=rx.el.span("Per ", chosen.sold_by, "."), **amount),
        ),
        field("From, in UTC", "begins", type="datetime-local", hint="Empty: from now on. Never in the past."),
        on_submit=ModelsState.publish,
        act="Publish the price",
    )


def _version(line: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(line.says, class_name="min-w-0 grow tabular-nums"),
        rx.cond(line.state != "", badge(line.state, tone=rx.cond(line.state == "in force", "good", "accent"))),
        rx.el.span("from ", time(line.begins), class_name="text-muted whitespace-nowrap"),
        key=line.number,
        class_name="flex flex-wrap items-center gap-x-3 gap-y-1 py-2 text-[0.8125rem]",
    )


def _retiring() -> rx.Component:
    return _dialog(
        "retire",
        "Retire " + ModelsState.chosen.id,
        rx.el.p("Within a second every call of it is answered with 404, and it leaves the price list."),
        rx.el.p("What was called stays on the bills. It can be offered again.", class_name="text-muted"),
        on_submit=ModelsState.retire,
        act="Retire it",
        kind="danger",
    )
