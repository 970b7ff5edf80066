"""The landing page: what it is, the call that shows it, what it costs, and the promises, checked as one looks."""

from typing import Any

import reflex as rx

from assisters_app.privacy import proving
from assisters_app.privacy.policies import policy
from assisters_app.ui.first_call import first_call
from assisters_app.ui.parts import card, link, link_button, time
from assisters_app.ui.price_list import PricesState, price_list
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public
from assisters_app.ui.words import IN_ONE_SENTENCE

KEPT = (
    ("4.1", "Accounts"),
    ("4.2", "Request logs"),
    ("4.3", "Request content"),
    ("4.4", "Usage analytics"),
    ("4.5", "Billing records"),
)
REASONS = (
    (
        "plug",
        "Change two lines",
        "The official OpenAI clients work as they are: another address, another key, everything else stays.",
    ),
    (
        "receipt-text",
        "A bill that adds up",
        "Every call is counted to the billionth of a dollar, and every line of a bill can be worked out again. The balance holds before the money is gone.",
    ),
    (
        "shield-check",
        "Privacy that is built in",
        "One mark on a column decides what is exported, what is erased and when it goes; the policy is read from the same marks.",
    ),
)


class LandingState(AppState):
    """What the checks of the privacy policy say at this moment; `untrue` counts sentences, -1 while that is not known."""

    untrue: int = -1
    checked_at: str = ""

    @rx.event
    @access("public")
    async def check(self) -> None:
        """Read what the checks found last, and how long ago the oldest of their findings is."""
        async with for_anyone(self) as tx:
            standing = await proving.standing(tx)
        looked = [result.looked_at for sentence in standing for result in sentence.results if result.looked_at]
        self.untrue = sum(1 for sentence in standing if not sentence.true)
        self.checked_at = min(looked).isoformat() if looked else ""


load = [PricesState.load, LandingState.check]


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            _hero(),
            rx.el.section(*[_reason(*reason) for reason in REASONS], class_name="grid md:grid-cols-3 gap-x-8 gap-y-10"),
            _prices(),
            _promises(),
            class_name="max-w-6xl mx-auto px-4 sm:px-6 py-12 sm:py-20 space-y-20 sm:space-y-28",
        )
    )


def _hero() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h1(
                "The model API that keeps its word",
                class_name="text-4xl sm:text-5xl font-semibold tracking-tight leading-[1.08] text-balance",
            ),
            rx.el.p(IN_ONE_SENTENCE, class_name="mt-5 text-lg text-muted text-pretty max-w-md"),
            rx.el.div(
                link_button("Get started", to="/sign-up", kind="primary", size="large"),
                link_button("Read the docs", to="/docs", size="large"),
                class_name="mt-8 flex flex-wrap gap-3",
            ),
            rx.el.p("Free to start. No card is asked for.", class_name="mt-4 text-[0.8125rem] text-muted"),
            class_name="min-w-0",
        ),
        rx.el.div(
            rx.el.p("Your first call", class_name="mb-3 font-medium"),
            first_call(name="landing-language"),
            class_name="min-w-0 rounded-2xl border border-line bg-surface shadow-card p-4 sm:p-5",
        ),
        class_name="grid lg:grid-cols-[1fr_1.15fr] items-center gap-10 lg:gap-16",
    )


def _reason(icon: str, title: str, text: str) -> rx.Component:
    return rx.el.div(
        rx.icon(icon, size=20, aria_hidden="true", class_name="text-accent"),
        rx.el.h2(title, class_name="mt-3 text-base font-semibold tracking-tight"),
        rx.el.p(text, class_name="mt-1.5 text-muted text-pretty"),
    )


def _prices() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2("Prices", class_name="text-2xl font-semibold tracking-tight"),
            rx.el.p(
                "Dollars per million tokens, or as said, from the same data that bills. ",
                link("Plans and top-ups", to="/pricing"),
                class_name="mt-1 text-muted",
            ),
        ),
        card(price_list(), class_name="mt-6"),
    )


def _promises() -> rx.Component:
    return rx.el.section(
        rx.el.h2("What we keep, and for how long", class_name="text-2xl font-semibold tracking-tight"),
        rx.el.p(
            "Word for word from the privacy policy, each sentence of which is checked against the running system, over and over.",
            class_name="mt-1 text-muted max-w-prose",
        ),
        rx.el.dl(
            *[_promise(id_, what) for id_, what in KEPT], class_name="mt-6 grid sm:grid-cols-2 lg:grid-cols-5 gap-3"
        ),
        rx.el.p(
            rx.match(
                LandingState.untrue,
                (-1, rx.el.span("Checking …", class_name="text-muted")),
                (0, _verdict("bg-good", "Every sentence of the policy is true at the moment. ")),
                _verdict(
                    "bg-bad",
                    rx.cond(
                        LandingState.untrue == 1,
                        "One sentence of the policy is not currently true. ",
                        rx.fragment(LandingState.untrue, " sentences of the policy are not currently true. "),
                    ),
                ),
            ),
            role="status",
            class_name="mt-4 min-h-6",
        ),
    )


def _promise(id_: str, what: str) -> rx.Component:
    return rx.el.div(
        rx.el.dt(what, class_name="text-[0.8125rem] text-muted"),
        rx.el.dd(_limit(id_), class_name="mt-1 font-medium text-balance"),
        class_name="rounded-xl border border-line bg-surface shadow-card p-4",
    )


def _limit(id_: str) -> str:
    """Return what the policy says after the colon: "30 days", "7 years (legal requirement)"."""
    return policy.CURRENT.sentence(id_).partition(": ")[2]


def _verdict(colour: str, text: Any) -> rx.Component:
    return rx.el.span(
        rx.el.span(class_name="inline-block size-2 rounded-full mr-2 " + colour, aria_hidden="true"),
        text,
        rx.el.span("Checked ", time(LandingState.checked_at, "ago", "never"), ". ", class_name="text-muted"),
        link("See how", to="/privacy-policy"),
    )
