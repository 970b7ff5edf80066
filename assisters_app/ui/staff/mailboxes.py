"""Lost mailboxes: one admin asks for another address, a second one approves, then seven days pass in everybody's sight."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx

from assisters_app.accounts import recovering
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    checkbox,
    empty,
    field,
    heading,
    link,
    new_button,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog

Dialog = Literal["", "ask", "approve", "stop"]
TONES = {"moved": "good", "stopped": "plain", "lapsed": "plain"}


@dataclass(frozen=True, slots=True)
class RecoveryLine:
    """One recovery. Times are ISO 8601 in UTC, "" for none; addresses are masked."""

    handle: str
    page: str
    old: str
    new: str
    proofs: str
    asked: str
    asked_by: str
    confirmed: str
    approved_by: str
    due: str
    lapses: str
    ended: str
    outcome: str
    tone: str
    approvable: bool

    @classmethod
    def of(cls, one: recovering.Recovery) -> Self:
        """Return what admins see of it."""
        return cls(
            handle=one.handle,
            page=f"/staff/accounts/{one.account_id}",
            old=one.old,
            new=one.new,
            proofs=". ".join(one.proofs),
            asked=one.asked_at.isoformat(),
            asked_by=one.asked_by or "an erased account",
            confirmed=iso(one.confirmed_at),
            approved_by=one.approved_by,
            due=iso(one.due_at),
            lapses=one.lapses_at.isoformat(),
            ended=iso(one.ended_at),
            outcome=one.outcome,
            tone=TONES.get(one.outcome, "accent"),
            approvable=not one.mine and one.due_at is None and one.ended_at is None,
        )


class MailboxesState(Desk, AppState):
    """What is under way, and what ended."""

    phase: str = "loading"
    rows: list[RecoveryLine] = []

    @rx.event
    @access("staff", right="recovery")
    async def load(self) -> None:
        """Read what is under way."""
        async with loading(self) as (tx, me):
            self.rows = [RecoveryLine.of(one) for one in await recovering.listed(tx, me)]

    @rx.event
    @access("staff", right="recovery")
    async def ask(self, dialog: Dialog, handle: str) -> None:
        """Open a dialog, about one recovery or ("") none yet; "" closes it."""
        self._open(dialog, handle)

    @rx.event
    @access("staff", right="recovery")
    async def begin(self, sent: dict[str, Any]) -> Any:
        """Ask for another mailbox."""
        proofs = [name for name in recovering.PROOFS if sent.get(f"proof-{name}")]
        return await self._carry_out(
            lambda tx, me: recovering.ask(tx, me, str(sent.get("email", "")), str(sent.get("new_email", "")), proofs),
            lambda one: f"{one.handle} is under way. Both mailboxes were written to, and every other admin.",
            MailboxesState.load,
        )

    @rx.event
    @access("staff", right="recovery")
    async def approve(self) -> Any:
        """Approve the one that the dialog is about, as the second admin."""
        return await self._carry_out(
            lambda tx, me: recovering.approve(tx, me, self.handle),
            "Approved. It counts in seven days, unless it is stopped.",
            MailboxesState.load,
        )

    @rx.event
    @access("staff", right="recovery")
    async def stop(self) -> Any:
        """Stop the one that the dialog is about."""
        return await self._carry_out(
            lambda tx, me: recovering.stop(tx, me, self.handle),
            "Stopped. Both mailboxes are told.",
            MailboxesState.load,
        )


load = MailboxesState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Lost mailboxes",
            new_button(
                "Replace a mailbox",
                on_click=MailboxesState.ask("ask", ""),
            ),
            lead="For whoever can no longer read their mail. Two proofs, two admins, seven days; the old mailbox can stop it.",
        ),
        card(
            table(
                MailboxesState.rows,
                _cells,
                label="Lost mailboxes",
                columns=("Account", "Proofs", "Asked", "State", ""),
                phase=MailboxesState.phase,
                retry=MailboxesState.load,
                key=lambda row: row.handle,
                empty=empty(
                    "Nothing under way",
                    "Who still reads their mail changes the address themselves, in their settings.",
                    icon="mailbox",
                ),
            ),
        ),
        _ask(),
        _approve(),
        _stop(),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            link(row.old, to=row.page),
            rx.el.span("to ", row.new, class_name="block text-[0.8125rem] break-all"),
            rx.el.span(row.handle, class_name="block text-xs text-faint font-mono"),
            class_name="min-w-40",
        ),
        rx.el.span(row.proofs, class_name="inline-block max-w-xs text-[0.8125rem] text-muted"),
        rx.el.div(time(row.asked), rx.el.span("by ", row.asked_by, class_name="block text-xs text-muted break-all")),
        rx.el.div(_standing(row), class_name="max-w-xs text-[0.8125rem]"),
        rx.cond(
            row.ended == "",
            rx.el.div(
                rx.cond(
                    row.approvable,
                    button(
                        "Approve",
                        kind="secondary",
                        size="small",
                        on_click=MailboxesState.ask("approve", row.handle),
                        aria_label="Approve " + row.handle,
                    ),
                ),
                button(
                    "Stop",
                    kind="ghost",
                    size="small",
                    on_click=MailboxesState.ask("stop", row.handle),
                    aria_label="Stop " + row.handle,
                ),
                class_name="flex flex-wrap gap-2",
            ),
        ),
    )


def _standing(row: Any) -> rx.Component:
    waits = rx.cond(
        row.confirmed == "",
        rx.fragment("the new mailbox has not answered yet; ends by itself ", time(row.lapses, "date")),
        rx.fragment("waits for a second admin; ends by itself ", time(row.lapses, "date")),
    )
    under_way = rx.cond(
        row.due != "", rx.fragment("approved by ", row.approved_by, "; counts from ", time(row.due)), waits
    )
    return rx.cond(
        row.ended != "",
        rx.fragment(badge(row.outcome, tone=row.tone), " ", time(row.ended, "date")),
        under_way,
    )


def _ask() -> rx.Component:
    return _dialog(
        "ask",
        "Replace the mailbox of an account",
        field("Address of the account", "email", type="email", required=True, auto_complete="off"),
        field("New address", "new_email", type="email", required=True, auto_complete="off"),
        rx.el.fieldset(
            rx.el.legend("What was shown, two at least", class_name="mb-1.5 font-medium"),
            rx.el.div(
                *[checkbox(words, f"proof-{name}") for name, words in recovering.PROOFS.items()],
                class_name="space-y-2 text-[0.8125rem]",
            ),
            rx.el.p(
                "You have seen both yourself. Never ask for papers, or for a password.",
                class_name="mt-1.5 text-[0.8125rem] text-muted",
            ),
        ),
        on_submit=MailboxesState.begin,
        act="Ask for it",
    )


def _approve() -> rx.Component:
    return _dialog(
        "approve",
        "Approve " + MailboxesState.handle + "?",
        rx.el.p(
            "You have looked at the proofs yourself. In seven days every sign-in of the account ends, its password and other "
            "ways to sign in are void, and the new mailbox gets the link for a new password. Its API keys end two weeks later."
        ),
        on_submit=MailboxesState.approve,
        act="Approve",
    )


def _stop() -> rx.Component:
    return _dialog(
        "stop",
        "Stop " + MailboxesState.handle + "?",
        rx.el.p("The account keeps its address, and both mailboxes are told. It can be asked for again."),
        on_submit=MailboxesState.stop,
        act="Stop it",
        kind="danger",
    )


def _dialog(
    name: str, title: str | rx.Var[str], *inside: Any, on_submit: Any, act: str, kind: str = "primary"
) -> rx.Component:
    close = MailboxesState.ask("", "")
    return dialog(MailboxesState, name, title, *inside, act=act, kind=kind, on_submit=on_submit, on_close=close)
