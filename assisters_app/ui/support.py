"""Support: ask us something, and read what we answered."""

from dataclasses import dataclass, field
from typing import Any, Self

import reflex as rx

from assisters_app.base.errors import Refused
from assisters_app.support import messages
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    dialog_actions,
    empty,
    failed,
    form,
    heading,
    link,
    modal,
    new_button,
    time,
)
from assisters_app.ui.parts import field as text_field
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell


@dataclass(frozen=True, slots=True)
class LineView:
    """One message."""

    from_us: bool
    text: str
    at: str

    @classmethod
    def of(cls, line: messages.Line) -> Self:
        """Return what is shown of a message."""
        return cls(line.from_us, line.text, line.at.isoformat())


@dataclass(frozen=True, slots=True)
class TalkView:
    """One conversation. Times are ISO 8601 in UTC, "" for none."""

    handle: str = ""
    subject: str = ""
    at: str = ""
    waiting: str = ""
    closed: str = ""
    email: str = ""
    lines: list[LineView] = field(default_factory=list)

    @classmethod
    def of(cls, talk: messages.Talk) -> Self:
        """Return what is shown of a conversation."""
        return cls(
            handle=talk.handle,
            subject=talk.subject,
            at=talk.at.isoformat(),
            waiting=iso(talk.waiting_since),
            closed=iso(talk.closed_at),
            email=talk.email,
            lines=[LineView.of(line) for line in talk.lines],
        )


class SupportState(AppState):
    """One's conversations, and which of them one is writing in ("" for none, "new" for a new one)."""

    phase: str = "loading"
    talks: list[TalkView] = []
    writing: str = ""
    problem: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the conversations."""
        async with loading(self) as (tx, me):
            self.talks = [TalkView.of(talk) for talk in await messages.mine(tx, me)]

    @rx.event
    @access("member")
    async def write_in(self, where: str) -> None:
        """Open the form of one conversation, or of a new one."""
        self.writing, self.problem = where[:32], ""

    @rx.event
    @access("member")
    async def begin(self, sent: dict[str, Any]) -> Any:
        """Ask something new."""
        try:
            async with signed_in() as (tx, me):
                await messages.begin(tx, me, str(sent.get("subject") or ""), str(sent.get("text") or ""))
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.writing, self.problem = "", ""
        self._tell("Sent. You will get a mail when there is an answer here.")
        return SupportState.load

    @rx.event
    @access("member")
    async def add(self, sent: dict[str, Any]) -> Any:
        """Add a message to the conversation one is writing in."""
        try:
            async with signed_in() as (tx, me):
                await messages.write(tx, me, self.writing, str(sent.get("more") or ""))
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.writing, self.problem = "", ""
        self._tell("Sent.")
        return SupportState.load

    @rx.event
    @access("member")
    async def close(self, handle: str) -> Any:
        """Say that nothing is left to answer."""
        async with signed_in() as (tx, me):
            await messages.close(tx, me, handle)
        self._tell("Closed. Write in it again whenever you like.")
        return SupportState.load


load = SupportState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Support",
            new_button("Ask something", on_click=SupportState.write_in("new")),
            lead="People answer here. What you write is kept with your account, is in your export, and goes with it.",
        ),
        rx.match(
            SupportState.phase,
            ("failed", card(failed(SupportState.load))),
            (
                "ready",
                rx.cond(
                    SupportState.talks.length() > 0,
                    rx.el.div(rx.foreach(SupportState.talks, _talk), class_name="space-y-4 sm:space-y-6"),
                    card(
                        empty(
                            "No questions yet",
                            "Ask about a bill, a limit, an error: we answer here and tell you by mail.",
                            new_button("Ask something", on_click=SupportState.write_in("new")),
                            icon="life-buoy",
                        )
                    ),
                ),
            ),
            card(rx.el.div(class_name="h-40"), aria_busy="true"),
        ),
        rx.el.p(
            "Put no keys or passwords here: we never ask for them. For your privacy rights there is ",
            link("a page of its own", to="/dashboard/privacy"),
            ".",
            class_name="text-[0.8125rem] text-faint",
        ),
        _asking(),
        _adding(),
    )


def lines(of: Any, us: str) -> rx.Component:
    """Return the messages of a conversation; `us` is what the answering side is called."""
    return rx.el.ol(
        rx.foreach(
            of,
            lambda line: rx.el.li(
                rx.el.p(
                    rx.el.span(rx.cond(line.from_us, us, _ASKS), class_name="font-medium text-ink"),
                    " · ",
                    time(line.at),
                    class_name="text-xs text-faint",
                ),
                rx.el.p(line.text, class_name="mt-1 whitespace-pre-wrap break-words max-w-prose"),
                class_name=rx.cond(line.from_us, "border-l-2 border-accent pl-3", "border-l-2 border-line pl-3"),
            ),
        ),
        class_name="space-y-4",
    )


_ASKS = "Question"


def _asking() -> rx.Component:
    """Return the dialog of a new question. Fields of one page have names of their own: a form reads them by these."""
    return modal(
        form(
            text_field("What is it about?", "subject", required=True, max_length=messages.LONGEST_SUBJECT),
            _message("text"),
            dialog_actions(button("Send", type="submit"), on_close=SupportState.write_in("")),
            on_submit=SupportState.begin,
        ),
        open=SupportState.writing == "new",
        on_close=SupportState.write_in(""),
        title="Ask something",
    )


def _adding() -> rx.Component:
    """Return the dialog in which one writes more in the conversation that was chosen."""
    return modal(
        form(
            _message("more"),
            dialog_actions(button("Send", type="submit"), on_close=SupportState.write_in("")),
            on_submit=SupportState.add,
        ),
        open=(SupportState.writing != "") & (SupportState.writing != "new"),
        on_close=SupportState.write_in(""),
        title="Write more",
    )


def _talk(talk: Any) -> rx.Component:
    state = rx.cond(
        talk.waiting != "",
        badge("waiting for our answer", tone="accent"),
        rx.cond(talk.closed != "", badge("closed"), badge("answered", tone="good")),
    )
    acts = rx.el.div(
        button("Write more", kind="secondary", size="small", on_click=SupportState.write_in(talk.handle)),
        rx.cond(
            talk.closed == "",
            button("Nothing more to answer", kind="ghost", size="small", on_click=SupportState.close(talk.handle)),
        ),
        class_name="flex flex-wrap gap-2",
    )
    return card(
        lines(talk.lines, "Our answer"),
        rx.el.div(acts, class_name="mt-5"),
        title=talk.subject,
        lead=rx.fragment(rx.el.span(talk.handle, class_name="font-mono text-xs"), " · ", time(talk.at)),
        action=state,
        key=talk.handle,
    )


def _message(name: str) -> rx.Component:
    return area("Message", name, required=True, rows="6", max_length=messages.LONGEST, error=SupportState.problem)
