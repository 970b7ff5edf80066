"""Questions to support: what waits the longest comes first; to read one is entered in its person's trail."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.base.errors import Refused
from assisters_app.support import messages
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import area, badge, button, card, empty, form, heading, table, time
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.ui.support import TalkView, lines


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One conversation in the queue: nothing of what was written. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    account: str
    at: str
    waiting: str
    closed: bool

    @classmethod
    def of(cls, one: messages.Waiting) -> Self:
        """Return what the queue shows."""
        waiting = iso(one.waiting_since)
        return cls(one.handle, one.account, one.at.isoformat(), waiting, one.closed)


class DeskState(AppState):
    """The queue, and the one conversation that is open."""

    phase: str = "loading"
    rows: list[WaitingRow] = []
    everything: bool = False
    talk: TalkView = TalkView()
    problem: str = ""

    @rx.event
    @access("staff", right="support")
    async def load(self) -> None:
        """Read the queue."""
        self.talk, self.problem = TalkView(), ""
        async with loading(self) as (tx, me):
            self.rows = [WaitingRow.of(one) for one in await messages.waiting(tx, me, everything=self.everything)]

    @rx.event
    @access("staff", right="support")
    async def widen(self, everything: bool) -> Any:
        """Show answered conversations too, or only what waits."""
        self.everything, self.phase = everything, "loading"
        return DeskState.load

    @rx.event
    @access("staff", right="support")
    async def read(self, handle: str) -> None:
        """Open one conversation."""
        async with signed_in() as (tx, me):
            self.talk, self.problem = TalkView.of(await messages.read(tx, me, handle)), ""

    @rx.event
    @access("staff", right="support")
    async def answer(self, sent: dict[str, Any]) -> Any:
        """Answer the open conversation."""
        try:
            async with signed_in() as (tx, me):
                await messages.answer(tx, me, self.talk.handle, str(sent.get("text") or ""))
        except Refused as refused:
            self.problem = str(refused)
            return None
        self._tell("Answered. The person is told by mail that there is an answer.")
        return DeskState.load


load = DeskState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Support desk",
            rx.cond(
                DeskState.everything,
                button("Only what waits", kind="secondary", on_click=DeskState.widen(False)),
                button("Show all", kind="secondary", on_click=DeskState.widen(True)),
            ),
            lead="Whoever asked can read in their trail that somebody of us opened their question.",
        ),
        rx.cond(DeskState.talk.handle != "", _open()),
        card(
            table(
                DeskState.rows,
                lambda row: (
                    rx.el.span(row.handle, class_name="font-mono text-[0.8125rem]"),
                    row.account,
                    time(row.at),
                    rx.cond(
                        row.waiting != "",
                        time(row.waiting, "ago"),
                        rx.cond(row.closed, badge("closed"), badge("answered", tone="good")),
                    ),
                    button(
                        "Open",
                        kind="secondary",
                        size="small",
                        on_click=DeskState.read(row.handle),
                        aria_label="Open " + row.handle,
                    ),
                ),
                label="Questions to support",
                columns=("Question", "From", "Asked", "Waiting since", ""),
                phase=DeskState.phase,
                retry=DeskState.load,
                key=lambda row: row.handle,
                empty=empty("Nothing waits", "Every question has been answered.", icon="inbox"),
            ),
            title="Queue",
        ),
    )


def _open() -> rx.Component:
    return card(
        lines(DeskState.talk.lines, "Our answer"),
        form(
            area(
                "Answer",
                "text",
                required=True,
                rows="6",
                max_length=messages.LONGEST,
                error=DeskState.problem,
                hint="Its person reads it in their dashboard; the mail only says that it is there.",
            ),
            button("Send answer", type="submit"),
            on_submit=DeskState.answer,
            class_name="mt-5 max-w-2xl",
        ),
        title=DeskState.talk.subject,
        lead=rx.fragment("From ", DeskState.talk.email, ", asked on ", time(DeskState.talk.at)),
        action=button("Close", kind="ghost", size="small", on_click=DeskState.load),
        key=DeskState.talk.handle,
    )
