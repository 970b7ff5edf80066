"""Ask for a link to choose a new password."""

import reflex as rx

from assisters_app.ui.parts import button, field, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Reset your password",
        "Tell us your address, and we send a link that works once, for an hour.",
        post_form(
            field("E-mail address", "email", type="email", auto_complete="username", required=True, auto_focus=True),
            button("Send the link", type="submit", size="large", class_name="w-full"),
            action="/auth/forgot",
        ),
        below=link("Back to signing in", to="/sign-in"),
    )
