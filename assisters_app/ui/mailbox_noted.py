"""What somebody said about their mailbox has been noted."""

import reflex as rx

from assisters_app.ui.parts import link
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Noted",
        "Thank you. There is nothing else to do here.",
        rx.el.p("Whatever happens next is mailed to both addresses, and written into the account's own trail."),
        below=link("To the home page", to="/"),
    )
