"""Sign in."""

import reflex as rx

from assisters_app.ui.parts import button, field, from_query, link, password, post_form
from assisters_app.ui.providers import providers
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Sign in",
        "Good to see you again.",
        post_form(
            from_query("next"),
            field("E-mail address", "email", type="email", auto_complete="username", required=True, auto_focus=True),
            password("Password", "password", auto_complete="current-password"),
            button("Sign in", type="submit", size="large", class_name="w-full"),
            action="/auth/sign-in",
        ),
        rx.el.p(link("Forgot your password?", to="/forgot"), class_name="mt-4 text-center"),
        providers(),
        below=rx.fragment("New here? ", link("Create an account", to="/sign-up")),
    )
