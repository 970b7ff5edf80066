"""One account: opening this page is written where its owner reads it."""

from dataclasses import dataclass
from typing import Any, Literal, Self
from uuid import UUID

import reflex as rx

from assisters_app.accounts import people
from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.registers import trails
from assisters_app.ui import figures
from assisters_app.ui.asked import question
from assisters_app.ui.drawn import chart_of, four_sums
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    copyable,
    empty,
    failed,
    heading,
    link_button,
    notice,
    rows,
    skeleton,
    table,
    time,
)
from assisters_app.ui.privacy.trail import EntryRow
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog
from assisters_app.ui.usage import Figures
from assisters_app.usage import periods, reports

Dialog = Literal["", "suspend"]


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account. Times are ISO 8601 in UTC, "" for never."""

    id: str = ""
    email: str = ""
    name: str = ""
    role: str = ""
    time_zone: str = ""
    created: str = ""
    verified: str = ""
    suspended: str = ""
    reason: str = ""
    organization: str = ""
    organization_handle: str = ""
    plan: str = ""

    @classmethod
    def of(cls, account: people.AccountView) -> Self:
        """Return what staff sees of an account."""
        return cls(
            id=str(account.id),
            email=account.email,
            name=account.name,
            role=account.role,
            time_zone=account.time_zone,
            created=account.created_at.isoformat(),
            verified=iso(account.verified_at),
            suspended=iso(account.suspended_at),
            reason=account.suspension_reason,
            organization=account.organization_name,
            organization_handle=account.organization_handle,
            plan=account.plan,
        )


class AccountState(Desk, AppState):
    """The account that the address names, its last thirty days and its trail."""

    phase: str = "loading"
    account: AccountView = AccountView()
    sums: Figures = Figures()
    blank: bool = True
    cost_figure: dict[str, Any] = {}
    cost_rows: list[list[str]] = []
    requests_figure: dict[str, Any] = {}
    requests_rows: list[list[str]] = []
    entries: list[EntryRow] = []

    @rx.event
    @access("staff", right="accounts")
    async def load(self) -> None:
        """Look at the account."""
        self.phase, self.account, self.dialog = "loading", AccountView(), ""
        await self._read()

    @rx.event
    @access("staff", right="accounts")
    async def again(self) -> None:
        """Look once more."""
        await self._read()

    @rx.event
    @access("staff", right="suspend")
    async def ask(self, dialog: Dialog) -> None:
        """Open the dialog in which an account is suspended, or ("") close it."""
        self._open(dialog)

    @rx.event
    @access("staff", right="suspend")
    async def suspend(self, sent: dict[str, Any]) -> Any:
        """Suspend the account, with a reason that its owner is told."""
        return await self._carry_out(
            lambda tx, me: people.suspend(tx, me, self._asked(), str(sent.get("reason", ""))),
            "Suspended. Its owner has been told why, and how to appeal.",
            AccountState.again,
        )

    @rx.event
    @access("staff", right="suspend")
    async def unsuspend(self) -> Any:
        """Open the account again."""
        return await self._carry_out(
            lambda tx, me: _open_again(tx, me, self._asked()),
            "Open again. Its owner has been told.",
            AccountState.again,
        )

    async def _read(self) -> None:
        async with loading(self) as (tx, me):
            found = await people.view(tx, me, self._asked())
            self.account = AccountView.of(found)
            await self._draw(tx, me, found.organization_id)
            trail = await trails.of_account(tx, me, found.id)
            self.entries = [EntryRow.of(entry) for entry in trail.entries]

    async def _draw(self, tx: Tx, me: Person, organization_id: UUID) -> None:
        whose = reports.organization(me, organization_id)
        period = question({"range": "30d"}, periods.zone_named(me.time_zone)).period
        whole = await reports.comparison(tx, whose, period)
        self.sums, self.blank = Figures.of(whole, compared=True), not whole.current.requests
        series = await reports.series(tx, whose, period)
        models = await reports.series_by(tx, whose, period, "model", most=4)
        self.cost_figure, self.cost_rows = figures.cost(models, series, None, period.step)
        self.requests_figure, self.requests_rows = figures.requests(series, None, period.step)

    def _asked(self) -> UUID:
        """Return the account that the address names."""
        try:
            return UUID(str(self.router.url.path).rstrip("/").rpartition("/")[2])
        except ValueError:
            raise NotFound("account") from None


async def _open_again(tx: Tx, staff: Person, account_id: UUID) -> None:
    closing = await erasure.pending(tx, account_id)
    if closing and closing.now:
        raise Refused("This account is being erased. It cannot be opened again.", code="erasing")
    await people.unsuspend(tx, staff, account_id)


load = AccountState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Account",
            link_button("All accounts", to="/staff/accounts"),
            lead="That you looked is written down; the owner of this account can read it.",
        ),
        rx.match(
            AccountState.phase,
            ("failed", card(failed(AccountState.again))),
            ("ready", rx.fragment(_suspended(), _facts())),
            card(skeleton("h-5 w-48"), skeleton("h-32 w-full mt-4"), aria_busy="true"),
        ),
        four_sums(AccountState, "Cost, 30 days"),
        rx.el.div(
            card(_chart("cost", ("When", "Cost"), "Cost by model"), title="Cost, 30 days"),
            card(_chart("requests", ("When", "Requests", "Failed"), "Requests"), title="Requests, 30 days"),
            class_name="grid lg:grid-cols-2 gap-6",
        ),
        _trail(),
        _suspend(),
        wide=True,
    )


def _suspended() -> rx.Component:
    return rx.cond(
        AccountState.account.suspended != "",
        notice(
            rx.el.strong("Suspended since "),
            time(AccountState.account.suspended),
            ". ",
            AccountState.account.reason,
            tone="bad",
            action=rx.cond(
                AppState.rights.contains("suspend"),
                button("Open again", kind="secondary", size="small", on_click=AccountState.unsuspend),
            ),
        ),
    )


def _facts() -> rx.Component:
    account = AccountState.account
    return card(
        rows(
            ("Address", copyable(account.email, "Copy address", class_name="max-w-md")),
            ("Name", rx.cond(account.name != "", account.name, "—")),
            ("Organization", rx.fragment(account.organization, " ", badge(account.organization_handle))),
            ("Plan", account.plan),
            ("Role", account.role),
            ("Time zone", account.time_zone),
            ("Since", time(account.created)),
            ("Address confirmed", time(account.verified, otherwise="not yet")),
        ),
        title="Profile",
        action=rx.cond(
            (account.suspended == "") & AppState.rights.contains("suspend"),
            button("Suspend", kind="danger", size="small", on_click=AccountState.ask("suspend")),
        ),
    )


def _chart(what: str, columns: tuple[str, ...], label: str) -> rx.Component:
    nothing = empty("Nothing was called", "This account made no request in 30 days.", icon="chart-column")
    return chart_of(AccountState, what, label, columns, nothing, height="220px")


def _trail() -> rx.Component:
    return card(
        table(
            AccountState.entries,
            lambda row: (
                rx.el.span(row.words, class_name="font-medium whitespace-nowrap"),
                rx.cond(row.actor != "", row.actor, badge(row.by, tone=row.tone)),
                time(row.at),
                rx.el.span(row.details, class_name="inline-block min-w-56 text-[0.8125rem] text-muted break-words"),
            ),
            label="What was done with this account",
            columns=("What", "By", "When", "Details"),
            phase=AccountState.phase,
            retry=AccountState.again,
            key=lambda row: row.id,
            empty=empty("Nothing yet", "Nothing was done with this account."),
        ),
        title="Trail",
        lead="The newest entries",
    )


def _suspend() -> rx.Component:
    return dialog(
        AccountState,
        "suspend",
        "Suspend this account?",
        rx.el.p(
            "Every sign-in of ",
            rx.el.strong(AccountState.account.email),
            " ends and its keys stop at once. Nothing is deleted, and it can be opened again. Privacy rights go on.",
        ),
        area(
            "Reason",
            "reason",
            hint="Its owner is mailed this, with the way to appeal.",
            required=True,
            max_length=500,
            rows="3",
        ),
        act="Suspend account",
        kind="danger",
        on_submit=AccountState.suspend,
        on_close=AccountState.ask(""),
    )
