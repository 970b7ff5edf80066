"""Your privacy requests with their clocks, what the law makes us keep of you, and who demanded your data."""

from dataclasses import dataclass
from typing import Any, Self, get_args

import reflex as rx

from assisters_app.base.errors import Refused
from assisters_app.privacy.registers import disclosures, holds
from assisters_app.privacy.rights import requests
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    dialog_actions,
    empty,
    form,
    heading,
    link_button,
    modal,
    new_button,
    select,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.ui.words import CONTACT

HERE = "/dashboard/privacy/requests"
ASK = (
    ("question", "A question, or something else"),
    ("correction", "Correct what I cannot change myself"),
    ("restriction", "Stop using some of my data for now"),
    ("objection", "Stop using my data for a purpose"),
    ("appeal", "Appeal against a decision of yours"),
)
NAMES = {**{kind: kind.capitalize() for kind in get_args(requests.Kind)}, "opt-out": "Opt-out"}


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """One request of one's own. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    kind: str
    words: str
    state: str
    tone: str
    received: str
    due: str
    extended: bool
    why: str
    doubted: bool
    answered: str
    outcome: str

    @classmethod
    def of(cls, request: requests.RequestRow) -> Self:
        """Return what its person sees of a request."""
        tones = {"open": "bad" if request.overdue else "accent", "done": "good", "refused": "warn"}
        return cls(
            handle=request.handle,
            kind=NAMES.get(request.kind, request.kind),
            words=request.words,
            state="overdue" if request.overdue else request.state,
            tone=tones.get(request.state, "plain"),
            received=request.received_at.isoformat(),
            due=request.due.isoformat() if request.state == "open" else "",
            extended=request.extended_at is not None,
            why=request.extension_reason,
            doubted=request.paused,
            answered=iso(request.answered_at),
            outcome=request.outcome,
        )


@dataclass(frozen=True, slots=True)
class OwnHold:
    """One hold on one's own data, of which one may know."""

    handle: str
    what: str
    ground: str
    state: str
    tone: str
    review_by: str

    @classmethod
    def of(cls, hold: holds.HoldRow) -> Self:
        """Return what its person sees of a hold."""
        return cls(
            handle=hold.handle,
            what=", ".join(hold.tables) or "Everything of your account",
            ground=hold.ground,
            state="released" if hold.released_at else "in force",
            tone="plain" if hold.released_at else "warn",
            review_by="" if hold.released_at else hold.review_by.isoformat(),
        )


@dataclass(frozen=True, slots=True)
class OwnDemand:
    """One demand for one's own data, of which one may know."""

    handle: str
    authority: str
    received: str
    asked: str
    disclosed: str

    @classmethod
    def of(cls, one: disclosures.OwnRow) -> Self:
        """Return what its person sees of a demand."""
        return cls(
            one.handle, one.authority, one.received_at.isoformat(), one.asked, one.disclosed or "Not answered yet"
        )


