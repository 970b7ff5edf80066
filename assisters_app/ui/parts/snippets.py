"""Things to paste: code with a copy button, and a secret shown once."""

from typing import Any

import reflex as rx

from assisters_app.ui.parts.buttons import copy_button


def code(text: str | rx.Var[str], *, label: str = "Copy code", **props: Any) -> rx.Component:
    """Return a block of code to copy."""
    return rx.el.div(
        rx.el.pre(
            rx.el.code(text, class_name="font-mono text-[0.8125rem] leading-6"),
            tab_index=0,
            class_name="overflow-x-auto p-4 pr-0 mr-11",  # ends before the button: code never runs beneath it
        ),
        copy_button(text, label, class_name="absolute right-2 top-2 bg-surface"),
        class_name="relative rounded-xl border border-line bg-raised/60 min-w-0 " + props.pop("class_name", ""),
        **props,
    )


def copyable(text: str | rx.Var[str], label: str, *, auto_focus: bool = False, **props: Any) -> rx.Component:
    """Return one line (an id, an address, a secret shown once) with a button that copies it.

    `auto_focus` is for what takes the place of the button that was pressed: whoever has keys only goes on from there.
    """
    return rx.el.div(
        rx.el.code(text, class_name="font-mono text-[0.8125rem] break-all flex-1 min-w-0"),
        copy_button(text, label, auto_focus=auto_focus),
        class_name="flex items-center gap-2 rounded-lg border border-line bg-raised/60 pl-3 pr-1 py-1 "
        + props.pop("class_name", ""),
        **props,
    )
