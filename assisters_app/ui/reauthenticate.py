"""Prove again who one is, before what cannot be undone."""

import reflex as rx

from assisters_app.ui.parts import button, from_query, link, password, post_form
from assisters_app.ui.providers import providers
from assisters_app.ui.session import AppState
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Confirm that it is you",
        rx.fragment("You are signed in as ", rx.el.span(AppState.email, class_name="font-medium text-ink"), "."),
        post_form(
            from_query("next"),
            password("Password", "password", auto_complete="current-password", auto_focus=True),
            button("Confirm", type="submit", size="large", class_name="w-full"),
            action="/auth/reauthenticate",
        ),
        providers(intent="reauthenticate"),
        below=link("Back to the dashboard", to="/dashboard"),
    )
