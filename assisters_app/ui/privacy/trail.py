"""What was done with your account, by whom and when."""

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import reflex as rx

from assisters_app.privacy.registers import trails
from assisters_app.ui.parts import badge, card, empty, heading, link_button, show_more, table, time
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell

BY = {
    "you": ("you", "plain"),
    "staff": ("our staff", "accent"),
    "software": ("our software", "plain"),
    "member": ("another member", "warn"),
}


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One thing that was done. `at` is ISO 8601 in UTC; `actor`, `account` are for staff alone."""

    id: str
    at: str
    words: str
    by: str
    tone: str
    details: str
    ip: str
    actor: str
    account: str
    account_id: str

    @classmethod
    def of(cls, entry: trails.Entry) -> Self:
        """Return what its reader sees of an entry."""
        by, tone = BY[entry.by]
        return cls(
            id=str(entry.id),
            at=entry.at.isoformat(),
            words=entry.words,
            by=by,
            tone=tone,
            details=", ".join(f"{name} {value}" for name, value in entry.details),
            ip=entry.ip,
            actor=entry.actor,
            account=entry.account,
            account_id=str(entry.account_id or ""),
        )


def cells(row: Any) -> tuple[Any, ...]:
    """Return the cells of one line: what, by whom, when, with what."""
    return (
        rx.el.span(row.words, class_name="font-medium whitespace-nowrap"),
        badge(row.by, tone=row.tone),
        time(row.at),
        rx.el.span(
            row.details,
            rx.cond(row.ip != "", rx.el.span(" from ", row.ip)),
            class_name="inline-block min-w-56 text-[0.8125rem] text-muted break-words",
        ),
    )


class TrailState(AppState):
    """The pages of the trail that were read so far."""

    phase: str = "loading"
    rows: list[EntryRow] = []
    others: bool = False
    more: bool = False
    _next: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the newest entries."""
        async with loading(self) as (tx, me):
            found = await trails.mine(tx, me, others=self.others)
            self.rows = [EntryRow.of(entry) for entry in found.entries]
            self._go_on(found)

    @rx.event
    @access("member")
    async def load_more(self) -> None:
        """Read the entries that follow."""
        if not self._next:
            return
        async with loading(self) as (tx, me):
            found = await trails.mine(tx, me, UUID(self._next), others=self.others)
            self.rows = [*self.rows, *[EntryRow.of(entry) for entry in found.entries]]
            self._go_on(found)

    @rx.event
    @access("member")
    async def narrow(self, others: bool) -> Any:
        """Show only what others did, or everything."""
        self.others, self.phase = others, "loading"
        return TrailState.load

    def _go_on(self, found: trails.Page) -> None:
        self.more, self._next = found.next is not None, str(found.next or "")


load = TrailState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "What was done with your account",
            link_button("Back to privacy", to="/dashboard/privacy"),
            lead="By you, by our staff and by our software. Kept for 13 months; it is in your export too.",
        ),
        card(
            rx.el.label(
                rx.el.input(
                    type="checkbox",
                    checked=TrailState.others,
                    on_change=TrailState.narrow,
                    class_name="size-4 accent-accent",
                ),
                "Only what I did not do myself",
                class_name="flex items-center gap-2.5 mb-3 w-fit",
            ),
            table(
                TrailState.rows,
                cells,
                label="What was done with your account",
                columns=("What", "By", "When", "Details"),
                phase=TrailState.phase,
                retry=TrailState.load,
                key=lambda row: row.id,
                empty=empty("Nothing", "Nothing of this kind was done in the last 13 months.", icon="footprints"),
                more=show_more(TrailState.more, TrailState.load_more),
            ),
        ),
    )
