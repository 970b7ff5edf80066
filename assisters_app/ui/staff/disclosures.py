"""Demands of authorities: who asked for what, what was handed over, and whether those it names have been told."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx
from pydantic import ValidationError

from assisters_app.base.errors import Refused
from assisters_app.privacy.registers import disclosures
from assisters_app.ui.moments import beginning_of_day_picked, iso
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    empty,
    field,
    heading,
    link_button,
    new_button,
    select,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog

Dialog = Literal["", "enter", "answer", "tell"]
TONES = {"open": "accent", "full": "warn", "part": "warn", "none": "good"}


@dataclass(frozen=True, slots=True)
class DemandLine:
    """One demand. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    authority: str
    kind: str
    received: str
    scope: str
    accounts: str
    untold: int
    why_untold: str
    secret_until: str
    outcome: str
    tone: str
    answer: str
    is_open: bool

    @classmethod
    def of(cls, one: disclosures.DisclosureRow) -> Self:
        """Return what staff sees of a demand."""
        return cls(
            handle=one.handle,
            authority=one.authority,
            kind={str(name): title for name, title in disclosures.KINDS.items()}.get(one.kind, one.kind),
            received=iso(one.received_at),
            scope=one.scope,
            accounts=f"{one.accounts:,}",
            untold=one.untold,
            why_untold=one.why_untold,
            secret_until=iso(one.secret_until),
            outcome=disclosures.OUTCOMES[one.outcome],
            tone=TONES[one.outcome],
            answer=one.answer,
            is_open=one.outcome == "open",
        )


class DemandsState(Desk, AppState):
    """The log."""

    phase: str = "loading"
    rows: list[DemandLine] = []

    @rx.event
    @access("staff", right="disclosures")
    async def load(self) -> None:
        """Read the log."""
        async with loading(self) as (tx, me):
            self.rows = [DemandLine.of(one) for one in await disclosures.listed(tx, me)]

    @rx.event
    @access("staff", right="disclosures")
    async def ask(self, dialog: Dialog, handle: str) -> None:
        """Open a dialog, about one demand or ("") none yet; "" closes it."""
        self._open(dialog, handle)

    @rx.event
    @access("staff", right="disclosures")
    async def enter(self, sent: dict[str, Any]) -> Any:
        """Enter a demand."""
        return await self._carry_out(
            lambda tx, me: disclosures.enter(tx, me, _new(sent)),
            lambda one: f"Entered as {one.handle}. Accounts told: {one.told}, not told: {one.untold}.",
            DemandsState.load,
        )

    @rx.event
    @access("staff", right="disclosures")
    async def answer(self, sent: dict[str, Any]) -> Any:
        """Note what was handed over."""
        outcomes: dict[str, disclosures.Outcome] = {"full": "full", "part": "part"}
        outcome = outcomes.get(str(sent.get("outcome")), "none")
        return await self._carry_out(
            lambda tx, me: disclosures.answer(tx, me, self.handle, outcome, str(sent.get("what", ""))),
            "Noted. Those who may know have been told.",
            DemandsState.load,
        )

    @rx.event
    @access("staff", right="disclosures")
    async def tell(self) -> Any:
        """Tell those whom the demand names."""
        return await self._carry_out(
            lambda tx, me: disclosures.tell(tx, me, self.handle),
            "Told, by mail and in their dashboards.",
            DemandsState.load,
        )


load = DemandsState.load


