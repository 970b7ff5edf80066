"""Close or erase your account: what goes and what stays, table by table, before anything is decided."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.base.errors import Refused
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.erasing.purge import Line
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    button,
    card,
    empty,
    failed,
    field,
    heading,
    link,
    link_button,
    notice,
    number,
    post_form,
    skeleton,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, signed_in
from assisters_app.ui.shell import shell

HERE = "/dashboard/privacy/delete"


@dataclass(frozen=True, slots=True)
class LineView:
    """What becomes of one table's rows. `until` is ISO 8601 in UTC, "" where nothing stays."""

    table: str
    title: str
    goes: int
    stays: int
    ground: str
    until: str

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return what the person sees of a line of the plan."""
        until = iso(line.until)
        return cls(line.table, line.title, line.goes, line.stays, line.ground or "", until)


class ClosingState(AppState):
    """The plan. `phase` is "confirm" until the person has proven who they are."""

    phase: str = "loading"
    going: list[LineView] = []
    staying: list[LineView] = []
    elsewhere: list[str] = []
    goes: str = ""
    stays: str = ""
    carry_out_at: str = ""
    closing_at: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Count what would go and what would stay."""
        try:
            async with signed_in() as (tx, me):
                pending = await erasure.pending(tx, me.account_id)
                self.closing_at = pending.carry_out_at.isoformat() if pending else ""
                plan = await erasure.plan(tx, me)
        except Refused as refused:
            self.phase = "confirm" if refused.code == "reauthenticate" else "failed"
            return
        self._show(plan)
        self.phase = "ready"

    def _show(self, plan: erasure.Plan) -> None:
        lines = [LineView.of(line) for line in plan.lines]
        self.going = [line for line in lines if line.goes]
        self.staying = [line for line in lines if line.stays]
        self.elsewhere, self.goes, self.stays = list(plan.elsewhere), f"{plan.goes:,}", f"{plan.stays:,}"
        self.carry_out_at = plan.carry_out_at.isoformat()


load = ClosingState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Close or erase your account",
            link_button("Back to privacy", to="/dashboard/privacy"),
            lead="First what would happen, counted now. Nothing is decided before the button at the end.",
        ),
        rx.match(
            ClosingState.phase,
            ("confirm", card(_confirm())),
            ("failed", card(failed(ClosingState.load))),
            ("ready", _plan()),
            card(skeleton("h-5 w-48"), skeleton("h-40 w-full mt-4"), aria_busy="true"),
        ),
    )


def _confirm() -> rx.Component:
    return empty(
        "Confirm that it is you",
        "What we hold about you, and what may destroy it, is shown only to who has just proven who they are.",
        link_button("Confirm", to=f"/confirm?next={HERE}", kind="primary"),
        icon="shield-check",
    )


def _plan() -> rx.Component:
    return rx.fragment(_goes(), _stays(), _elsewhere(), _form())


def _goes() -> rx.Component:
    return card(
        table(
            ClosingState.going,
            lambda line: (line.title, rx.el.code(line.table, class_name="text-xs text-faint"), number(line.goes)),
            label="What goes",
            columns=("What", "Table", "Rows"),
            right=(2,),
            phase=ClosingState.phase,
            retry=ClosingState.load,
            key=lambda line: line.table,
            empty=empty("Nothing", "There is nothing of yours to erase."),
        ),
        title="What goes",
        lead=ClosingState.goes + " rows are erased for good.",
    )


def _stays() -> rx.Component:
    return card(
        table(
            ClosingState.staying,
            lambda line: (
                rx.el.div(line.title, rx.el.code(line.table, class_name="block text-xs text-faint")),
                number(line.stays),
                rx.el.span(line.ground, class_name="text-muted"),
                time(line.until, "date"),
            ),
            label="What stays",
            columns=("What", "Rows", "Why", "Until"),
            right=(1,),
            phase=ClosingState.phase,
            retry=ClosingState.load,
            key=lambda line: line.table,
            empty=empty("Nothing stays", "No law makes us keep anything of this account.", icon="check"),
        ),
        title="What stays, and why",
        lead=ClosingState.stays + " rows, with what identifies you taken out.",
    )


def _elsewhere() -> rx.Component:
    return card(
        rx.el.ul(rx.foreach(ClosingState.elsewhere, rx.el.li), class_name="list-disc pl-5 space-y-1"),
        title="Erased outside the tables",
    )


def _form() -> rx.Component:
    later = rx.fragment(
        "Your keys and sign-ins end now. Until ",
        time(ClosingState.carry_out_at),
        " you can sign in and undo it; then everything is erased.",
    )
    return card(
        rx.cond(
            ClosingState.closing_at != "",
            notice(
                "This account is closed already and will be erased on ", time(ClosingState.closing_at), ".", tone="warn"
            ),
        ),
        post_form(
            rx.el.fieldset(
                rx.el.legend("When?", class_name="mb-2 font-medium"),
                rx.cond(ClosingState.closing_at == "", _choice("later", "Close account", later)),
                _choice(
                    "now",
                    "Erase now",
                    "Without the 30 days: nobody can bring it back, neither you nor we. You get a signed receipt.",
                ),
                class_name="space-y-3",
            ),
            rx.el.div(
                field(
                    "Type the e-mail address of this account",
                    "email",
                    hint=rx.fragment("To be sure: ", rx.el.strong(AppState.email, class_name="text-ink")),
                    type="email",
                    required=True,
                    auto_complete="off",
                ),
                class_name="max-w-md",
            ),
            rx.el.div(
                button("Erase or close account", kind="danger", type="submit"),
                link_button("Keep it", to="/dashboard/privacy"),
                class_name="flex flex-wrap gap-2",
            ),
            action="/privacy/close",
            class_name="mt-4 space-y-5",
        ),
        title="Decide",
        lead="Do you want your data first? Export it before you decide.",
        action=link("Export", to="/dashboard/privacy"),
    )


def _choice(value: str, title: str, text: Any) -> rx.Component:
    return rx.el.label(
        rx.el.input(
            type="radio", name="how", value=value, required=True, class_name="mt-0.5 size-4 shrink-0 accent-accent"
        ),
        rx.el.span(rx.el.span(title, class_name="font-medium"), rx.el.span(text, class_name="block text-muted")),
        class_name="flex items-start gap-2.5 rounded-lg border border-line p-3 has-checked:border-accent",
    )
