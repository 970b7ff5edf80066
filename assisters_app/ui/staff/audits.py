"""Audits and attestations: what people looked at, entered here by whoever saw the result; everyone reads it."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx

from assisters_app.privacy.registers import audits
from assisters_app.ui.moments import day_picked, iso
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

Dialog = Literal["", "enter"]
TONES = {"passed": "good", "failed": "bad", "overdue": "bad", "due": "plain"}
WORDS = {"passed": "passed", "failed": "failed", "overdue": "overdue", "due": "not yet due"}
BY_PEOPLE = [(kind.id, kind.title) for kind in audits.KINDS if kind.by_people]


@dataclass(frozen=True, slots=True)
class KindLine:
    """One thing that is assured again and again. Days are ISO 8601, "" for never."""

    id: str
    title: str
    by: str
    last: str
    due: str
    state: str
    tone: str
    by_people: bool

    @classmethod
    def of(cls, line: audits.Line) -> Self:
        """Return how it stands."""
        last = iso(line.last)
        words, tone = WORDS[line.state], TONES[line.state]
        return cls(
            line.kind.id, line.kind.title, line.kind.by, last, line.due.isoformat(), words, tone, line.kind.by_people
        )


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One entry of the register."""

    id: str
    title: str
    on: str
    passed: bool
    says: str
    evidence: str

    @classmethod
    def of(cls, number: int, entry: audits.Entry) -> Self:
        """Return an entry as staff reads it."""
        return cls(f"{number}", entry.title, entry.done_on.isoformat(), entry.passed, entry.says, entry.evidence)


class AuditsState(Desk, AppState):
    """How each kind stands, and the newest entries. The dialog is about one kind, or ("") the first."""

    phase: str = "loading"
    kinds: list[KindLine] = []
    entries: list[EntryLine] = []

    @rx.event
    @access("staff", right="audits")
    async def load(self) -> None:
        """Read the register."""
        async with loading(self) as (tx, me):
            self.entries = [EntryLine.of(n, one) for n, one in enumerate(await audits.entries(tx, me))]
            self.kinds = [KindLine.of(line) for line in await audits.standing(tx)]

    @rx.event
    @access("staff", right="audits")
    async def ask(self, dialog: Dialog, kind: str) -> None:
        """Open the dialog in which a result is entered, or ("") close it."""
        self._open(dialog, kind)

    @rx.event
    @access("staff", right="audits")
    async def enter(self, sent: dict[str, Any]) -> Any:
        """Enter a result."""
        return await self._carry_out(
            lambda tx, me: audits.enter(
                tx,
                me,
                str(sent.get("kind", "")),
                day_picked(sent, "done_on", "Give the day on which it was done."),
                str(sent.get("says", "")),
                passed=sent.get("result") == "passed",
                evidence=str(sent.get("evidence", "")),
            ),
            "Entered. Everyone can read it on the security page.",
            AuditsState.load,
        )


load = AuditsState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Audits",
            link_button("What everyone sees", to="/security"),
            new_button("Enter a result", on_click=AuditsState.ask("enter", "")),
            lead="What the software cannot see by itself, people look at once a year. Nothing counts as done that nobody entered.",
        ),
        card(
            table(
                AuditsState.kinds,
                _kind,
                label="What is looked at again and again",
                columns=("What", "Last", "Due by", "State", ""),
                phase=AuditsState.phase,
                retry=AuditsState.load,
                key=lambda row: row.id,
                empty=empty("Nothing", "Nothing is to be looked at.", icon="clipboard-check"),
            ),
            title="Due",
        ),
        card(
            table(
                AuditsState.entries,
                lambda row: (
                    rx.el.div(
                        rx.el.span(row.title, class_name="font-medium"),
                        rx.el.span(row.says, class_name="block text-[0.8125rem] text-muted break-words"),
                        class_name="min-w-48 max-w-xl",
                    ),
                    time(row.on, "date"),
                    rx.cond(row.passed, badge("passed", tone="good"), badge("failed", tone="bad")),
                    rx.cond(
                        row.evidence != "",
                        rx.el.span(row.evidence, class_name="text-[0.8125rem] break-all"),
                        rx.el.span("none", class_name="text-faint"),
                    ),
                ),
                label="Entries",
                columns=("What was found", "On", "Result", "Evidence"),
                phase=AuditsState.phase,
                retry=AuditsState.load,
                key=lambda row: row.id,
                empty=empty("No entry yet", "The software writes one each night.", icon="clipboard-check"),
            ),
            title="Register",
            lead="The newest entries. None can be changed; another one follows it.",
        ),
        _enter(),
        wide=True,
    )


def _kind(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(row.title, rx.el.span(row.by, class_name="block text-xs text-muted"), class_name="min-w-48"),
        time(row.last, "date", "never"),
        time(row.due, "date"),
        badge(row.state, tone=row.tone),
        rx.cond(
            row.by_people,
            button(
                "Enter",
                kind="secondary",
                size="small",
                on_click=AuditsState.ask("enter", row.id),
                aria_label="Enter a result: " + row.title,
            ),
        ),
    )


def _enter() -> rx.Component:
    return dialog(
        AuditsState,
        "enter",
        "Enter a result",
        select("What was looked at", "kind", BY_PEOPLE, default_value=AuditsState.handle, key=AuditsState.handle),
        field("Done on", "done_on", type="date", required=True),
        select("Result", "result", [("passed", "Passed"), ("failed", "Failed: something must be put right first")]),
        area(
            "What was found",
            "says",
            required=True,
            max_length=1000,
            rows="3",
            hint="Everyone reads this. Name nobody.",
        ),
        field("Evidence", "evidence", max_length=300, hint="Where the report is, or its SHA-256. For staff alone."),
        act="Enter it",
        on_submit=AuditsState.enter,
        on_close=AuditsState.ask("", ""),
    )
