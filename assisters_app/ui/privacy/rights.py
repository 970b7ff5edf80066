"""Your privacy rights: each one is a click away from here."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.accounts import reauthentication
from assisters_app.privacy.choices import consents
from assisters_app.privacy.registers import trails
from assisters_app.privacy.rights import requests
from assisters_app.ui.parts import badge, card, empty, heading, link, link_button, rows, table, time
from assisters_app.ui.parts.privacy import FreshLink, PrivacySignal
from assisters_app.ui.parts.switches import switch
from assisters_app.ui.privacy.trail import EntryRow, cells
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.ui.words import CONTACT

HERE = "/dashboard/privacy"
_LINK = (
    "inline-flex items-center justify-center gap-2 rounded-lg font-medium h-9 px-3.5 text-sm border border-line bg-surface "
    "shadow-card hover:bg-raised"
)
LATELY = 5  # looks by others that this page shows; the rest has a page of its own
IN_THE_EXPORT = (
    "Every table that holds something of yours, as JSON Lines and as CSV",
    "A JSON Schema for each, and a manifest with the count, size and SHA-256 of every file",
    "All rows, however many; times in UTC, amounts in whole nano-dollars",
    "Not in it: what could be used to get into your account",
)


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request of one's own. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    kind: str
    state: str
    tone: str
    received: str
    due: str
    answered: str
    outcome: str

    @classmethod
    def of(cls, request: requests.RequestRow) -> Self:
        """Return what its person sees of a request."""
        tones = {"open": "bad" if request.overdue else "accent", "done": "good", "refused": "warn"}
        return cls(
            handle=request.handle,
            kind=request.kind.capitalize(),
            state=request.state,
            tone=tones.get(request.state, "plain"),
            received=request.received_at.isoformat(),
            due=request.due.isoformat() if request.state == "open" else "",
            answered=request.answered_at.isoformat() if request.answered_at else "",
            outcome=request.outcome,
        )


class RightsState(AppState):
    """What is in force, what was asked for, and who looked lately."""

    phase: str = "loading"
    marketing: bool = False
    training: bool = False
    asked: list[RequestView] = []
    looks: list[EntryRow] = []
    fresh_until: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read what this page shows."""
        async with loading(self) as (tx, me):
            self.fresh_until = (me.reauthenticated_at + reauthentication.RECENT).isoformat()
            given = {choice.purpose.id: choice.given for choice in await consents.choices(tx, me)}
            self.marketing, self.training = given["marketing"], given["training"]
            self.asked = [RequestView.of(request) for request in await requests.mine(tx, me)]
            looked = await trails.mine(tx, me, others=True)
            self.looks = [EntryRow.of(entry) for entry in looked.entries[:LATELY]]

    @rx.event
    @access("member")
    async def opt(self, purpose: str) -> Any:
        """Turn one consent over."""
        async with signed_in() as (tx, me):
            given = {choice.purpose.id: choice.given for choice in await consents.choices(tx, me)}.get(purpose, False)
            await consents.choose(tx, me, purpose, given=not given)
        self._tell("Withdrawn, and written down." if given else "Given, and written down.")
        return RightsState.load


load = RightsState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Privacy",
            link_button("Privacy policy", to="/privacy-policy"),
            lead="What our policy promises, done here. The same rights for everyone, wherever you live.",
        ),
        rx.el.div(_access(), _export(), _correct(), _delete(), class_name="grid md:grid-cols-2 gap-4 sm:gap-6"),
        _choices(),
        _looks(),
        _requests(),
        _cookies(),
    )


def _right(icon: str, title: str, promise: str, lead: str, action: rx.Component, *more: rx.Component) -> rx.Component:
    return card(
        rx.el.div(
            rx.icon(icon, size=18, aria_hidden="true", class_name="mt-0.5 shrink-0 text-accent"),
            rx.el.div(
                rx.el.h2(title, class_name="text-[0.9375rem] font-semibold tracking-tight"),
                rx.el.p(lead, class_name="mt-1 text-muted"),
                *more,
                class_name="min-w-0 flex-1",
            ),
            link(
                promise, to=f"/privacy-policy#{promise}", class_name="text-xs shrink-0", aria_label="Policy " + promise
            ),
            class_name="flex items-start gap-3",
        ),
        rx.el.div(action, class_name="mt-4 pl-7.5"),
        class_name="flex flex-col justify-between",
    )


