"""The queue of privacy requests: two clocks each, the most urgent first; requests by mail are entered here."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as clock_time
from typing import Any, Literal, Self, get_args

import reflex as rx

from assisters_app.accounts import emails
from assisters_app.base.errors import Refused
from assisters_app.privacy.rights import requests
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    dialog_actions,
    empty,
    field,
    form,
    heading,
    modal,
    notice,
    select,
    table,
    time,
)
from assisters_app.ui.parts.privacy import Until
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell

Dialog = Literal["", "enter", "answer"]
KINDS = {
    "access": "Access: a copy",
    "export": "Portability: an export",
    "correction": "Correction",
    "deletion": "Deletion",
    "opt-out": "Opting out of marketing",
}


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One request in the queue. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    kind: str
    channel: str
    state: str
    tone: str
    email: str
    received: str
    confirm_by: str
    gdpr_due: str
    ccpa_due: str
    due: str
    overdue: bool
    answered: str
    outcome: str

    @classmethod
    def of(cls, request: requests.RequestRow) -> Self:
        """Return what staff sees of a request."""
        tones = {"open": "bad" if request.overdue else "accent", "done": "good", "refused": "warn"}
        return cls(
            handle=request.handle,
            kind=request.kind.capitalize(),
            channel="by mail" if request.channel == "email" else "in the dashboard",
            state="overdue" if request.overdue else request.state,
            tone=tones.get(request.state, "plain"),
            email=request.email,
            received=request.received_at.isoformat(),
            confirm_by=request.confirm_by.isoformat(),
            gdpr_due=request.gdpr_due.isoformat(),
            ccpa_due=request.ccpa_due.isoformat(),
            due=request.due.isoformat(),
            overdue=request.overdue,
            answered=request.answered_at.isoformat() if request.answered_at else "",
            outcome=request.outcome,
        )


class QueueState(AppState):
    """The queue, and the one dialog that may be open."""

    phase: str = "loading"
    rows: list[RequestLine] = []
    everything: bool = False
    dialog: str = ""
    handle: str = ""
    problem: str = ""

    @rx.event
    @access("staff")
    async def load(self) -> None:
        """Read the queue."""
        async with loading(self) as (tx, me):
            found = await requests.queue(tx, me, only_open=not self.everything)
            self.rows = [RequestLine.of(request) for request in found]

    @rx.event
    @access("staff")
    async def widen(self, everything: bool) -> Any:
        """Show answered requests too, or only the open ones."""
        self.everything, self.phase = everything, "loading"
        return QueueState.load

    @rx.event
    @access("staff")
    async def ask(self, dialog: Dialog, handle: str) -> None:
        """Open a dialog, about one request or ("") none yet; "" closes it."""
        self.dialog, self.handle, self.problem = dialog, handle[:32], ""

    @rx.event
    @access("staff")
    async def enter(self, sent: dict[str, Any]) -> Any:
        """Enter a request that came by mail, with the day on which it came."""
        try:
            kind, email, received = _entered(sent)
            async with signed_in() as (tx, me):
                entered = await requests.enter(tx, me, kind, email, received)
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.dialog = ""
        self._tell(f"Entered as {entered.handle}, to be answered by {entered.due:%d %B %Y}.")
        return QueueState.load

    @rx.event
    @access("staff")
    async def answer(self, sent: dict[str, Any]) -> Any:
        """Close the request that the dialog is about."""
        state: requests.Answer = "refused" if sent.get("state") == "refused" else "done"
        try:
            async with signed_in() as (tx, me):
                await requests.answer(tx, me, self.handle, state, str(sent.get("outcome", ""))[:500])
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.dialog = ""
        self._tell("Answered. The person reads it under their requests.")
        return QueueState.load


load = QueueState.load


def _entered(sent: dict[str, Any]) -> tuple[requests.Kind, str, datetime]:
    kind = next((one for one in get_args(requests.Kind) if one == sent.get("kind")), None)
    if kind is None:
        raise Refused("Choose what was asked for.", code="bad_kind", field="kind")
    try:
        day = date.fromisoformat(str(sent.get("received", "")))
    except ValueError:
        raise Refused("Give the day on which it came.", code="bad_date", field="received") from None
    return kind, emails.normalized(str(sent.get("email", ""))), datetime.combine(day, clock_time(), UTC)


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Privacy requests",
            button(
                rx.icon("plus", size=16, aria_hidden="true"),
                "Enter a request by mail",
                on_click=QueueState.ask("enter", ""),
            ),
            lead="What is not answered by the software itself. The earlier of the two clocks counts for everyone.",
        ),
        card(
            rx.el.label(
                rx.el.input(
                    type="checkbox",
                    checked=QueueState.everything,
                    on_change=QueueState.widen,
                    class_name="size-4 accent-accent",
                ),
                "Answered ones too",
                class_name="flex items-center gap-2.5 mb-3 w-fit",
            ),
            table(
                QueueState.rows,
                _cells,
                label="Privacy requests",
                columns=("Request", "From", "Received", "Confirm by", "GDPR, a month", "CCPA, 45 days", "State", ""),
                phase=QueueState.phase,
                retry=QueueState.load,
                key=lambda row: row.handle,
                empty=empty(
                    "Nothing is waiting",
                    "Requests in the dashboard are met at once. One that comes by mail is entered with its true date.",
                    button("Enter a request by mail", kind="secondary", on_click=QueueState.ask("enter", "")),
                    icon="inbox",
                ),
            ),
        ),
        _enter(),
        _answer(),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.kind, class_name="font-medium"),
            rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
        ),
        rx.el.div(
            rx.cond(row.email != "", row.email, "erased"),
            rx.el.span(row.channel, class_name="block text-xs text-faint"),
            class_name="break-all min-w-36",
        ),
        time(row.received, "date"),
        time(row.confirm_by, "date"),
        time(row.gdpr_due, "date"),
        time(row.ccpa_due, "date"),
        rx.el.div(
            badge(row.state, tone=row.tone),
            rx.cond(
                row.answered == "",
                rx.cond(
                    row.overdue,
                    rx.fragment(),
                    Until.create(at=row.due, class_name="block mt-1 text-xs text-muted whitespace-nowrap"),
                ),
                rx.el.span(row.outcome, class_name="block mt-1 text-xs text-muted"),
            ),
        ),
        rx.cond(
            row.answered == "",
            button("Answer", kind="secondary", size="small", on_click=QueueState.ask("answer", row.handle)),
        ),
    )


def _enter() -> rx.Component:
    return modal(
        form(
            select("Asked for", "kind", list(KINDS.items())),
            field("Their address", "email", type="email", required=True, auto_complete="off"),
            field(
                "Came on",
                "received",
                type="date",
                required=True,
                hint="The day it reached us (UTC), not today's: both clocks count from it.",
                error=QueueState.problem,
            ),
            dialog_actions(button("Enter request", type="submit"), on_close=QueueState.ask("", "")),
            on_submit=QueueState.enter,
        ),
        open=QueueState.dialog == "enter",
        on_close=QueueState.ask("", ""),
        title="A request that came by mail",
    )


def _answer() -> rx.Component:
    return modal(
        form(
            select("Answer", "state", [("done", "Done"), ("refused", "Refused, with the reason")]),
            area(
                "What was done, or why not",
                "outcome",
                error=QueueState.problem,
                required=True,
                max_length=500,
                hint="The person reads this. A refusal says how to complain (GDPR Art. 12(4)).",
            ),
            notice("Answer the person by mail first; this closes the entry in the register.", tone="warn"),
            dialog_actions(button("Close request", type="submit"), on_close=QueueState.ask("", "")),
            on_submit=QueueState.answer,
        ),
        open=QueueState.dialog == "answer",
        on_close=QueueState.ask("", ""),
        title="Answer " + QueueState.handle,
    )
