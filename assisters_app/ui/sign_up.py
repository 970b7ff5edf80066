"""Create an account."""

import reflex as rx

from assisters_app.ui.parts import button, field, link, new_password, post_form
from assisters_app.ui.providers import providers
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Create an account",
        "Free to start. No card is asked for.",
        post_form(
            field("E-mail address", "email", type="email", auto_complete="username", required=True, auto_focus=True),
            new_password(),
            button("Create account", type="submit", size="large", class_name="w-full"),
            rx.el.p(
                "We keep your address and your password's hash, and send you only what the service needs. ",
                "The links below say what happens with your data.",
                class_name="text-xs text-muted",
            ),
            action="/auth/sign-up",
        ),
        providers(),
        below=rx.fragment("Already have one? ", link("Sign in", to="/sign-in")),
    )
