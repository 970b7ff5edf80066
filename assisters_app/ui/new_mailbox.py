"""Say that a mailbox is one's own, for an account whose old mailbox is lost; the link's token is in a cookie by now."""

import reflex as rx

from assisters_app.ui.parts import button, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Is this mailbox yours?",
        "You asked us for another e-mail address, because you can no longer read the old one. A second person of ours looks at "
        "it next, and seven days later this address counts.",
        post_form(
            button("Yes, this mailbox is mine", type="submit", size="large", class_name="w-full", auto_focus=True),
            action="/auth/new-mailbox",
        ),
        below=link("To the home page", to="/"),
    )
