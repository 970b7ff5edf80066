"""Staff and roles: who may do what, in one table; admins give and take roles here."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx

from assisters_app.accounts import rights, roles
from assisters_app.ui.parts import badge, button, card, empty, field, heading, new_button, select, table, time
from assisters_app.ui.parts.roles import role_table
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog

Dialog = Literal["", "give"]


@dataclass(frozen=True, slots=True)
class ColleagueLine:
    """One member of staff. `since` is ISO 8601 in UTC."""

    id: str
    email: str
    name: str
    role: str
    since: str
    suspended: bool
    me: bool

    @classmethod
    def of(cls, one: roles.Colleague, *, me: bool) -> Self:
        """Return what staff sees of a colleague."""
        title = rights.TITLES[one.role]
        return cls(str(one.account_id), one.email, one.name, title, one.since.isoformat(), one.suspended, me)


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change of a role."""

    id: str
    at: str
    whose: str
    what: str
    by: str

    @classmethod
    def of(cls, number: int, change: roles.Change) -> Self:
        """Return a change in words."""
        before, after = (rights.TITLES[rights.role_named(one)] for one in (change.before, change.after))
        by = "the command line" if change.by_command else change.by or "an erased account"
        return cls(f"{number}", change.at.isoformat(), change.whose or "an erased account", f"{before} → {after}", by)


class RolesState(Desk, AppState):
    """Who is staff, and what changed. The dialog is about an address, or ("") one that is still to be written."""

    phase: str = "loading"
    team: list[ColleagueLine] = []
    changes: list[ChangeLine] = []

    @rx.event
    @access("staff", right="desk")
    async def load(self) -> None:
        """Read who is staff."""
        async with loading(self) as (tx, me):
            self.team = [ColleagueLine.of(one, me=one.account_id == me.account_id) for one in await roles.team(tx, me)]
            self.changes = [ChangeLine.of(n, one) for n, one in enumerate(await roles.changes(tx, me))]

    @rx.event
    @access("staff", right="roles")
    async def ask(self, dialog: Dialog, whose: str) -> None:
        """Open the dialog in which a role is given, or ("") close it."""
        self._open(dialog, whose)

    @rx.event
    @access("staff", right="roles")
    async def give(self, sent: dict[str, Any]) -> Any:
        """Give somebody a role."""
        email, role = str(sent.get("email", "")), rights.role_named(str(sent.get("role", "")))
        return await self._carry_out(
            lambda tx, me: roles.give(tx, me, email, role),
            "Done. They and every other admin are told by mail.",
            RolesState.load,
        )


load = RolesState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Staff and roles",
            _for_admins(new_button("Give a role", on_click=RolesState.ask("give", ""))),
            lead="Whoever looks after people here, and what each of them may do. Nobody changes their own role.",
        ),
        card(
            table(
                RolesState.team,
                _colleague,
                label="Staff",
                columns=("Who", "Role", "Since", ""),
                phase=RolesState.phase,
                retry=RolesState.load,
                key=lambda row: row.id,
                empty=empty("Nobody", "No account has a role of staff.", icon="users"),
            ),
            title="Staff",
        ),
        card(
            role_table(),
            title="What each role may do",
            lead="Every page, every button and every function behind it asks this table. It is public, on the security page.",
        ),
        card(
            table(
                RolesState.changes,
                lambda row: (rx.el.span(row.whose, class_name="break-all"), row.what, time(row.at), row.by),
                label="Changes of roles",
                columns=("Whose", "Change", "When", "By"),
                phase=RolesState.phase,
                retry=RolesState.load,
                key=lambda row: row.id,
                empty=empty("No change yet", "In the last 13 months nobody was given a role.", icon="history"),
            ),
            title="Last changes",
        ),
        _give(),
        wide=True,
    )


def _for_admins(inside: rx.Component) -> rx.Component:
    return rx.cond(AppState.rights.contains("roles"), inside)


def _colleague(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.email, class_name="font-medium break-all"),
            rx.cond(row.name != "", rx.el.span(row.name, class_name="block text-xs text-muted")),
        ),
        rx.el.div(
            badge(row.role, tone=rx.cond(row.role == "Admin", "accent", "plain")),
            rx.cond(row.suspended, badge("suspended", tone="bad")),
            class_name="flex flex-wrap gap-1.5",
        ),
        time(row.since, "date"),
        rx.cond(
            row.me,
            rx.el.span("you", class_name="text-muted"),
            _for_admins(
                button(
                    "Change",
                    kind="secondary",
                    size="small",
                    on_click=RolesState.ask("give", row.email),
                    aria_label="Change the role of " + row.email,
                )
            ),
        ),
    )


def _give() -> rx.Component:
    return dialog(
        RolesState,
        "give",
        "Give a role",
        field(
            "Address",
            "email",
            type="email",
            default_value=RolesState.handle,
            key=RolesState.handle,
            required=True,
            auto_complete="off",
            hint="Of an account that exists, and whose address was confirmed.",
        ),
        select(
            "Role",
            "role",
            [
                ("support", "Support: accounts, requests and questions"),
                ("admin", "Admin: everything in the table"),
                ("member", "None: no longer staff"),
            ],
        ),
        act="Give the role",
        on_submit=RolesState.give,
        on_close=RolesState.ask("", ""),
    )
