"""Staff and roles: who may do what, in one table; admins give and take roles here."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.accounts import rights, roles
from assisters_app.base.errors import Refused
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    dialog_actions,
    empty,
    field,
    form,
    heading,
    modal,
    select,
    table,
    time,
)
from assisters_app.ui.parts.roles import role_table
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell

HERE = "/staff/roles"


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


class RolesState(AppState):
    """Who is staff, what changed, and the dialog in which a role is given."""

    phase: str = "loading"
    team: list[ColleagueLine] = []
    changes: list[ChangeLine] = []
    giving: bool = False
    whose: str = ""
    problem: str = ""

    @rx.event
    @access("staff", right="desk")
    async def load(self) -> None:
        """Read who is staff."""
        async with loading(self) as (tx, me):
            self.team = [ColleagueLine.of(one, me=one.account_id == me.account_id) for one in await roles.team(tx, me)]
            self.changes = [ChangeLine.of(n, one) for n, one in enumerate(await roles.changes(tx, me))]

    @rx.event
    @access("staff", right="roles")
    async def ask(self, giving: bool, whose: str) -> None:
        """Open or close the dialog, for an address or ("") one that is still to be written."""
        self.giving, self.whose, self.problem = giving, whose[:254], ""

    @rx.event
    @access("staff", right="roles")
    async def give(self, sent: dict[str, Any]) -> Any:
        """Give somebody a role."""
        try:
            async with signed_in() as (tx, me):
                role = rights.role_named(str(sent.get("role", "")))
                await roles.give(tx, me, str(sent.get("email", "")), role)
        except Refused as refused:
            if refused.code == "reauthenticate":
                return rx.redirect(f"/confirm?next={HERE}")
            self.problem = str(refused)
            return None
        self.giving = False
        self._tell("Done. They and every other admin are told by mail.")
        return RolesState.load


load = RolesState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Staff and roles",
            _for_admins(
                button(rx.icon("plus", size=16, aria_hidden="true"), "Give a role", on_click=RolesState.ask(True, ""))
            ),
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
                    on_click=RolesState.ask(True, row.email),
                    aria_label="Change the role of " + row.email,
                )
            ),
        ),
    )


def _give() -> rx.Component:
    return modal(
        form(
            field(
                "Address",
                "email",
                type="email",
                default_value=RolesState.whose,
                key=RolesState.whose,
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
            rx.el.p(RolesState.problem, role="alert", class_name="text-[0.8125rem] text-bad empty:hidden"),
            dialog_actions(button("Give the role", type="submit"), on_close=RolesState.ask(False, "")),
            on_submit=RolesState.give,
        ),
        open=RolesState.giving,
        on_close=RolesState.ask(False, ""),
        title="Give a role",
    )
