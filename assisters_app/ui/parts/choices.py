"""The same thing in several forms, one shown at a time: a snippet in Python, Node or curl.

Native radio buttons: arrow keys, focus and what is chosen come with them, and nothing is asked of the server.
"""

from typing import Any

import reflex as rx

_SHOWN = (  # written out, because Tailwind finds class names by reading
    "hidden group-has-[[data-form=a]:checked]/choices:block mt-3",
    "hidden group-has-[[data-form=b]:checked]/choices:block mt-3",
    "hidden group-has-[[data-form=c]:checked]/choices:block mt-3",
)
_CHOICE = (
    "relative inline-flex items-center h-7 px-2.5 rounded-md text-[0.8125rem] text-muted cursor-pointer hover:text-ink "
    "has-checked:bg-surface has-checked:text-ink has-checked:shadow-card "
    "has-focus-visible:outline-2 has-focus-visible:outline-accent"
)


def choices(name: str, *forms: tuple[str, Any], label: str) -> rx.Component:
    """Return up to three (title, component) pairs, of which the first is shown until another is chosen.

    `name` tells this group of radio buttons from others on the page; `label` says what is being chosen.
    """
    switch = rx.el.div(
        *[_choice(name, "abc"[n], title) for n, (title, _) in enumerate(forms)],
        role="radiogroup",
        aria_label=label,
        class_name="inline-flex rounded-lg border border-line bg-raised/60 p-0.5",
    )
    shown = [rx.el.div(form, class_name=_SHOWN[n]) for n, (_, form) in enumerate(forms)]
    return rx.el.div(switch, *shown, class_name="group/choices min-w-0")


def _choice(name: str, letter: str, title: str) -> rx.Component:
    return rx.el.label(
        rx.el.input(
            type="radio",
            name=name,
            default_checked=letter == "a",
            custom_attrs={"data-form": letter},
            class_name="sr-only",
        ),
        title,
        class_name=_CHOICE,
    )
