"""Confirm an address, having followed the link in a mail (its token is in a cookie by now)."""

import reflex as rx

from assisters_app.ui.parts import button, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Confirm your address",
        "One click, and the account is open.",
        post_form(
            button("Confirm my address", type="submit", size="large", class_name="w-full", auto_focus=True),
            action="/auth/verify",
        ),
        below=link("Ask for another link", to="/check-mail"),
    )