def _access() -> rx.Component:
    return _right(
        "eye",
        "Access",
        "6.1",
        "A readable copy of everything we hold about you, with why, for how long and who receives it. It prints.",
        link_button("Read your copy", to="/download/copy"),
    )


def _export() -> rx.Component:
    inside = rx.el.details(
        rx.el.summary("What is in it", class_name="mt-2 text-accent w-fit rounded"),
        rx.el.ul(
            *[rx.el.li(line) for line in IN_THE_EXPORT],
            class_name="mt-1.5 list-disc pl-4 space-y-1 text-[0.8125rem] text-muted",
        ),
    )
    return _right(
        "package",
        "Export",
        "6.4",
        "The same for machines: a ZIP that another service, or your own code, can read.",
        FreshLink.create(
            rx.icon("download", size=16, aria_hidden="true"),
            "Export",
            href="/download/export",
            until=RightsState.fresh_until,
            otherwise=f"/confirm?next={HERE}",
            class_name=_LINK,
        ),
        inside,
    )


def _correct() -> rx.Component:
    return _right(
        "pencil",
        "Correct",
        "6.2",
        "Change your name, address, organization or time zone. A change of address is confirmed from both mailboxes.",
        link_button("Go to settings", to="/dashboard/settings"),
    )


def _delete() -> rx.Component:
    return _right(
        "trash-2",
        "Delete",
        "6.3",
        "See first what goes and what the law makes us keep. Then close with 30 days to undo, or erase at once.",
        link_button("Delete account", to=f"{HERE}/delete"),
    )


def _choices() -> rx.Component:
    said = {purpose.id: purpose for purpose in consents.PURPOSES}
    return card(
        rx.el.div(
            *[
                switch(
                    said[name].title,
                    said[name].text,
                    getattr(RightsState, name),
                    on_change=RightsState.opt(name),
                    label=said[name].title,
                )
                for name in ("marketing", "training")
            ],
            class_name="space-y-5",
        ),
        title="Your choices",
        lead="Off until you say otherwise, and withdrawn as easily as given.",
        action=link_button("History and receipts", to=f"{HERE}/consents", size="small"),
    )


def _looks() -> rx.Component:
    return card(
        table(
            RightsState.looks,
            cells,
            label="What others did with your account",
            columns=("What", "By", "When", "Details"),
            phase=RightsState.phase,
            retry=RightsState.load,
            key=lambda row: row.id,
            empty=empty(
                "Nobody but you",
                "When somebody of our staff looks at your account, it is written down, and you read it here.",
                icon="eye-off",
            ),
        ),
        title="Who looked at your data",
        lead="What our staff and our software did with your account.",
        action=link_button("Everything that was done", to=f"{HERE}/trail", size="small"),
    )


def _requests() -> rx.Component:
    return card(
        table(
            RightsState.asked,
            lambda row: (
                rx.el.div(row.kind, rx.el.span(row.handle, class_name="block text-xs text-faint font-mono")),
                badge(row.state, tone=row.tone),
                time(row.received),
                rx.cond(row.due != "", time(row.due, "date"), time(row.answered)),
                rx.el.span(row.outcome, class_name="text-muted"),
            ),
            label="Your privacy requests",
            columns=("Request", "State", "Received", "Answered, or due by", "Outcome"),
            phase=RightsState.phase,
            retry=RightsState.load,
            key=lambda row: row.handle,
            empty=empty(
                "No requests yet",
                "Each use of a right is entered here with the date by which the law wants it answered.",
                icon="inbox",
            ),
        ),
        title="Your requests",
        lead=f"Made here or by mail to {CONTACT}. Kept for 24 months as proof that they were met.",
    )


def _cookies() -> rx.Component:
    return card(
        rows(
            ("Opt-out signal", PrivacySignal.create()),
            (
                "On your device",
                rx.el.span("Only what is needed to serve you. ", link("See each thing, and clear it", to="/cookies")),
            ),
            ("Companies that work for us", link("Who, what for, and where", to="/processors")),
        ),
        title="Cookies and signals",
    )