class OwnRequestsState(AppState):
    """One's requests, holds and demands, and whether something is being asked."""

    phase: str = "loading"
    rows: list[OwnRequest] = []
    holds: list[OwnHold] = []
    demands: list[OwnDemand] = []
    asking: bool = False
    problem: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read what this page shows."""
        async with loading(self) as (tx, me):
            self.rows = [OwnRequest.of(one) for one in await requests.mine(tx, me)]
            self.holds = [OwnHold.of(one) for one in await holds.mine(tx, me)]
            self.demands = [OwnDemand.of(one) for one in await disclosures.mine(tx, me)]

    @rx.event
    @access("member")
    async def open_dialog(self, asking: bool) -> None:
        """Open or close the dialog in which one asks."""
        self.asking, self.problem = asking, ""

    @rx.event
    @access("member")
    async def ask(self, sent: dict[str, Any]) -> Any:
        """Ask for something."""
        kind = next((one for one in get_args(requests.Asked) if one == sent.get("kind")), "question")
        try:
            async with signed_in() as (tx, me):
                made = await requests.ask(tx, me, kind, str(sent.get("words", "")))
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.asking = False
        self._tell(f"We have it as {made.handle}. You get the answer by {made.due:%d %B %Y} at the latest.")
        return OwnRequestsState.load

    @rx.event
    @access("member")
    async def confirm(self, handle: str) -> Any:
        """Say that it was oneself who asked; proven by having just signed in."""
        try:
            async with signed_in() as (tx, me):
                await requests.confirm_identity(tx, me, handle[:32])
        except Refused as refused:
            if refused.code == "reauthenticate":
                return rx.redirect(f"/confirm?next={HERE}")
            raise
        self._tell("Thank you. We go on with it.")
        return OwnRequestsState.load


load = OwnRequestsState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Your requests",
            link_button("Back to privacy", to="/dashboard/privacy"),
            new_button("Ask for something", on_click=OwnRequestsState.open_dialog(True)),
            lead="Copies, exports and deletions you do yourself, at once. For anything else, ask: a person answers.",
        ),
        _requests(),
        _holds(),
        _demands(),
        _ask(),
    )


def _requests() -> rx.Component:
    return card(
        table(
            OwnRequestsState.rows,
            _cells,
            label="Your privacy requests",
            columns=("Request", "Received", "Answer", "State"),
            phase=OwnRequestsState.phase,
            retry=OwnRequestsState.load,
            key=lambda row: row.handle,
            empty=empty(
                "No requests yet",
                "Each use of a right is entered here, with the date by which the law wants it answered.",
                button("Ask for something", kind="secondary", on_click=OwnRequestsState.open_dialog(True)),
                icon="inbox",
            ),
        ),
        title="Asked so far",
        lead=f"Here or by mail to {CONTACT}. Kept for 24 months as proof that they were met.",
        action=link_button("How they are handled", to="/privacy/procedure", size="small"),
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.kind, class_name="font-medium"),
            rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
            rx.cond(
                row.words != "",
                rx.el.span(
                    row.words, class_name="block mt-1 text-[0.8125rem] text-muted break-words max-w-xs line-clamp-3"
                ),
            ),
        ),
        time(row.received, "date"),
        rx.el.div(
            rx.cond(row.due != "", rx.el.span("by ", time(row.due, "date")), time(row.answered, "date")),
            rx.cond(
                row.extended,
                rx.el.span("More time was taken: ", row.why, class_name="block text-[0.8125rem] text-muted"),
            ),
            rx.cond(
                row.outcome != "", rx.el.span(row.outcome, class_name="block text-[0.8125rem] text-muted break-words")
            ),
            rx.cond(
                row.doubted,
                rx.el.div(
                    rx.el.span("Was it you who asked? ", class_name="text-[0.8125rem]"),
                    button("It was me", kind="secondary", size="small", on_click=OwnRequestsState.confirm(row.handle)),
                    class_name="mt-2 flex flex-wrap items-center gap-2",
                ),
            ),
            class_name="max-w-sm",
        ),
        badge(row.state, tone=row.tone),
    )


def _holds() -> rx.Component:
    return card(
        table(
            OwnRequestsState.holds,
            lambda row: (
                rx.el.div(
                    rx.el.span(row.what, class_name="font-medium"),
                    rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
                ),
                rx.el.span(row.ground, class_name="text-muted break-words"),
                time(row.review_by, "date", "ended"),
                badge(row.state, tone=row.tone),
            ),
            label="Legal holds on your data",
            columns=("What is kept", "Why", "Looked at again by", "State"),
            phase=OwnRequestsState.phase,
            retry=OwnRequestsState.load,
            key=lambda row: row.handle,
            empty=empty(
                "Nothing is held", "When the law makes us keep something of yours, you read it here.", icon="scale"
            ),
        ),
        title="What the law makes us keep",
        lead="Beyond the times of our policy, and only while it does.",
    )


def _demands() -> rx.Component:
    return card(
        table(
            OwnRequestsState.demands,
            lambda row: (
                rx.el.div(
                    rx.el.span(row.authority, class_name="font-medium"),
                    rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
                ),
                time(row.received, "date"),
                rx.el.span(row.asked, class_name="text-muted break-words"),
                rx.el.span(row.disclosed, class_name="break-words"),
            ),
            label="Authorities that demanded your data",
            columns=("Authority", "Came", "Asked for", "Handed over"),
            phase=OwnRequestsState.phase,
            retry=OwnRequestsState.load,
            key=lambda row: row.handle,
            empty=empty("Nobody has", "When an authority demands your data, you read it here.", icon="landmark"),
        ),
        title="Authorities that asked for your data",
        lead="You are told, unless an order forbids it; then, the day it ends.",
        action=link_button("All demands, by year", to="/disclosures", size="small"),
    )


def _ask() -> rx.Component:
    return modal(
        form(
            select("What is it about?", "kind", ASK),
            area(
                "In your words",
                "words",
                required=True,
                max_length=requests.LONGEST,
                rows="5",
                error=OwnRequestsState.problem,
                hint="A person reads it and answers within a month, free of charge.",
            ),
            dialog_actions(button("Send", type="submit"), on_close=OwnRequestsState.open_dialog(False)),
            on_submit=OwnRequestsState.ask,
        ),
        open=OwnRequestsState.asking,
        on_close=OwnRequestsState.open_dialog(False),
        title="Ask for something",
    )
