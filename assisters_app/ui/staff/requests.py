"""The queue of privacy requests: the earlier of two clocks, the most urgent first; requests by mail are entered here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, get_args

import reflex as rx

from assisters_app.accounts import emails
from assisters_app.base.errors import Refused
from assisters_app.privacy.rights import requests
from assisters_app.ui.moments import beginning_of_day_picked, day, iso
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    empty,
    field,
    heading,
    link,
    new_button,
    select,
    table,
    time,
)
from assisters_app.ui.parts.privacy import Until
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog

Dialog = Literal["", "enter"]

KINDS = {
    "access": "Access: a copy",
    "export": "Portability: an export",
    "correction": "Correction",
    "deletion": "Deletion",
    "opt-out": "Opting out of marketing",
    "restriction": "Restriction: stop using it for now",
    "objection": "Objection: stop using it",
    "appeal": "Appeal: against a decision of ours",
    "question": "Question, or something else",
}

DOES = {"access": "link", "export": "link", "correction": "link", "deletion": "link", "opt-out": "unsubscribe"}


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One request in the queue. Times are ISO 8601 in UTC, "" for none."""

    handle: str = ""
    does: str = ""  # what our software can do for who asked: "link", "unsubscribe", or "" for nothing
    kind: str = ""
    channel: str = ""
    state: str = ""
    tone: str = "plain"
    email: str = ""
    words: str = ""
    received: str = ""
    confirm_by: str = ""
    acknowledged: str = ""
    gdpr_due: str = ""
    ccpa_due: str = ""
    due: str = ""
    first: str = ""  # which of the two clocks ends first
    overdue: bool = False
    paused: bool = False
    identity_asked: str = ""
    identity_answered: str = ""
    extended: str = ""
    extension_reason: str = ""
    assigned: str = ""
    answered: str = ""
    outcome: str = ""

    @classmethod
    def of(cls, request: requests.RequestRow) -> Self:
        """Return what staff sees of a request."""
        tones = {"open": "bad" if request.overdue else "accent", "done": "good", "refused": "warn"}
        state = "waiting for identity" if request.paused else request.state
        return cls(
            handle=request.handle,
            does=_does(request),
            kind=KINDS.get(request.kind, request.kind).partition(":")[0],
            channel="by mail" if request.channel == "email" else "in the dashboard",
            state="overdue" if request.overdue else state,
            tone=tones.get(request.state, "plain"),
            email=request.email,
            words=request.words,
            received=iso(request.received_at),
            confirm_by=iso(request.confirm_by),
            acknowledged=iso(request.acknowledged_at),
            gdpr_due=iso(request.gdpr_due),
            ccpa_due=iso(request.ccpa_due),
            due=iso(request.due),
            first="GDPR" if request.due == request.gdpr_due else "CCPA",
            overdue=request.overdue,
            paused=request.paused,
            identity_asked=iso(request.identity_asked_at),
            identity_answered=iso(request.identity_answered_at),
            extended=iso(request.extended_at),
            extension_reason=request.extension_reason,
            assigned=request.assigned,
            answered=iso(request.answered_at),
            outcome=request.outcome,
        )


def _does(request: requests.RequestRow) -> str:
    """Return what our software can do: who asks in the dashboard for a correction has the settings, and means another."""
    by_hand = request.kind == "correction" and request.channel == "dashboard"
    return DOES.get(request.kind, "") if (request.known or request.kind == "opt-out") and not by_hand else ""


class QueueState(Desk, AppState):
    """The queue: what is open, or everything."""

    phase: str = "loading"
    rows: list[RequestLine] = []
    everything: bool = False

    @rx.event
    @access("staff", right="requests")
    async def load(self) -> None:
        """Read the queue."""
        async with loading(self) as (tx, me):
            found = await requests.queue(tx, me, only_open=not self.everything)
            self.rows = [RequestLine.of(request) for request in found]

    @rx.event
    @access("staff", right="requests")
    async def widen(self, everything: bool) -> Any:
        """Show answered requests too, or only the open ones."""
        self.everything, self.phase = everything, "loading"
        return QueueState.load

    @rx.event
    @access("staff", right="requests")
    async def ask(self, dialog: Dialog) -> None:
        """Open the dialog in which a request by mail is entered, or ("") close it."""
        self._open(dialog)

    @rx.event
    @access("staff", right="requests")
    async def enter(self, sent: dict[str, Any]) -> Any:
        """Enter a request that came by mail, with the day on which it came."""
        return await self._carry_out(
            lambda tx, me: requests.enter(tx, me, *_entered(sent)),
            lambda one: f"Entered as {one.handle} and confirmed by mail; to be answered by {day(one.due)}.",
            QueueState.load,
        )


load = QueueState.load


def _entered(sent: dict[str, Any]) -> tuple[requests.Kind, str, datetime]:
    kind = next((one for one in get_args(requests.Kind) if one == sent.get("kind")), None)
    if kind is None:
        raise Refused("Choose what was asked for.", code="bad_kind", field="kind")
    return (
        kind,
        emails.normalized(str(sent.get("email", ""))),
        beginning_of_day_picked(sent, "received", "Give the day on which it came."),
    )


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Privacy requests",
            new_button(
                "Enter a request by mail",
                on_click=QueueState.ask("enter"),
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
                columns=("Request", "From", "Received", "Answer by", "Whose", "State"),
                phase=QueueState.phase,
                retry=QueueState.load,
                key=lambda row: row.handle,
                empty=empty(
                    "Nothing is waiting",
                    "Requests in the dashboard are met at once. One that comes by mail is entered with its true date.",
                    button("Enter a request by mail", kind="secondary", on_click=QueueState.ask("enter")),
                    icon="inbox",
                ),
            ),
        ),
        _enter(),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            link(row.kind, to="/staff/requests/" + row.handle, class_name="font-medium"),
            rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
        ),
        rx.el.div(
            rx.cond(row.email != "", row.email, "erased"),
            rx.el.span(row.channel, class_name="block text-xs text-faint"),
            class_name="break-all min-w-36",
        ),
        time(row.received, "date"),
        rx.cond(
            row.answered == "",
            rx.el.div(
                time(row.due, "date"),
                rx.el.span(
                    row.first,
                    rx.cond(
                        row.overdue | row.paused,
                        rx.fragment(),
                        rx.fragment(", in ", Until.create(at=row.due, class_name="inline")),
                    ),
                    class_name="block text-xs text-muted whitespace-nowrap",
                ),
            ),
            rx.el.span("answered ", time(row.answered, "date"), class_name="text-muted"),
        ),
        rx.cond(
            row.assigned != "",
            rx.el.span(row.assigned, class_name="break-all"),
            rx.el.span("nobody's", class_name="text-faint"),
        ),
        badge(row.state, tone=row.tone),
    )


def _enter() -> rx.Component:
    return dialog(
        QueueState,
        "enter",
        "A request that came by mail",
        select("Asked for", "kind", list(KINDS.items())),
        field("Their address", "email", type="email", required=True, auto_complete="off"),
        field(
            "Came on",
            "received",
            type="date",
            required=True,
            hint="The day it reached us (UTC), not today's: both clocks count from it. The receipt is confirmed by mail.",
        ),
        act="Enter request",
        on_submit=QueueState.enter,
        on_close=QueueState.ask(""),
    )
