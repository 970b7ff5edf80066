"""Where one lands after closing an account: signed out, with the way back."""

import reflex as rx

from assisters_app.ui.parts import link_button
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Your account is closed",
        "You are signed out everywhere, and your API keys no longer work.",
        rx.el.p(
            "We have sent you a mail with the day until which you can change your mind. Until then, sign in and undo it "
            "with one click. After that everything is erased, and a receipt comes by mail."
        ),
        rx.el.div(
            link_button("Sign in and undo", to="/sign-in?next=/dashboard/privacy", kind="primary", class_name="w-full"),
            class_name="mt-5",
        ),
    )
