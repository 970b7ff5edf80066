"""Cookies: everything the product may leave on a device, whether it is there now, and how to clear it. For everyone."""

from dataclasses import dataclass
from typing import Self

import reflex as rx

from assisters_app.privacy.choices import cookies
from assisters_app.ui.parts import anchor, badge, card, empty, heading, link, table
from assisters_app.ui.parts.privacy import OnDevice, PrivacySignal
from assisters_app.ui.session import AppState, access
from assisters_app.ui.shell import public

KINDS = {"cookie": "cookie", "session": "session storage", "local": "local storage"}
_CLEAR = "h-6 px-2 rounded-md border border-line text-xs hover:bg-raised"


@dataclass(frozen=True, slots=True)
class StoredView:
    """One thing that may be kept on the device."""

    identifier: str
    type: str
    kind: str
    purpose: str
    until: str
    why_exempt: str
    exempt: bool

    @classmethod
    def of(cls, stored: cookies.Stored) -> Self:
        """Return what everyone sees of it."""
        return cls(
            stored.identifier,
            stored.type,
            KINDS[stored.type],
            stored.purpose,
            stored.until,
            stored.why_exempt,
            stored.exempt,
        )


class CookiesState(AppState):
    """The inventory of this installation: over TLS the session's cookie has another name."""

    phase: str = "loading"
    stored: list[StoredView] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read the inventory."""
        self.stored = [StoredView.of(one) for one in cookies.stored()]
        self.phase = "ready"


load = CookiesState.load


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Cookies",
                lead="We keep on your device what is needed to serve you, and nothing to follow you: no analytics, no "
                "advertising, no third parties. So there is no banner to click away.",
            ),
            _inventory(),
            card(PrivacySignal.create(class_name="font-medium"), _signal(), title="Opt-out signal"),
            card(
                rx.el.p(
                    "Nothing here is optional in the sense of the law, so there is nothing to agree to. Should that change, "
                    "you will be asked first, and no is as easy as yes. What you chose about marketing and training is in ",
                    link("your privacy settings", to="/dashboard/privacy/consents"),
                    ".",
                    class_name="max-w-prose",
                ),
                title="Settings",
                lead="Clear what you like above; sign out to remove the session's cookie.",
            ),
            class_name="max-w-5xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _inventory() -> rx.Component:
    return card(
        table(
            CookiesState.stored,
            lambda one: (
                rx.el.div(
                    rx.el.code(one.identifier, class_name="font-mono text-[0.8125rem] font-medium"),
                    rx.el.span(one.kind, class_name="block text-xs text-faint"),
                ),
                rx.el.p(one.purpose, class_name="min-w-48"),
                rx.el.span(one.until, class_name="text-muted"),
                rx.el.div(
                    rx.cond(one.exempt, badge("not needed", tone="good"), badge("asked for", tone="warn")),
                    rx.el.p(one.why_exempt, class_name="mt-1 text-xs text-faint min-w-40"),
                ),
                OnDevice.create(
                    identifier=one.identifier, kind=one.type, class_name="whitespace-nowrap", button_class=_CLEAR
                ),
            ),
            label="What may be on your device",
            columns=("Name", "What for", "How long", "Consent", "On this device"),
            phase=CookiesState.phase,
            retry=CookiesState.load,
            key=lambda one: one.identifier,
            empty=empty("Nothing", "We keep nothing on your device."),
        ),
        title="What may be on your device",
        lead="The whole list. A test compares it with what a real browser holds after every page. Nothing else is stored.",
        action=rx.el.span(
            link("JSON", to="/download/storage.json"), " · ", link("as the IAB writes it", to="/download/cookies.json")
        ),
    )


def _signal() -> rx.Component:
    return rx.el.p(
        "We sell and share no personal data, so the signal has nothing to switch off here; we honour it all the same and "
        "say so. Our answer for programs is at ",
        anchor("/.well-known/gpc.json", href="/.well-known/gpc.json", class_name="text-accent underline"),
        ".",
        class_name="mt-1.5 text-muted max-w-prose",
    )
