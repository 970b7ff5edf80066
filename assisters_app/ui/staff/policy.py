"""Versions of the policy and transfers of the business, for staff: what is drafted, told, in force, and who read it."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx

from assisters_app.accounts import rights
from assisters_app.accounts.sessions import Person
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.privacy.policies import telling, transfers, versions
from assisters_app.ui.moments import day, day_picked
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    empty,
    field,
    heading,
    link,
    table,
)
from assisters_app.ui.policy_history import TONES, ChangeView, changed
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog

Dialog = Literal["", "publish", "announce", "off"]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version. Counts are of people; `effective_on` is a day in words (UTC), "" for a draft."""

    version: str
    summary: str
    state: str
    tone: str
    material: bool
    effective_on: str
    notified: int
    flashed: int
    viewed: int
    agreed: int
    used: int

    @classmethod
    def of(cls, edition: versions.Edition, deeds: dict[str, int]) -> Self:
        """Return what staff sees of a version."""
        return cls(
            version=edition.policy.version,
            summary=edition.policy.summary,
            state=edition.state,
            tone=TONES[edition.state],
            material=edition.policy.material,
            effective_on=day(edition.effective_at),
            notified=deeds.get("notified", 0),
            flashed=deeds.get("flashed", 0),
            viewed=deeds.get("viewed", 0),
            agreed=deeds.get("agreed", 0),
            used=deeds.get("used", 0),
        )


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One transfer. `open` is true while it can be called off."""

    handle: str
    acquirer: str
    contact: str
    transfers_on: str
    notified: int
    state: str
    open: bool

    @classmethod
    def of(cls, one: transfers.Announced, deeds: dict[str, int]) -> Self:
        """Return what staff sees of a transfer."""
        past = one.transfers_at <= now()
        state = "called off" if one.withdrawn_at else "took place" if past else "announced"
        return cls(
            one.handle,
            one.acquirer,
            one.contact,
            day(one.transfers_at),
            deeds.get("notified", 0),
            state,
            state == "announced",
        )


class PolicyDeskState(Desk, AppState):
    """The versions and the transfers. The dialog is about a version ("publish") or about a transfer ("off")."""

    phase: str = "loading"
    versions: list[VersionRow] = []
    transfers: list[TransferRow] = []
    earliest: str = ""
    changes: list[ChangeView] = []

    @rx.event
    @access("staff", right="policy")
    async def load(self) -> None:
        """Read what there is."""
        async with loading(self) as (tx, me):
            rights.require(me, "policy")
            editions = await versions.editions(tx)
            self.versions = [VersionRow.of(one, await telling.tallies(tx, one.policy.version)) for one in editions]
            announced = await transfers.listed(tx)
            self.transfers = [TransferRow.of(one, await telling.tallies(tx, one.handle)) for one in announced]

    @rx.event
    @access("staff", right="policy")
    async def ask(self, dialog: Dialog, about: str) -> None:
        """Open a dialog about a version or a transfer, or close it ("")."""
        self._open(dialog, about)
        self.changes, self.earliest = [], ""
        if dialog == "publish":
            async with signed_in() as (tx, me):
                rights.require(me, "policy")
                editions = {one.policy.version: one for one in await versions.editions(tx)}
            if edition := editions.get(about):
                last = max((one.effective_at for one in editions.values() if one.effective_at), default=now())
                self.earliest = versions.earliest_for(edition.policy, last).date().isoformat()
                self.changes = [ChangeView.of(change) for change in edition.changes]

    @rx.event
    @access("staff", right="policy")
    async def publish(self, sent: dict[str, Any]) -> Any:
        """Publish the draft of the dialog; from then on nobody can change it."""

        async def act(tx: Tx, me: Person) -> None:
            await versions.publish(tx, me, self.handle, day_picked(sent, "effective_on"))

        return await self._carry_out(
            act, "Published. Everybody is being told, if the change is material.", PolicyDeskState.load
        )

    @rx.event
    @access("staff", right="policy")
    async def announce(self, sent: dict[str, Any]) -> Any:
        """Announce a transfer to everybody."""
        who, where = str(sent.get("acquirer", "")), str(sent.get("contact", ""))

        async def act(tx: Tx, me: Person) -> None:
            await transfers.announce(tx, me, who, where, day_picked(sent, "transfers_on"))

        return await self._carry_out(act, "Announced. Everybody is being told by mail.", PolicyDeskState.load)

    @rx.event
    @access("staff", right="policy")
    async def call_off(self, sent: dict[str, Any]) -> Any:  # noqa: ARG002 (a form sends its fields, and has none)
        """Call the transfer of the dialog off."""
        return await self._carry_out(
            lambda tx, me: transfers.withdraw(tx, me, self.handle), "Called off.", PolicyDeskState.load
        )


load = PolicyDeskState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Policy and transfers",
            lead="A version is drafted as a file, published here, and can never be changed again. People are told of what is "
            "material 30 days before it counts.",
        ),
        card(
            table(
                PolicyDeskState.versions,
                _version_cells,
                label="Versions of the policy",
                columns=("Version", "State", "In force", "Mailed", "Shown", "Opened", "Read", "Used", ""),
                right=(3, 4, 5, 6, 7),
                phase=PolicyDeskState.phase,
                retry=PolicyDeskState.load,
                key=lambda row: row.version,
                empty=empty("No version", "There is no file of the policy.", icon="scroll-text"),
            ),
            title="Versions",
            lead="How many people each was mailed to, shown to, opened by, said to be read by, and used under.",
            action=link("What changed", to="/privacy/history"),
        ),
        card(
            table(
                PolicyDeskState.transfers,
                _transfer_cells,
                label="Transfers of the business",
                columns=("To whom", "State", "On", "Mailed", ""),
                right=(3,),
                phase=PolicyDeskState.phase,
                retry=PolicyDeskState.load,
                key=lambda row: row.handle,
                empty=empty(
                    "No transfer was ever announced",
                    "Before a merger, acquisition or sale everybody is told, and has 30 days to export and leave.",
                    icon="building-2",
                ),
            ),
            title="Transfers of the business",
            action=button(
                "Announce a transfer",
                kind="secondary",
                size="small",
                on_click=PolicyDeskState.ask("announce", ""),
            ),
        ),
        _publishing(),
        _announcing(),
        _calling_off(),
    )


def _version_cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.version, class_name="font-medium"),
            rx.el.p(row.summary, class_name="text-xs text-muted min-w-40"),
        ),
        rx.el.div(
            badge(row.state, tone=row.tone),
            rx.cond(row.material, badge("material", tone="warn")),
            class_name="flex flex-wrap gap-1",
        ),
        rx.cond(row.effective_on != "", row.effective_on, "not published"),
        row.notified,
        row.flashed,
        row.viewed,
        row.agreed,
        row.used,
        rx.cond(
            row.state == "draft",
            button("Publish", kind="secondary", size="small", on_click=PolicyDeskState.ask("publish", row.version)),
        ),
    )


def _transfer_cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.acquirer, class_name="font-medium"),
            rx.el.p(row.contact, class_name="text-xs text-muted"),
        ),
        badge(row.state, tone=rx.cond(row.open, "warn", "plain")),
        row.transfers_on,
        row.notified,
        rx.cond(
            row.open,
            button("Call off", kind="ghost", size="small", on_click=PolicyDeskState.ask("off", row.handle)),
        ),
    )


def _publishing() -> rx.Component:
    return dialog(
        PolicyDeskState,
        "publish",
        "Publish " + PolicyDeskState.handle,
        rx.el.div(rx.foreach(PolicyDeskState.changes, changed), class_name="space-y-4 max-h-80 overflow-y-auto"),
        field(
            "In force from (UTC)",
            "effective_on",
            type="date",
            required=True,
            default_value=PolicyDeskState.earliest,
            min=PolicyDeskState.earliest,
            hint="A material change is told to everybody at once, and needs 30 days.",
        ),
        act="Publish for good",
        on_submit=PolicyDeskState.publish,
        on_close=PolicyDeskState.ask("", ""),
        description="Nobody can change or delete a published version.",
    )


def _announcing() -> rx.Component:
    return dialog(
        PolicyDeskState,
        "announce",
        "Announce a transfer",
        field("Who would receive the data", "acquirer", required=True, max_length=200),
        field("Where people can ask them", "contact", required=True, max_length=200, hint="An address or a page."),
        field("On which day (UTC)", "transfers_on", type="date", required=True, hint="Thirty days from now or later."),
        act="Tell everybody",
        on_submit=PolicyDeskState.announce,
        on_close=PolicyDeskState.ask("", ""),
        description="A mail goes to every account at once. Nothing can be handed over before that day.",
    )


def _calling_off() -> rx.Component:
    return dialog(
        PolicyDeskState,
        "off",
        "Call the transfer off",
        rx.el.p("It will not take place. Dashboards stop telling of it; mails that went out cannot be taken back."),
        act="Call it off",
        kind="danger",
        on_submit=PolicyDeskState.call_off,
        on_close=PolicyDeskState.ask("", ""),
    )
