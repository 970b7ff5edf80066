"""Confirm a new address, having followed the link in a mail (its token is in a cookie by now)."""

import reflex as rx

from assisters_app.ui.parts import button, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Confirm your new address",
        "From then on you sign in with it, and our mail goes there.",
        post_form(
            button("Use this address", type="submit", size="large", class_name="w-full", auto_focus=True),
            action="/auth/confirm-email",
        ),
        below=link("Back to the dashboard", to="/dashboard"),
    )
