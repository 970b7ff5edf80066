"""Your privacy rights: each one is a click away from here."""

from dataclasses import dataclass, replace
from typing import Any, Self

import reflex as rx

from assisters_app.accounts import reauthentication
from assisters_app.privacy.choices import consents
from assisters_app.privacy.registers import trails
from assisters_app.privacy.rights import progress, requests
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import badge, card, empty, heading, link, link_button, rows, table, time
from assisters_app.ui.parts.browser import Pulse
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
_A = "text-accent underline underline-offset-2"
EVERY = 1_000  # milliseconds between two looks at how far an export is
PATIENCE = 15  # looks at an export of which nothing is heard
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
            answered=iso(request.answered_at),
            outcome=request.outcome,
        )


@dataclass(frozen=True, slots=True)
class ExportView:
    """How far an export is, in words. `state` is "" when none was made within the hour."""

    id: str = ""
    state: str = ""
    words: str = ""
    part: int = 0  # percent of the rows that are read
    running: bool = False

    @classmethod
    def of(cls, seen: progress.Seen | None) -> Self:
        """Return what its person sees of an export."""
        if seen is None:
            return cls()
        return cls(seen.id, seen.state, _how_far(seen), seen.part, seen.state in ("waiting", "reading", "sending"))


NO_EXPORT = ExportView()


def _how_far(seen: progress.Seen) -> str:
    if seen.state == "waiting":
        return "Your export waits for its turn …"
    if seen.state == "reading":
        return f"{seen.rows // 2:,} of {seen.of // 2:,} rows read. {_left(seen)}"
    if seen.state == "sending":
        return f"Everything is read. {_size(seen.sent)} of {_size(seen.made)} have reached you."
    if seen.state == "done":
        return f"Done: {seen.of // 2:,} rows in both forms, {_size(seen.made)}. Nothing of it stays on our side."
    return f"The download broke off after {_size(seen.sent)}. Nothing of it stays on our side; start it again."


def _left(seen: progress.Seen) -> str:
    """Say how long it may still take, once that can be told."""
    if seen.rows * 20 < seen.of or seen.seconds < 2:  # noqa: PLR2004 (a twentieth, and two seconds)
        return "It starts at once and goes on by itself."
    seconds = seen.seconds * (seen.of - seen.rows) / seen.rows
    return f"About {max(1, round(seconds))} s left." if seconds < 90 else f"About {round(seconds / 60)} min left."  # noqa: PLR2004


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{max(count / 1e3, 0.1):,.1f} kB"  # noqa: PLR2004


class RightsState(AppState):
    """What is in force, what was asked for, and who looked lately."""

    phase: str = "loading"
    marketing: bool = False
    training: bool = False
    asked: list[RequestView] = []
    looks: list[EntryRow] = []
    fresh_until: str = ""
    export: ExportView = NO_EXPORT
    _before: str = ""  # the export that was shown when the latest was asked for
    _looks: int = 0

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read what this page shows."""
        async with loading(self) as (tx, me):
            self.export = ExportView.of(await progress.latest(me.account_id))
            self.fresh_until = (me.reauthenticated_at + reauthentication.RECENT).isoformat()
            given = {choice.purpose.id: choice.given for choice in await consents.choices(tx, me)}
            self.marketing, self.training = given["marketing"], given["training"]
            self.asked = [RequestView.of(request) for request in await requests.mine(tx, me)]
            looked = await trails.mine(tx, me, others=True)
            self.looks = [EntryRow.of(entry) for entry in looked.entries[:LATELY]]

    @rx.event
    @access("member")
    def began(self) -> None:
        """Look at how far the export is from now on: its download was asked for a moment ago."""
        self._before, self._looks = self.export.id, 0
        self.export = replace(NO_EXPORT, state="waiting", words="Your export begins …", running=True)

    @rx.event
    @access("member")
    async def look(self) -> Any:
        """See how far it is. When it has ended, it stands among the requests."""
        async with signed_in() as (_, me):
            seen = ExportView.of(await progress.latest(me.account_id))
        self._looks += 1
        if seen.id in ("", self._before):  # the download has not reached the server yet, or was refused there
            if self._looks > PATIENCE:
                self.export = replace(NO_EXPORT, state="broken", words="The download has not begun. Start it again.")
            return None
        self.export = seen
        return None if seen.running else RightsState.load

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
        rx.el.div(
            link_button("Read your copy", to="/download/copy"),
            _download("PDF", "/download/copy.pdf", label="Download your copy as PDF"),
            class_name="flex flex-wrap gap-2",
        ),
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
        rx.el.div(
            _download("Export", "/download/export", on_click=RightsState.began),
            rx.cond(RightsState.export.state != "", _progress()),
        ),
        inside,
    )


def _download(text: str, href: str, label: str = "", **props: Any) -> rx.Component:
    return FreshLink.create(
        rx.icon("download", size=16, aria_hidden="true"),
        text,
        href=href,
        until=RightsState.fresh_until,
        otherwise=f"/confirm?next={HERE}",
        class_name=_LINK,
        label=label or text,
        **props,
    )


def _progress() -> rx.Component:
    export = RightsState.export
    return rx.el.div(
        rx.cond(export.running, Pulse.create(every=EVERY, on_beat=RightsState.look)),
        rx.cond(
            export.running,
            rx.el.div(
                rx.el.div(
                    class_name="h-full rounded-full bg-accent transition-[width] duration-500 motion-reduce:transition-none",
                    style={"width": export.part.to_string() + "%"},
                ),
                aria_label="How much of your data is read",
                custom_attrs={
                    "role": "progressbar",
                    "aria-valuemin": 0,
                    "aria-valuemax": 100,
                    "aria-valuenow": export.part,
                },
                class_name="mb-2 h-1.5 rounded-full bg-line overflow-hidden",
            ),
        ),
        rx.el.p(
            export.words,
            role="status",
            class_name=rx.cond(export.state == "broken", "text-[0.8125rem] text-bad", "text-[0.8125rem] text-muted"),
        ),
        class_name="mt-3",
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
        action=link_button("All of them, or ask for something", to=f"{HERE}/requests", size="small"),
    )


def _cookies() -> rx.Component:
    return card(
        rows(
            ("Opt-out signal", PrivacySignal.create()),
            (
                "On your device",
                rx.el.span("Only what is needed to serve you. ", link("See each thing, and clear it", to="/cookies")),
            ),
            (
                "What is said in your calls",
                link("Not kept, unless you turn it on for a key", to=f"{HERE}/content"),
            ),
            (
                "On our servers",
                rx.el.span(
                    link("Every column that is stored", to="/privacy/inventory"),
                    ", and the ",
                    link("record of what is done with it", to="/privacy/record"),
                ),
            ),
            ("Companies that work for us", link("Who, what for, and where", to="/processors")),
        ),
        title="Cookies and signals",
    )
