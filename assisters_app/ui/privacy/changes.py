"""What the next version of the policy changes for the person who looks: sentence by sentence, with their own counts."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.base.errors import NotFound
from assisters_app.privacy.policies import telling
from assisters_app.ui.moments import day
from assisters_app.ui.parts import card, empty, failed, heading, link, link_button, number, skeleton
from assisters_app.ui.policy_history import ChangeView, PieceView, changed
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell


@dataclass(frozen=True, slots=True)
class CountView:
    """How much of one kind of thing is the person's."""

    title: str
    count: int


@dataclass(frozen=True, slots=True)
class AffectedView:
    """One change, and what of the person's it concerns."""

    id: str
    kind: str
    pieces: list[PieceView]
    theirs: list[CountView]

    @classmethod
    def of(cls, affected: telling.Affected) -> Self:
        """Return what the person sees of a change."""
        view = ChangeView.of(affected.change)
        theirs = [CountView(title, count) for title, count in affected.theirs]
        return cls(view.id, view.kind, view.pieces, theirs)


class PolicyChangesState(AppState):
    """The version that is to come, or the newest, and what it changes for this person."""

    phase: str = "loading"
    version: str = ""
    effective_on: str = ""
    summary: str = ""
    changes: list[AffectedView] = []

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read what changes, and write down that the person looked."""
        async with loading(self) as (tx, me):
            found = await telling.personal(tx, me)
            self.changes = [AffectedView.of(one) for one in found.affected] if found else []
            if found:
                edition = found.edition
                self.version, self.summary = edition.policy.version, edition.policy.summary
                self.effective_on = day(edition.effective_at)
                await _looked(tx, me, self.version)


async def _looked(tx: Any, me: Any, version: str) -> None:
    try:
        await telling.viewed(tx, me, version)
    except NotFound:  # it came into force long ago, or is not material: nobody needs to know who reads it
        return


load = PolicyChangesState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "What changes for you",
            link_button("Export your data", to="/dashboard/privacy"),
            lead="The sentences of the privacy policy that change, and which of your own data each concerns.",
        ),
        rx.match(
            PolicyChangesState.phase,
            ("failed", failed(PolicyChangesState.load)),
            ("ready", rx.cond(PolicyChangesState.changes.length() > 0, _changes(), _none())),
            card(skeleton("h-4 w-64 max-w-full")),
        ),
    )


def _changes() -> rx.Component:
    return rx.fragment(
        card(
            rx.el.p(
                "In force from ",
                PolicyChangesState.effective_on,
                ". Using Assisters from then on means that it applies to you; consents you gave or withheld stay as they are. "
                "If you do not want it, ",
                link("export your data", to="/dashboard/privacy"),
                " and ",
                link("close your account", to="/dashboard/privacy/delete"),
                " before.",
                class_name="max-w-prose",
            ),
            title=PolicyChangesState.version,
            lead=PolicyChangesState.summary,
        ),
        card(
            rx.el.div(rx.foreach(PolicyChangesState.changes, _change), class_name="space-y-6 max-w-prose"),
            title="Sentence by sentence",
        ),
    )


def _change(change: Any) -> rx.Component:
    return rx.el.div(
        changed(change),
        rx.cond(
            change.theirs.length() > 0,
            rx.el.ul(
                rx.foreach(
                    change.theirs,
                    lambda one: rx.el.li(
                        one.title,
                        ": ",
                        number(one.count),
                        rx.cond(one.count == 1, " entry", " entries"),
                        class_name="text-[0.8125rem] text-muted",
                    ),
                ),
                class_name="list-disc pl-5",
            ),
            rx.el.p("It concerns nothing that is stored about you now.", class_name="text-[0.8125rem] text-muted"),
        ),
        class_name="space-y-2",
    )


def _none() -> rx.Component:
    return card(
        empty(
            "Nothing has changed",
            "The privacy policy is as it was when it was first published. You will be told here, and by mail, before it changes.",
            link_button("Read the policy", to="/privacy-policy"),
            icon="scroll-text",
        )
    )
