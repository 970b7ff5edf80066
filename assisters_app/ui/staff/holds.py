"""Legal holds: what has to be kept, for which order, until when; placing and releasing is written down."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

import reflex as rx
from pydantic import ValidationError

from assisters_app.base.errors import Refused
from assisters_app.privacy.registers import holds
from assisters_app.ui.moments import beginning_of_day_picked, iso
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    checkbox,
    empty,
    field,
    heading,
    new_button,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog

Dialog = Literal["", "place", "renew", "release", "tell"]


@dataclass(frozen=True, slots=True)
class HoldLine:
    """One hold. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    whose: str
    what: str
    ground: str
    state: str
    tone: str
    placed: str
    review_by: str
    secrecy: str
    secret_until: str
    told: bool
    released: str
    reason: str

    @classmethod
    def of(cls, hold: holds.HoldRow) -> Self:
        """Return what staff sees of a hold."""
        nobody = "an erased account" if hold.account_id else "everyone"
        return cls(
            handle=hold.handle,
            whose=hold.email or nobody,
            what=", ".join(hold.tables) or "Everything of the account",
            ground=hold.ground,
            state=hold.state,
            tone={"in force": "accent", "to be reviewed": "bad"}.get(hold.state, "plain"),
            placed=iso(hold.placed_at),
            review_by=iso(hold.review_by),
            secrecy=hold.secrecy,
            secret_until=iso(hold.secret_until),
            told=hold.told_at is not None,
            released=iso(hold.released_at),
            reason=hold.release_reason,
        )


class HoldsState(Desk, AppState):
    """The holds."""

    phase: str = "loading"
    rows: list[HoldLine] = []

    @rx.event
    @access("staff", right="holds")
    async def load(self) -> None:
        """Read the holds."""
        async with loading(self) as (tx, me):
            self.rows = [HoldLine.of(hold) for hold in await holds.listed(tx, me)]

    @rx.event
    @access("staff", right="holds")
    async def ask(self, dialog: Dialog, handle: str) -> None:
        """Open a dialog, about one hold or ("") none yet; "" closes it."""
        self._open(dialog, handle)

    @rx.event
    @access("staff", right="holds")
    async def place(self, sent: dict[str, Any]) -> Any:
        """Place a hold."""
        return await self._carry_out(
            lambda tx, me: holds.place(tx, me, _new(sent)),
            lambda placed: f"{placed.handle} is in force. What it names is neither erased nor swept.",
            HoldsState.load,
        )

    @rx.event
    @access("staff", right="holds")
    async def renew(self, sent: dict[str, Any]) -> Any:
        """Keep the hold in force that the dialog is about."""
        return await self._carry_out(
            lambda tx, me: holds.renew(tx, me, self.handle, str(sent.get("reason", "")), _next_look(sent)),
            "Renewed.",
            HoldsState.load,
        )

    @rx.event
    @access("staff", right="holds")
    async def release(self, sent: dict[str, Any]) -> Any:
        """Release the hold that the dialog is about."""
        return await self._carry_out(
            lambda tx, me: holds.release(tx, me, self.handle, str(sent.get("reason", ""))),
            "Released. Erasures that waited for it go on now.",
            HoldsState.load,
        )

    @rx.event
    @access("staff", right="holds")
    async def tell(self) -> Any:
        """End the secrecy of the hold that the dialog is about."""
        return await self._carry_out(
            lambda tx, me: holds.tell(tx, me, self.handle), "Told, by mail and in their dashboard.", HoldsState.load
        )


load = HoldsState.load


def _new(sent: dict[str, Any]) -> holds.NewHold:
    secret = bool(str(sent.get("secret_until", "")) or str(sent.get("secrecy", "")).strip())
    try:
        return holds.NewHold(
            email=str(sent.get("email", "")),
            tables=tuple(name for name, _ in holds.tables() if sent.get(f"table-{name}")),
            ground=str(sent.get("ground", "")),
            review_by=_next_look(sent),
            secrecy=str(sent.get("secrecy", "")),
            secret_until=beginning_of_day_picked(sent, "secret_until", "Give the day on which the secrecy ends.")
            if secret
            else None,
        )
    except ValidationError:
        raise Refused("Write less: 500 characters are enough.", code="too_long") from None


