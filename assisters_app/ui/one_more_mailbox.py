"""One of two addresses has said yes to a change; the other has not yet."""

import reflex as rx

from assisters_app.ui.parts import link
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "One more mailbox",
        "This address has said yes. Now follow the link that was sent to your other one: until then nothing changes.",
        rx.el.p("Nothing there? Look among unwanted mail, or ask for the change once more in your settings."),
        below=link("To your settings", to="/dashboard/settings"),
    )
