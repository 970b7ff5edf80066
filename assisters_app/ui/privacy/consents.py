"""Consents: what is in force, and every choice ever made with the words that were seen."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.base.clock import now
from assisters_app.privacy.choices import consents
from assisters_app.ui.parts import badge, button, card, empty, heading, link, link_button, table, time
from assisters_app.ui.parts.switches import switch
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.ui.words import COMPANY, CONTACT

TITLES = {purpose.id: purpose.title for purpose in consents.PURPOSES}


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """What is in force for one purpose. `since` is ISO 8601 in UTC, "" when nothing was ever chosen."""

    id: str
    title: str
    text: str
    given: bool
    since: str


@dataclass(frozen=True, slots=True)
class RecordView:
    """One choice as it was made: the receipt of it."""

    id: str
    title: str
    given: bool
    text: str
    policy_version: str
    source: str
    at: str
    ended: str

    @classmethod
    def of(cls, record: consents.Record) -> Self:
        """Return the receipt of a choice."""
        return cls(
            id=f"{record.purpose_id} {record.at.isoformat()}",
            title=TITLES.get(record.purpose_id, record.purpose_id),
            given=record.given,
            text=record.text,
            policy_version=record.policy_version,
            source=record.source,
            at=record.at.isoformat(),
            ended=record.ended_at.isoformat() if record.ended_at else "",
        )


class ConsentsState(AppState):
    """The choices in force and their history."""

    phase: str = "loading"
    choices: list[ChoiceView] = []
    history: list[RecordView] = []

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the choices and their history."""
        async with loading(self) as (tx, me):
            self.choices = [
                ChoiceView(
                    c.purpose.id, c.purpose.title, c.purpose.text, c.given, c.since.isoformat() if c.since else ""
                )
                for c in await consents.choices(tx, me)
            ]
            self.history = [RecordView.of(record) for record in await consents.history(tx, me)]

    @rx.event
    @access("member")
    async def choose(self, purpose: str, given: bool) -> Any:
        """Give or withdraw consent to one purpose."""
        async with signed_in() as (tx, me):
            await consents.choose(tx, me, purpose, given=given)
        self._tell("Given, and written down." if given else "Withdrawn, and written down.")
        return ConsentsState.load

    @rx.event
    @access("member")
    async def receipts(self) -> Any:
        """Hand out every choice as a file."""
        async with signed_in() as (tx, me):
            history = [asdict(RecordView.of(record)) for record in await consents.history(tx, me)]
        said = {"controller": COMPANY, "contact": CONTACT, "made_at": now().isoformat(), "choices": history}
        return rx.download(data=json.dumps(said, indent=2, ensure_ascii=False), filename="consent-receipts.json")


load = ConsentsState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Consents",
            link_button("Back to privacy", to="/dashboard/privacy"),
            lead="Nothing is assumed from silence, nor from going on to use the product.",
        ),
        card(
            rx.match(
                ConsentsState.phase,
                ("ready", rx.el.div(rx.foreach(ConsentsState.choices, _choice), class_name="divide-y divide-line")),
                ("failed", rx.el.p("This could not be loaded.", role="alert")),
                rx.el.div(aria_busy="true", class_name="h-40"),
            ),
            title="In force now",
            lead="Cookies that would need your consent: none. ",
            action=link("See the cookies", to="/cookies"),
        ),
        card(
            table(
                ConsentsState.history,
                lambda row: (
                    rx.el.div(
                        rx.el.p(row.title, class_name="font-medium"),
                        rx.el.p("“", row.text, "”", class_name="text-[0.8125rem] text-muted max-w-prose"),
                    ),
                    rx.cond(row.given, badge("given", tone="good"), badge("withdrawn")),
                    time(row.at),
                    time(row.ended, otherwise="in force"),
                    rx.el.span(row.source, " · policy ", row.policy_version, class_name="text-muted whitespace-nowrap"),
                ),
                label="Every choice you made",
                columns=("For, in the words you saw", "Choice", "Made", "Ended", "Where"),
                phase=ConsentsState.phase,
                retry=ConsentsState.load,
                key=lambda row: row.id,
                empty=empty("No choice made yet", "Until you choose, nothing is given.", icon="hand"),
            ),
            title="History",
            lead="Kept as proof for 24 months after a choice has ended.",
            action=button("Download receipts", kind="secondary", size="small", on_click=ConsentsState.receipts),
        ),
    )


def _choice(choice: Any) -> rx.Component:
    return rx.el.div(
        switch(
            choice.title,
            choice.text,
            choice.given,
            on_change=ConsentsState.choose(choice.id, ~choice.given),
            label=choice.title,
        ),
        rx.el.p(
            rx.cond(choice.given, "Given ", "Not given"),
            rx.cond(choice.since != "", rx.fragment(" since ", time(choice.since)), ", never chosen"),
            class_name="mt-1.5 text-xs text-faint",
        ),
        class_name="py-4 first:pt-0 last:pb-0",
    )
