"""Consents: what is in force, and every choice ever made with the words that were seen."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.privacy.choices import consents
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    anchor,
    badge,
    button,
    card,
    download_button,
    empty,
    heading,
    link,
    link_button,
    table,
    time,
)
from assisters_app.ui.parts.switches import switch
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell

SOURCES = {
    "settings": "Your settings",
    "renewal": "Renewed in your settings",
    "one-click-unsubscribe": "The link in a mail",
    "gpc": "Your browser's signal",
    "expiry": "Ended by itself",
    "restore": "Ended by us, after a backup was restored",
}


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """What is in force for one purpose. Times are ISO 8601 in UTC, "" for none."""

    id: str
    title: str
    text: str
    given: bool
    since: str
    until: str
    renewable: bool

    @classmethod
    def of(cls, choice: consents.Choice) -> Self:
        """Return what its person sees of a choice."""
        return cls(
            id=choice.purpose.id,
            title=choice.purpose.title,
            text=choice.purpose.text,
            given=choice.given,
            since=iso(choice.since),
            until=iso(choice.until),
            renewable=choice.renewable,
        )


@dataclass(frozen=True, slots=True)
class RecordView:
    """One choice as it was made."""

    id: str
    title: str
    given: bool
    state: str
    text: str
    policy_version: str
    source: str
    at: str
    ended: str

    @classmethod
    def of(cls, record: consents.Record) -> Self:
        """Return what its person sees of a record."""
        no = {"gpc": "opted out", "expiry": "ended", "restore": "ended"}.get(record.source, "withdrawn")
        return cls(
            id=str(record.id),
            title=consents.TITLES.get(record.purpose_id, record.purpose_id),
            given=record.given,
            state="given" if record.given else no,
            text=record.text,
            policy_version=record.policy_version,
            source=SOURCES.get(record.source, record.source),
            at=record.at.isoformat(),
            ended=iso(record.ended_at),
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
            self.choices = [ChoiceView.of(choice) for choice in await consents.choices(tx, me)]
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
    async def renew(self, purpose: str) -> Any:
        """Give once more what would soon end."""
        async with signed_in() as (tx, me):
            await consents.renew(tx, me, purpose)
        self._tell("Renewed, and written down.")
        return ConsentsState.load


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
                        rx.el.details(
                            rx.el.summary(
                                "In these words",
                                class_name="w-fit text-[0.8125rem] text-accent",
                                aria_label="In these words: " + row.title,
                            ),
                            rx.el.p("“", row.text, "”", class_name="mt-1 text-[0.8125rem] text-muted max-w-prose"),
                        ),
                    ),
                    rx.cond(row.given, badge(row.state, tone="good"), badge(row.state)),
                    time(row.at),
                    time(row.ended, otherwise="stands"),
                    rx.el.div(
                        row.source,
                        rx.el.span("Policy ", row.policy_version, class_name="block text-xs text-faint"),
                        class_name="text-muted whitespace-nowrap",
                    ),
                    anchor(
                        "Receipt",
                        href="/download/consents/" + row.id + ".json",
                        download=True,
                        class_name="text-accent hover:underline underline-offset-2",
                        aria_label="Receipt: " + row.title + ", " + row.state,
                    ),
                ),
                label="Every choice you made",
                columns=("For what", "Choice", "Made", "Ended", "How", "Receipt"),
                phase=ConsentsState.phase,
                retry=ConsentsState.load,
                key=lambda row: row.id,
                empty=empty("No choice made yet", "Until you choose, nothing is given.", icon="hand"),
            ),
            title="History",
            lead="Kept as proof for 24 months after a choice has ended. Nobody can change an entry, not even we.",
            action=download_button("All receipts", href="/download/consents.json", size="small"),
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
        rx.el.div(
            rx.cond(choice.given, "Given on ", rx.cond(choice.since != "", "Not given; you last chose on ", "")),
            rx.cond(choice.since != "", time(choice.since, "date"), "Not given: you have not chosen"),
            rx.cond(choice.until != "", rx.fragment(". Ends by itself on ", time(choice.until, "date"))),
            ".",
            rx.cond(
                choice.renewable,
                button(
                    "Renew",
                    kind="secondary",
                    size="small",
                    on_click=ConsentsState.renew(choice.id),
                    aria_label="Renew: " + choice.title,
                    class_name="ml-3",
                ),
            ),
            class_name="mt-1.5 text-xs text-faint",
        ),
        class_name="py-4 first:pt-0 last:pb-0",
    )
