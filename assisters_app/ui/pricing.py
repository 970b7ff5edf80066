"""Pricing: plans, what models cost, and what a top-up adds, all from the data that bills."""

import reflex as rx

from assisters_app.billing import plans
from assisters_app.billing.plans import Plan
from assisters_app.ui.parts import badge, card, heading, link_button
from assisters_app.ui.price_list import PricesState, price_list
from assisters_app.ui.shell import public

load = PricesState.load


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Pricing",
                lead="Pay for what you use, from a balance you fill. Every line of a bill can be worked out again.",
            ),
            rx.el.div(*[_plan(plan) for plan in plans.PLANS.values()], class_name="grid md:grid-cols-3 gap-4"),
            card(
                price_list(),
                title="Models",
                lead="Dollars per million tokens, or as said. A new price is a new version, never a changed one.",
            ),
            card(_top_ups(), title="Filling the balance", lead="Payment is Stripe's. What is added on top is ours."),
            class_name="max-w-6xl mx-auto px-4 sm:px-6 py-10 sm:py-14 space-y-8",
        )
    )


def _plan(plan: Plan) -> rx.Component:
    limits = (
        (f"{plan.requests_per_minute:,}", "requests a minute"),
        (f"{plan.tokens_per_minute:,}", "tokens a minute"),
    )
    return card(
        rx.el.ul(
            *[
                rx.el.li(
                    rx.el.span(count, class_name="font-semibold tabular-nums"),
                    " ",
                    rx.el.span(of_what, class_name="text-muted"),
                    class_name="py-2 border-t border-line first:border-0",
                )
                for count, of_what in limits
            ]
        ),
        rx.el.div(
            link_button(
                "Get started", to="/sign-up", kind="primary" if plan.id == "free" else "secondary", class_name="w-full"
            ),
            class_name="mt-4",
        ),
        title=plan.title,
        lead=_how_to_get(plan),
        action=badge("no card asked for", tone="good") if plan.id == "free" else None,
    )


def _how_to_get(plan: Plan) -> str:
    if not plan.from_paid_cents:
        return "From the start."
    return f"By itself, once you have topped up ${plan.from_paid_cents // 100:,} in all."


def _top_ups() -> rx.Component:
    return rx.el.ul(*[_top_up(cents) for cents in plans.TOP_UPS], class_name="grid grid-cols-2 sm:grid-cols-5 gap-3")


def _top_up(cents: int) -> rx.Component:
    bonus = plans.bonus_cents(cents)
    more = (
        rx.el.p(f"+ ${bonus / 100:,.2f}", class_name="text-good")
        if bonus
        else rx.el.p("as paid", class_name="text-faint")
    )
    return rx.el.li(
        rx.el.p(f"${cents // 100:,}", class_name="text-lg font-semibold tracking-tight tabular-nums"),
        more,
        class_name="rounded-lg border border-line px-4 py-3 text-[0.8125rem]",
    )
