"""The banner on every page of an account that is closed: how long one can change one's mind, and the way to do it."""

from typing import Any

import reflex as rx

from assisters_app.privacy.erasing import erasure
from assisters_app.ui.parts import button, link, time, with_zone
from assisters_app.ui.parts.privacy import Until
from assisters_app.ui.session import AppState, access, signed_in


class UndoingState(AppState):
    """When the erasure is due (ISO 8601, UTC); "" while the account is open."""

    erased_at: str = ""

    @rx.event
    @access("member")
    async def look(self, zone: str) -> None:  # noqa: ARG002 (what calls it knows the viewer's zone)
        """See whether the account is being closed."""
        async with signed_in() as (tx, me):
            closing = await erasure.pending(tx, me.account_id)
        self.erased_at = closing.carry_out_at.isoformat() if closing else ""

    @rx.event
    @access("member")
    async def undo(self) -> Any:
        """Take the closing back."""
        async with signed_in() as (tx, me):
            await erasure.undo(tx, me)
        self.erased_at = ""
        self._tell("Your account is open again. Its keys stay revoked: make new ones when you need them.")


def closing_banner() -> rx.Component:
    """Return the banner, nothing while the account is open. It looks for itself on every page that holds it."""
    return rx.fragment(
        with_zone(UndoingState.look),
        rx.cond(
            UndoingState.erased_at != "",
            rx.el.div(
                rx.el.p(
                    rx.el.strong("This account is closed. "),
                    "Everything is erased in ",
                    Until.create(at=UndoingState.erased_at, class_name="font-medium tabular-nums"),
                    " (",
                    time(UndoingState.erased_at),
                    ").",
                ),
                rx.el.div(
                    button("Undo", kind="secondary", size="small", on_click=UndoingState.undo),
                    link("Export first", to="/dashboard/privacy"),
                    class_name="flex items-center gap-4",
                ),
                role="region",
                aria_label="Your account is closed",
                class_name="bg-warn-soft px-4 sm:px-6 lg:px-8 py-2.5 flex flex-wrap items-center justify-between gap-x-6 gap-y-2",
            ),
        ),
    )
