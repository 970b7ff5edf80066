"""A switch: one thing that is on or off, with the words it stands for beside it."""

from typing import Any

import reflex as rx

_TRACK = (
    "relative inline-flex shrink-0 items-center h-6 w-10 rounded-full border transition-colors "
    "border-strong bg-raised aria-checked:bg-good aria-checked:border-good "
    "before:content-[''] before:absolute before:left-1 before:size-4 before:rounded-full before:bg-strong "
    "before:transition-transform aria-checked:before:translate-x-4 aria-checked:before:bg-inverse "
)


def switch(title: Any, text: Any, on: Any, *, on_change: Any, label: str | rx.Var[str]) -> rx.Component:
    """Return a switch that asks `on_change`; `label` is what it is called for those who cannot see what is beside it."""
    return rx.el.div(
        rx.el.div(
            rx.el.p(title, class_name="font-medium"),
            rx.el.p(text, class_name="mt-0.5 text-muted max-w-prose"),
            class_name="min-w-0",
        ),
        rx.el.button(
            type="button",
            role="switch",
            aria_checked=rx.cond(on, "true", "false"),
            aria_label=label,
            on_click=on_change,
            class_name=_TRACK,
        ),
        class_name="flex items-start justify-between gap-6",
    )
