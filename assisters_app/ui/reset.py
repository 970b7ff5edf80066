"""Choose a new password, having followed the link in a mail (its token is in a cookie by now)."""

import reflex as rx

from assisters_app.ui.parts import button, link, new_password, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Choose a new password",
        "Every browser that is signed in now will be signed out.",
        post_form(
            new_password(),
            button("Save the new password", type="submit", size="large", class_name="w-full"),
            action="/auth/reset",
        ),
        below=link("Ask for another link", to="/forgot"),
    )