def _new(sent: dict[str, Any]) -> disclosures.NewDisclosure:
    secret = bool(str(sent.get("secret_until", "")) or str(sent.get("not_told_why", "")).strip())
    try:
        return disclosures.NewDisclosure(
            authority=str(sent.get("authority", "")),
            kind=str(sent.get("kind", "")),
            received_at=beginning_of_day_picked(sent, "received", "Give the day on which it came."),
            scope=str(sent.get("scope", "")),
            addresses=tuple(str(sent.get("addresses", "")).replace(",", " ").split()),
            not_told_why=str(sent.get("not_told_why", "")),
            secret_until=beginning_of_day_picked(sent, "secret_until", "Give the day on which the secrecy ends.")
            if secret
            else None,
        )
    except ValidationError:
        raise Refused("Choose a kind, and write less: 500 characters are enough.", code="bad_form") from None


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Demands of authorities",
            link_button("What everyone sees", to="/disclosures"),
            new_button("Enter a demand", on_click=DemandsState.ask("enter", "")),
            lead="Each is entered before it is answered. Those it names are told at once, unless an order forbids it.",
        ),
        card(
            table(
                DemandsState.rows,
                _cells,
                label="Demands of authorities",
                columns=("Authority", "Came", "Asked for", "Accounts", "Handed over", ""),
                phase=DemandsState.phase,
                retry=DemandsState.load,
                key=lambda row: row.handle,
                empty=empty("No demand so far", "The public page says so, too, year by year.", icon="landmark"),
            ),
        ),
        _enter(),
        _answer(),
        _tell(),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.authority, class_name="font-medium"),
            rx.el.span(row.kind, class_name="block text-xs text-muted"),
            rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
            class_name="min-w-36",
        ),
        time(row.received, "date"),
        rx.el.span(row.scope, class_name="inline-block max-w-xs"),
        rx.el.div(
            row.accounts,
            rx.cond(
                row.untold > 0,
                rx.el.span(
                    row.untold,
                    " not told until ",
                    time(row.secret_until, "date"),
                    ": ",
                    row.why_untold,
                    class_name="block text-xs text-muted max-w-xs",
                ),
                rx.el.span("all told", class_name="block text-xs text-muted"),
            ),
        ),
        rx.el.div(
            badge(row.outcome, tone=row.tone),
            rx.cond(row.answer != "", rx.el.span(row.answer, class_name="block mt-1 text-xs text-muted")),
            class_name="max-w-xs",
        ),
        rx.el.div(
            rx.cond(
                row.is_open,
                button("Answer", kind="ghost", size="small", on_click=DemandsState.ask("answer", row.handle)),
            ),
            rx.cond(
                row.untold > 0,
                button("Tell", kind="ghost", size="small", on_click=DemandsState.ask("tell", row.handle)),
            ),
            class_name="flex flex-wrap gap-2",
        ),
    )


def _enter() -> rx.Component:
    return _dialog(
        "enter",
        "A demand of an authority",
        field("Authority", "authority", required=True, max_length=200, auto_complete="off"),
        select("Kind", "kind", [(str(name), title) for name, title in disclosures.KINDS.items()]),
        field("Came on", "received", type="date", required=True, hint="The day it reached us (UTC)."),
        area(
            "Asked for",
            "scope",
            required=True,
            max_length=500,
            rows="2",
            hint="Name nobody here: this log is kept for good.",
        ),
        area("Accounts it names", "addresses", rows="2", hint="Their addresses, with spaces between. Each is told."),
        rx.el.details(
            rx.el.summary("An order forbids to tell them", class_name="text-accent w-fit rounded"),
            rx.el.div(
                area("That order", "not_told_why", max_length=500, rows="2"),
                field("It ends on", "secret_until", type="date", hint="That day they are told by itself."),
                class_name="mt-3 space-y-4",
            ),
        ),
        on_submit=DemandsState.enter,
        act="Enter demand",
    )


def _answer() -> rx.Component:
    return _dialog(
        "answer",
        "Answer to " + DemandsState.handle,
        select(
            "Handed over",
            "outcome",
            [("none", "Nothing"), ("part", "A part of it"), ("full", "All that was asked for")],
        ),
        area(
            "What, or why not",
            "what",
            required=True,
            max_length=500,
            hint="Those it names read this. Name nobody here.",
        ),
        on_submit=DemandsState.answer,
        act="Note the answer",
    )


def _tell() -> rx.Component:
    return _dialog(
        "tell",
        "End the secrecy of " + DemandsState.handle + "?",
        rx.el.p("Each person whom it names is mailed, and reads it in their dashboard. The order must have ended."),
        on_submit=DemandsState.tell,
        act="Tell them",
    )


def _dialog(name: str, title: str | rx.Var[str], *inside: Any, on_submit: Any, act: str) -> rx.Component:
    close = DemandsState.ask("", "")
    return dialog(DemandsState, name, title, *inside, act=act, on_submit=on_submit, on_close=close)
