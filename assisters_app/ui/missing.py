"""What one sees at an address where there is nothing."""

import reflex as rx

from assisters_app.ui.parts import link_button
from assisters_app.ui.shell import public


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            rx.el.p("404", class_name="text-faint tabular-nums"),
            rx.el.h1("There is no such page", class_name="mt-1 text-2xl font-semibold tracking-tight"),
            rx.el.p(
                "The address may be mistyped, or what stood here has moved.", class_name="mt-2 text-muted text-pretty"
            ),
            rx.el.div(
                link_button("Go to the start", to="/", kind="primary"),
                link_button("Read the docs", to="/docs"),
                class_name="mt-6 flex flex-wrap justify-center gap-2",
            ),
            class_name="max-w-md mx-auto px-4 py-24 sm:py-32 text-center",
        )
    )
