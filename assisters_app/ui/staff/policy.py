"""Versions of the policy and transfers of the business, for staff: what is drafted, told, in force, and who read it."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import reflex as rx

from assisters_app.accounts import rights
from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.privacy.policies import telling, transfers, versions
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    dialog_actions,
    empty,
    field,
    form,
    heading,
    link,
    modal,
    table,
)
from assisters_app.ui.policy_history import TONES, ChangeView, changed
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.ui.words import day

CONFIRM = "/confirm?next=/staff/policy"


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


class PolicyDeskState(AppState):
    """The versions, the transfers, and the dialog that is open: publish:VERSION, announce, or off:HANDLE."""

    phase: str = "loading"
    versions: list[VersionRow] = []
    transfers: list[TransferRow] = []
    dialog: str = ""
    about: str = ""
    earliest: str = ""
    changes: list[ChangeView] = []
    problem: str = ""

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
    async def ask(self, dialog: str, about: str) -> None:
        """Open a dialog about a version or a transfer, or close it ("")."""
        self.dialog = dialog if dialog in ("publish", "announce", "off") else ""
        self.about, self.problem, self.changes, self.earliest = about[:32], "", [], ""
        if self.dialog == "publish":
            async with signed_in() as (tx, me):
                rights.require(me, "policy")
                editions = {one.policy.version: one for one in await versions.editions(tx)}
            if edition := editions.get(self.about):
                last = max((one.effective_at for one in editions.values() if one.effective_at), default=now())
                self.earliest = versions.earliest_for(edition.policy, last).date().isoformat()
                self.changes = [ChangeView.of(change) for change in edition.changes]

    @rx.event
    @access("staff", right="policy")
    async def publish(self, sent: dict[str, Any]) -> Any:
        """Publish the draft of the dialog; from then on nobody can change it."""
        return await self._act(self._publish, sent, "Published. Everybody is being told, if the change is material.")

    @rx.event
    @access("staff", right="policy")
    async def announce(self, sent: dict[str, Any]) -> Any:
        """Announce a transfer to everybody."""
        return await self._act(self._announce, sent, "Announced. Everybody is being told by mail.")

    @rx.event
    @access("staff", right="policy")
    async def call_off(self, sent: dict[str, Any]) -> Any:
        """Call the transfer of the dialog off."""
        return await self._act(self._call_off, sent, "Called off.")

    async def _publish(self, tx: Any, me: Any, sent: dict[str, Any]) -> None:
        await versions.publish(tx, me, self.about, _day(sent, "effective_on"))

    async def _announce(self, tx: Any, me: Any, sent: dict[str, Any]) -> None:
        who, where = str(sent.get("acquirer", "")), str(sent.get("contact", ""))
        await transfers.announce(tx, me, who, where, _day(sent, "transfers_on"))

    async def _call_off(self, tx: Any, me: Any, sent: dict[str, Any]) -> None:  # noqa: ARG002 (as the others)
        await transfers.withdraw(tx, me, self.about)

    async def _act(self, act: Any, sent: dict[str, Any], done: str) -> Any:
        try:
            async with signed_in() as (tx, me):
                await act(tx, me, sent)
        except Refused as refused:
            if refused.code == "reauthenticate":
                return rx.redirect(CONFIRM)
            self.problem = str(refused)
            return None
        self.dialog = ""
        self._tell(done)
        return PolicyDeskState.load


def _day(sent: dict[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(str(sent.get(name, "")))
    except ValueError:
        raise Refused("That is not a day.", code="bad_day", field=name) from None


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
    return modal(
        form(
            rx.el.div(rx.foreach(PolicyDeskState.changes, changed), class_name="space-y-4 max-h-80 overflow-y-auto"),
            field(
                "In force from (UTC)",
                "effective_on",
                type="date",
                required=True,
                default_value=PolicyDeskState.earliest,
                min=PolicyDeskState.earliest,
                error=PolicyDeskState.problem,
                hint="A material change is told to everybody at once, and needs 30 days.",
            ),
            dialog_actions(button("Publish for good", type="submit"), on_close=PolicyDeskState.ask("", "")),
            on_submit=PolicyDeskState.publish,
        ),
        open=PolicyDeskState.dialog == "publish",
        on_close=PolicyDeskState.ask("", ""),
        title="Publish " + PolicyDeskState.about,
        description="Nobody can change or delete a published version.",
    )


def _announcing() -> rx.Component:
    return modal(
        form(
            field("Who would receive the data", "acquirer", required=True, max_length=200),
            field("Where people can ask them", "contact", required=True, max_length=200, hint="An address or a page."),
            field(
                "On which day (UTC)",
                "transfers_on",
                type="date",
                required=True,
                error=PolicyDeskState.problem,
                hint="Thirty days from now or later.",
            ),
            dialog_actions(button("Tell everybody", type="submit"), on_close=PolicyDeskState.ask("", "")),
            on_submit=PolicyDeskState.announce,
        ),
        open=PolicyDeskState.dialog == "announce",
        on_close=PolicyDeskState.ask("", ""),
        title="Announce a transfer",
        description="A mail goes to every account at once. Nothing can be handed over before that day.",
    )


def _calling_off() -> rx.Component:
    return modal(
        form(
            rx.el.p("It will not take place. Dashboards stop telling of it; mails that went out cannot be taken back."),
            rx.el.p(PolicyDeskState.problem, role="alert", class_name="text-bad"),
            dialog_actions(button("Call it off", kind="danger", type="submit"), on_close=PolicyDeskState.ask("", "")),
            on_submit=PolicyDeskState.call_off,
        ),
        open=PolicyDeskState.dialog == "off",
        on_close=PolicyDeskState.ask("", ""),
        title="Call the transfer off",
    )