def _next_look(sent: dict[str, Any]) -> datetime:
    return beginning_of_day_picked(sent, "review_by", "Give the day by which somebody looks at it again.")


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Legal holds",
            new_button("Place a hold", on_click=HoldsState.ask("place", "")),
            lead="What a hold names is neither erased nor swept; all else goes on. The person is told, unless an order forbids it.",
        ),
        card(
            table(
                HoldsState.rows,
                _cells,
                label="Legal holds",
                columns=("Whose", "What is kept", "Ground", "Look again by", "State", ""),
                phase=HoldsState.phase,
                retry=HoldsState.load,
                key=lambda row: row.handle,
                empty=empty(
                    "Nothing is held",
                    "When an order or a claim demands that data be kept, it is named here: one account, some tables, or both.",
                    icon="scale",
                ),
            ),
        ),
        _place(),
        _renew(),
        _release(),
        _tell(),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.whose, class_name="font-medium break-all"),
            rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
            class_name="min-w-36",
        ),
        rx.el.span(row.what, class_name="inline-block max-w-xs"),
        rx.el.span(row.ground, class_name="inline-block max-w-xs text-muted"),
        time(row.review_by, "date"),
        rx.el.div(
            badge(row.state, tone=row.tone),
            rx.cond(
                ~row.told,
                rx.el.span(
                    "secret until ",
                    time(row.secret_until, "date"),
                    ": ",
                    row.secrecy,
                    class_name="block mt-1 text-xs text-muted",
                ),
            ),
            rx.cond(row.reason != "", rx.el.span(row.reason, class_name="block mt-1 text-xs text-muted")),
            class_name="max-w-xs",
        ),
        rx.cond(
            row.released == "",
            rx.el.div(
                button("Renew", kind="ghost", size="small", on_click=HoldsState.ask("renew", row.handle)),
                rx.cond(
                    ~row.told,
                    button("Tell", kind="ghost", size="small", on_click=HoldsState.ask("tell", row.handle)),
                ),
                button("Release", kind="ghost", size="small", on_click=HoldsState.ask("release", row.handle)),
                class_name="flex flex-wrap gap-2",
            ),
        ),
    )


def _place() -> rx.Component:
    return _dialog(
        "place",
        "Place a legal hold",
        field(
            "Account",
            "email",
            type="email",
            auto_complete="off",
            hint="Its address. Empty: the tables below, of everyone.",
        ),
        rx.el.fieldset(
            rx.el.legend("Only these tables", class_name="mb-1.5 font-medium"),
            rx.el.div(
                *[checkbox(title, f"table-{name}") for name, title in holds.tables()],
                class_name="max-h-44 overflow-y-auto rounded-lg border border-line p-3 space-y-2 text-[0.8125rem]",
                tab_index=0,
                role="group",
                aria_label="Tables",
            ),
            rx.el.p("None ticked: everything of the account.", class_name="mt-1.5 text-[0.8125rem] text-muted"),
        ),
        area(
            "Ground",
            "ground",
            required=True,
            max_length=500,
            rows="2",
            hint="The order or the claim, and of whom. The person reads it.",
        ),
        field("Look again by", "review_by", type="date", required=True, hint="Within twelve months."),
        rx.el.details(
            rx.el.summary("An order forbids to tell the person", class_name="text-accent w-fit rounded"),
            rx.el.div(
                area("That order", "secrecy", max_length=500, rows="2"),
                field("It ends on", "secret_until", type="date", hint="That day the person is told by itself."),
                class_name="mt-3 space-y-4",
            ),
        ),
        on_submit=HoldsState.place,
        act="Place hold",
    )


def _renew() -> rx.Component:
    return _dialog(
        "renew",
        "Renew " + HoldsState.handle,
        area("Why it still has to be kept", "reason", required=True, max_length=500, rows="3"),
        field("Look again by", "review_by", type="date", required=True, hint="Within twelve months."),
        on_submit=HoldsState.renew,
        act="Renew hold",
    )


def _release() -> rx.Component:
    return _dialog(
        "release",
        "Release " + HoldsState.handle + "?",
        rx.el.p(
            "Erasures that waited for it are finished now, and the next sweep takes what is too old. There is no way back."
        ),
        area(
            "Reason",
            "reason",
            required=True,
            max_length=500,
            rows="3",
            hint="The person reads it, once they may know.",
        ),
        on_submit=HoldsState.release,
        act="Release hold",
        kind="danger",
    )


def _tell() -> rx.Component:
    return _dialog(
        "tell",
        "End the secrecy of " + HoldsState.handle + "?",
        rx.el.p(
            "The person is mailed about this hold, and finds in their trail what was done. The order must have ended."
        ),
        on_submit=HoldsState.tell,
        act="Tell the person",
    )


def _dialog(
    name: str, title: str | rx.Var[str], *inside: Any, on_submit: Any, act: str, kind: str = "primary"
) -> rx.Component:
    close = HoldsState.ask("", "")
    return dialog(HoldsState, name, title, *inside, act=act, kind=kind, on_submit=on_submit, on_close=close)
