"""The docs page."""

import reflex as rx

from assisters_app.ui.parts import code, heading
from assisters_app.ui.shell import public
from assisters_app.ui.words import IN_ONE_SENTENCE, first_call_python


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading("docs", lead=IN_ONE_SENTENCE),
            code(first_call_python()),
            class_name="max-w-6xl mx-auto p-6 space-y-6",
        )
    )
