"""Stop the replacement of a mailbox that is not lost at all; the link's token is in a cookie by now."""

import reflex as rx

from assisters_app.ui.parts import button, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Keep your e-mail address?",
        "Somebody told us that you can no longer read this mailbox, and asked for another address for your account. If that was "
        "not you, stop it here: nothing has changed.",
        post_form(
            button("Stop it, keep my address", type="submit", size="large", class_name="w-full", auto_focus=True),
            action="/auth/keep-mailbox",
        ),
        below=link("To the home page", to="/"),
    )
