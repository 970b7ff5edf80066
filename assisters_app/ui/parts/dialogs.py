"""Dialogs: for what is made, and for what is destroyed."""

from typing import Any

import reflex as rx

from assisters_app.ui.parts.browser import Modal
from assisters_app.ui.parts.buttons import button
from assisters_app.ui.parts.fields import form

_LOOK = "w-[92vw] max-w-lg max-h-[88dvh] overflow-y-auto rounded-xl border border-line bg-surface shadow-over"


def modal(
    *children: Any,
    open: rx.Var[bool],
    on_close: Any,
    title: str | rx.Var[str],
    description: Any = "",
    **props: Any,
) -> rx.Component:
    """Return a dialog that a State opens (`open`) and that asks `on_close` when the person leaves it."""
    return Modal.create(
        *children,
        open=open,
        on_close=on_close,
        title=title,
        description=description,
        class_name=_LOOK + " " + props.pop("class_name", ""),
    )


def confirm(
    *what_happens: Any,
    open: rx.Var[bool],
    on_close: Any,
    on_confirm: Any,
    title: str | rx.Var[str],
    act: str,
) -> rx.Component:
    """Return a dialog before something destructive: what will happen, to what, and whether it can be undone.

    `act` names the deed on the red button: "Revoke key", never "OK".
    """
    return modal(
        form(
            rx.el.div(*what_happens, class_name="space-y-2"),
            dialog_actions(button(act, kind="danger", type="submit"), on_close=on_close),
            on_submit=on_confirm,
        ),
        open=open,
        on_close=on_close,
        title=title,
    )


def dialog_actions(*actions: rx.Component, on_close: Any) -> rx.Component:
    """Return the foot of a dialog: Cancel, then what it is for."""
    return rx.el.div(
        button("Cancel", kind="secondary", on_click=on_close),
        *actions,
        class_name="flex flex-wrap justify-end gap-2 pt-2",
    )
