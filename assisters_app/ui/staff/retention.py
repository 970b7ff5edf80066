"""Retention for staff: the oldest row of each table against its promise, what the sweeps removed, and alarms."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.privacy.keeping import review
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import badge, card, empty, heading, link_button, notice, number, stat, stats, table, time
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell


@dataclass(frozen=True, slots=True)
class GaugeLine:
    """One table against its rule. Times are ISO 8601 in UTC, "" for none."""

    table: str
    title: str
    promise: str
    limit: str
    oldest: str
    nothing: str  # what stands in its place where there is none
    kept: bool
    held: str

    @classmethod
    def of(cls, line: review.Line) -> Self:
        """Return what staff sees of a table."""
        gauge = line.gauge
        return cls(
            table=gauge.table,
            title=gauge.title,
            promise=gauge.promise if line.stated else "",
            limit=gauge.limit,
            oldest=iso(gauge.begun_at),
            nothing=gauge.nothing,
            kept=gauge.kept,
            held=line.held,
        )


@dataclass(frozen=True, slots=True)
class RunLine:
    """One sweep that removed something."""

    id: str
    title: str
    removed: int
    at: str


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alarm; `ended` is "" while it lasts."""

    id: str
    title: str
    oldest: str
    raised: str
    ended: str


@dataclass(frozen=True, slots=True)
class EndLine:
    """One key of request content that was destroyed."""

    number: int
    key_of: str
    at: str
    removed: int


class RetentionState(AppState):
    """How retention stands."""

    phase: str = "loading"
    lines: list[GaugeLine] = []
    runs: list[RunLine] = []
    alarms: list[AlarmLine] = []
    ends: list[EndLine] = []
    chain: str = ""
    overdue: int = 0
    held: int = 0
    swept: str = ""

    @rx.event
    @access("staff", right="retention")
    async def load(self) -> None:
        """Read how retention stands."""
        async with loading(self) as (tx, me):
            found = await review.review(tx, me)
            self.lines = [GaugeLine.of(line) for line in found.lines]
            self.overdue = sum(not line.kept for line in self.lines)
            self.held = sum(line.held != "" for line in self.lines)
            self.runs = [
                RunLine(f"{n}", run.title, run.removed, run.at.isoformat()) for n, run in enumerate(found.runs)
            ]
            self.alarms = [
                AlarmLine(
                    f"{n}",
                    one.title,
                    one.oldest_at.isoformat(),
                    one.raised_at.isoformat(),
                    iso(one.ended_at),
                )
                for n, one in enumerate(found.alarms)
            ]
            self.ends = [
                EndLine(end.number, end.key_of.isoformat(), end.destroyed_at.isoformat(), end.rows)
                for end in found.key_ends
            ]
            self.chain = found.chain
            self.swept = iso(found.swept_at)


load = RetentionState.load


def page() -> rx.Component:
    """Draw the page."""
    ready = RetentionState.phase == "ready"
    return shell(
        heading(
            "Retention",
            link_button("Privacy policy", to="/privacy-policy"),
            lead="How old the oldest row of each table is, against what the policy promises.",
        ),
        stats(
            stat(
                "Overdue",
                number(RetentionState.overdue),
                "tables with a row older than promised",
                ready=ready,
                tone=rx.cond(RetentionState.overdue > 0, "bad", "good"),
            ),
            stat("On hold", number(RetentionState.held), "tables of which a legal hold keeps rows", ready=ready),
        ),
        rx.cond(
            RetentionState.overdue > 0,
            notice("Something is kept for longer than promised: the policy's page says so to everyone.", tone="bad"),
        ),
        rx.cond(
            RetentionState.chain != "",
            notice("The chain of destroyed keys is broken. ", RetentionState.chain, tone="bad"),
        ),
        card(
            table(
                RetentionState.lines,
                _gauge,
                label="Tables and their rules",
                columns=("Rows", "Policy", "At most", "Oldest", "State"),
                phase=RetentionState.phase,
                retry=RetentionState.load,
                key=lambda row: row.table,
                empty=empty("No rules", "No table has a rule that ends.", icon="hourglass"),
            ),
            title="Oldest row per promise",
            lead=rx.fragment(
                "As the last sweep left it, ",
                time(RetentionState.swept, "ago", "which is still to come"),
                ". Rows under a legal hold do not count: they stay until it is released.",
            ),
        ),
        _lists(),
        wide=True,
    )


def _lists() -> rx.Component:
    return rx.el.div(
        card(
            table(
                RetentionState.alarms,
                lambda row: (
                    row.title,
                    time(row.raised),
                    rx.cond(row.ended == "", badge("still overdue", tone="bad"), time(row.ended)),
                ),
                label="Alarms",
                columns=("Rows", "Raised", "Over"),
                phase=RetentionState.phase,
                retry=RetentionState.load,
                key=lambda row: row.id,
                empty=empty("No alarm was ever raised", "Nothing has been older than promised.", icon="bell"),
            ),
            title="Alarms",
        ),
        card(
            table(
                RetentionState.runs,
                lambda row: (
                    rx.el.div(
                        row.title, rx.el.span(number(row.removed), " removed", class_name="block text-xs text-faint")
                    ),
                    time(row.at),
                ),
                label="Sweeps that removed something",
                columns=("Rows", "When"),
                phase=RetentionState.phase,
                retry=RetentionState.load,
                key=lambda row: row.id,
                empty=empty("Nothing has been removed", "Nothing has grown old enough yet.", icon="brush-cleaning"),
            ),
            title="Last sweeps",
        ),
        card(
            table(
                RetentionState.ends,
                lambda row: (number(row.number), time(row.key_of), time(row.at), number(row.removed)),
                label="Destroyed keys of request content",
                columns=("Entry", "Key of", "Destroyed", "Requests"),
                right=(0, 3),
                phase=RetentionState.phase,
                retry=RetentionState.load,
                key=lambda row: row.number.to_string(),
                empty=empty("No key was destroyed yet", "The first ends a day after it was made.", icon="key-round"),
            ),
            title="Destroyed keys of request content",
            lead="Each entry is signed and names the one before it.",
        ),
        class_name="space-y-6",
    )


def _gauge(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.span(row.title, class_name="font-medium"),
        rx.cond(row.promise != "", row.promise, rx.el.span("not stated", class_name="text-muted")),
        row.limit,
        rx.cond(row.oldest != "", time(row.oldest, "precise"), rx.el.span(row.nothing, class_name="text-muted")),
        rx.el.span(
            rx.cond(row.kept, badge("in time", tone="good"), badge("overdue", tone="bad")),
            rx.cond(row.held != "", rx.el.span(" held: ", row.held, class_name="text-[0.8125rem] text-muted")),
        ),
    )
