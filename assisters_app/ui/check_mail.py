"""What comes after a form whose answer goes by mail: the same for everybody, account or not."""

import reflex as rx

from assisters_app.ui.parts import button, field, link, post_form
from assisters_app.ui.shell import alone


def page() -> rx.Component:
    """Draw the page."""
    return alone(
        "Check your mail",
        "If that address can be used here, a message is on its way to it. It holds a link to go on with.",
        rx.el.p(
            "Nothing there after a minute? Look among unwanted mail, or ask for the confirmation of your address again."
        ),
        post_form(
            field("E-mail address", "email", type="email", auto_complete="username", required=True),
            button("Send the confirmation again", type="submit", kind="secondary", class_name="w-full"),
            action="/auth/verify/again",
            class_name="mt-4 space-y-4",
        ),
        below=rx.fragment(
            "Waiting for a new password? ",
            link("Ask for that link again", to="/forgot"),
            rx.el.span(link("Back to signing in", to="/sign-in"), class_name="block mt-2"),
        ),
    )
