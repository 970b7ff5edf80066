"""Accounts: found by whole address, name, organization, key or id; addresses are masked until one account is looked at."""

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import reflex as rx

from assisters_app.accounts import people
from assisters_app.keys import keys
from assisters_app.ui.parts import badge, button, card, empty, field, heading, link, show_more, table, time
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account in the list."""

    id: str
    page: str
    masked_email: str
    organization: str
    plan: str
    role: str
    created: str
    verified: bool
    suspended: bool

    @classmethod
    def of(cls, row: people.AccountRow) -> Self:
        """Return what the list shows of an account."""
        return cls(
            id=str(row.id),
            page=f"/staff/accounts/{row.id}",
            masked_email=row.masked_email,
            organization=row.organization,
            plan=row.plan,
            role=row.role,
            created=row.created_at.isoformat(),
            verified=row.verified,
            suspended=row.suspended,
        )


class AccountsState(AppState):
    """What was searched for, and the pages that were read so far."""

    phase: str = "loading"
    search: str = ""
    rows: list[AccountLine] = []
    more: bool = False
    _next: str = ""

    @rx.event
    @access("staff", right="accounts")
    async def load(self) -> None:
        """Search for what the address names, or list the newest."""
        self.search = _shown(parse_qs(urlsplit(str(self.router.url)).query).get("search", [""])[0])
        await self._read()

    @rx.event
    @access("staff", right="accounts")
    async def find(self, sent: dict[str, Any]) -> None:
        """Search for what was typed."""
        self.search, self.phase = _shown(str(sent.get("search", ""))), "loading"
        await self._read()

    @rx.event
    @access("staff", right="accounts")
    async def load_more(self) -> None:
        """Read the accounts that follow."""
        if self._next:
            await self._read(UUID(self._next))

    async def _read(self, after: UUID | None = None) -> None:
        async with loading(self) as (tx, me):
            key = keys.named(self.search)
            sought = people.Sought(self.search, await keys.whose(tx, me, key) if key else None)
            found = await people.listed(tx, me, sought, after)
            lines = [AccountLine.of(row) for row in found.rows]
            self.rows = [*self.rows, *lines] if after else lines
            self.more, self._next = found.next is not None, str(found.next or "")


load = AccountsState.load


def _shown(text: str) -> str:
    """Return what was searched for, as it may be shown: of a whole key only what every list shows of it."""
    return keys.named(text) or text.strip()[:100]


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Accounts", lead="Addresses are masked here. Opening an account shows them, and its owner can read that."
        ),
        card(
            rx.el.form(
                rx.el.div(
                    field(
                        "Search",
                        "search",
                        type="search",
                        placeholder="Address, name, organization, key or id",
                        default_value=AccountsState.search,
                        key=AccountsState.search,
                        auto_complete="off",
                    ),
                    class_name="flex-1 min-w-56 max-w-md",
                ),
                button("Search", type="submit", kind="secondary"),
                on_submit=AccountsState.find,
                class_name="flex flex-wrap items-end gap-2 mb-3",
            ),
            table(
                AccountsState.rows,
                _cells,
                label="Accounts",
                columns=("Account", "Organization", "Plan", "State", "Since"),
                phase=AccountsState.phase,
                retry=AccountsState.find({}),
                key=lambda row: row.id,
                empty=empty(
                    "No such account",
                    "No name or organization contains that, and no address, key or id is that.",
                    icon="search-x",
                ),
                more=show_more(AccountsState.more, AccountsState.load_more),
            ),
        ),
        wide=True,
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        link(row.masked_email, to=row.page),
        rx.el.code(row.organization, class_name="font-mono text-[0.8125rem] text-muted"),
        row.plan,
        rx.el.div(
            rx.cond(row.role != "member", badge(row.role, tone="accent")),
            rx.cond(row.suspended, badge("suspended", tone="bad")),
            rx.cond(row.verified, badge("confirmed", tone="good"), badge("not confirmed", tone="warn")),
            class_name="flex flex-wrap gap-1.5",
        ),
        time(row.created, "date"),
    )
