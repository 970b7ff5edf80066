"""Say yes to a change of address, having followed the link in a mail (its token is in a cookie by now)."""

import reflex as rx

from assisters_app.ui.parts import button, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Confirm the change of your address",
        "Both addresses say yes: the one you have and the one you want. Then you sign in with the new one, and our mail goes "
        "there.",
        post_form(
            button("Yes, change it", type="submit", size="large", class_name="w-full", auto_focus=True),
            action="/auth/confirm-email",
        ),
        below=link("Back to the dashboard", to="/dashboard"),
    )
