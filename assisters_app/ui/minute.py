"""The last minute against the plan's limits, looked at again every few seconds while it is in view, and only then."""

from typing import Any

import reflex as rx

from assisters_app.accounts import organizations
from assisters_app.base.errors import Refused
from assisters_app.billing.plans import PLANS
from assisters_app.gateway import admission
from assisters_app.gateway.scripts import Scripts
from assisters_app.ui.parts import card, number, skeleton
from assisters_app.ui.parts.browser import Pulse
from assisters_app.ui.session import AppState, access, signed_in

EVERY = 4_000  # milliseconds between two looks


class MinuteState(AppState):
    """What all keys together have used of the plan's limits per minute. A limit of 0 stands for none."""

    minute: str = "loading"  # "loading" | "failed" | "ready"
    requests: int = 0
    requests_limit: int = 0
    tokens: int = 0
    tokens_limit: int = 0
    wait: int = 0  # seconds until the oldest request is forgotten

    @rx.event
    @access("member")
    async def look(self) -> None:
        """Look, without counting anything. What fails is looked at again soon, so that nothing is said of it."""
        try:
            async with signed_in() as (tx, me):
                plan = PLANS.get((await organizations.view(tx, me)).plan)
                used = await admission.used(Scripts(), me.organization_id)
        except Refused:
            self.minute = "failed"
            return
        self.requests, self.tokens, self.wait = used
        self.requests_limit = plan.requests_per_minute if plan else 0
        self.tokens_limit = plan.tokens_per_minute if plan else 0
        self.minute = "ready"


def last_minute() -> rx.Component:
    """Return the card; it brings its own clock."""
    state = MinuteState
    return card(
        Pulse.create(every=EVERY, on_beat=state.look),
        rx.match(
            state.minute,
            (
                "ready",
                rx.el.div(
                    _meter("Requests", state.requests, state.requests_limit),
                    _meter("Tokens", state.tokens, state.tokens_limit),
                    class_name="grid sm:grid-cols-2 gap-x-8 gap-y-4",
                ),
            ),
            ("failed", rx.el.p("The limits cannot be read just now.", class_name="text-muted")),
            rx.el.div(skeleton("h-10 w-full"), class_name="h-10"),
        ),
        title="Last minute",
        lead=rx.match(
            state.minute,
            (
                "ready",
                rx.cond(
                    state.requests > 0,
                    rx.fragment("All keys together. The oldest request is forgotten in ", state.wait, " s."),
                    rx.fragment("All keys together, against the limits of your plan."),
                ),
            ),
            rx.fragment("All keys together, against the limits of your plan."),
        ),
    )


def _meter(name: str, used: Any, limit: Any) -> rx.Component:
    part = rx.cond(limit > 0, rx.cond(used < limit, used * 100 / limit, 100), 0)
    tone = rx.cond(part >= 100, "bg-bad", rx.cond(part >= 80, "bg-warn", "bg-accent"))  # noqa: PLR2004 (percent)
    return rx.el.div(
        rx.el.div(
            rx.el.span(name, class_name="font-medium"),
            rx.el.span(
                number(used),
                rx.cond(limit > 0, rx.fragment(" of ", number(limit)), ", no limit"),
                class_name="text-muted tabular-nums",
            ),
            class_name="flex justify-between gap-4",
        ),
        rx.el.div(
            rx.el.div(
                class_name="h-full rounded-full transition-[width] duration-500 " + tone,
                style={"width": part.to_string() + "%"},
            ),
            aria_label=f"{name} in the last minute",
            custom_attrs={
                "role": "meter",
                "aria-valuemin": 0,
                "aria-valuenow": used,
                "aria-valuemax": rx.cond(limit > 0, limit, used),
            },
            class_name="mt-2 h-1.5 rounded-full bg-line overflow-hidden",
        ),
    )
