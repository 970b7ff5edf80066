"""The audit trail of the whole house, for staff; reading it is itself an entry."""

from typing import Any
from uuid import UUID

import reflex as rx

from assisters_app.privacy.registers import trails
from assisters_app.ui.parts import badge, card, empty, heading, link, select, show_more, table, time
from assisters_app.ui.privacy.trail import EntryRow
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell

ABOUT = (
    ("", "Everything"),
    ("account", "Accounts"),
    ("session", "Sessions"),
    ("key", "Keys"),
    ("consent", "Consents"),
    ("request", "Privacy requests"),
    ("hold", "Legal holds"),
    ("data", "Demands of authorities"),
    ("looks", "Looks at lists"),
)


class AuditState(AppState):
    """The pages of the trail that were read so far, and what they were narrowed to."""

    phase: str = "loading"
    rows: list[EntryRow] = []
    about: str = ""
    by_staff: bool = False
    more: bool = False
    _next: str = ""

    @rx.event
    @access("staff", right="trail")
    async def load(self) -> None:
        """Read the newest entries."""
        await self._read()

    @rx.event
    @access("staff", right="trail")
    async def load_more(self) -> None:
        """Read the entries that follow."""
        if self._next:
            await self._read(UUID(self._next))

    @rx.event
    @access("staff", right="trail")
    async def narrow(self, about: str) -> None:
        """Show only entries about one kind of thing."""
        self.about, self.phase = about[:16], "loading"
        await self._read()

    @rx.event
    @access("staff", right="trail")
    async def only_staff(self, by_staff: bool) -> None:
        """Show only what staff did, or what everybody did."""
        self.by_staff, self.phase = by_staff, "loading"
        await self._read()

    async def _read(self, after: UUID | None = None) -> None:
        async with loading(self) as (tx, me):
            looks = self.about == "looks"
            which = trails.Which(action=None if looks else self.about or None, by_staff=self.by_staff, looks=looks)
            found = await trails.everyones(tx, me, after, which)
            rows = [EntryRow.of(entry) for entry in found.entries]
            self.rows = [*self.rows, *rows] if after else rows
            self.more, self._next = found.next is not None, str(found.next or "")


load = AuditState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading("Audit trail", lead="Who did what, with whose account, and when. Kept for 13 months."),
        card(
            rx.el.div(
                rx.el.div(
                    select("About", "about", ABOUT, value=AuditState.about, on_change=AuditState.narrow),
                    class_name="w-full sm:w-52",
                ),
                rx.el.label(
                    rx.el.input(
                        type="checkbox",
                        checked=AuditState.by_staff,
                        on_change=AuditState.only_staff,
                        class_name="size-4 accent-accent",
                    ),
                    "Only what staff did",
                    class_name="flex items-center gap-2.5 h-10 sm:h-9",
                ),
                class_name="flex flex-wrap items-end gap-x-6 gap-y-3 mb-3",
            ),
            table(
                AuditState.rows,
                _cells,
                label="Audit trail",
                columns=("What", "By", "Account", "When", "Details"),
                phase=AuditState.phase,
                retry=AuditState.load,
                key=lambda row: row.id,
                empty=empty("Nothing", "Nothing of this kind was done in the last 13 months.", icon="footprints"),
                more=show_more(AuditState.more, AuditState.load_more),
            ),
        ),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.span(row.words, class_name="font-medium whitespace-nowrap"),
        rx.cond(row.actor != "", rx.el.span(row.actor), badge(row.by, tone=row.tone)),
        rx.cond(
            row.account != "",
            link(row.account, to="/staff/accounts/" + row.account_id),
            rx.el.span("—", class_name="text-faint"),
        ),
        time(row.at, "precise"),
        rx.el.span(
            row.details,
            rx.cond(row.ip != "", rx.el.span(" from ", row.ip)),
            class_name="inline-block min-w-56 text-[0.8125rem] text-muted break-words",
        ),
    )
