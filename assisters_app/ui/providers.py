"""Buttons for signing in with somebody else's account, for the providers that this run knows."""

import reflex as rx

from assisters_app.base.settings import settings
from assisters_app.ui.parts import button, post_form
from assisters_app.ui.parts.fields import from_query
from assisters_app.ui.session import AppState, access


class ProvidersState(AppState):
    """Which providers there are: known when it runs, not when it is built."""

    offered: list[dict[str, str]] = []

    @rx.event
    @access("public")
    async def look(self) -> None:
        """Learn the providers."""
        self.offered = [{"name": client.name, "title": client.title} for client in settings().oauth_clients]


def providers(intent: str = "sign-in") -> rx.Component:
    """Return the buttons, under a rule, or nothing when there are none; `intent` is "sign-in" or "reauthenticate"."""
    return rx.el.div(
        rx.cond(
            ProvidersState.offered.length() > 0,
            rx.el.div(
                rx.el.p("or", class_name="my-5 text-center text-xs text-faint"),
                rx.el.div(rx.foreach(ProvidersState.offered, lambda one: _button(one, intent)), class_name="space-y-2"),
            ),
        ),
        on_mount=ProvidersState.look,
    )


def _button(provider: rx.Var[dict[str, str]], intent: str) -> rx.Component:
    return post_form(
        rx.el.input(type="hidden", name="intent", value=intent),
        from_query("next"),
        button("Continue with ", provider["title"], type="submit", kind="secondary", size="large", class_name="w-full"),
        action="/auth/oauth/" + provider["name"],
        class_name="",
        key=provider["name"],
    )
