"""What one fills in. Labels are always visible; a hint and an error are tied to their field."""

from collections.abc import Sequence
from typing import Any

import reflex as rx

from assisters_app.ui.parts.browser import PasswordInput, PostForm, QueryField
from assisters_app.ui.parts.cards import _given

BOX = (
    "block w-full h-10 sm:h-9 rounded-lg border border-strong/60 bg-surface px-3 text-base sm:text-sm "
    "hover:border-strong focus:border-accent aria-invalid:border-bad disabled:opacity-60 "
)


def field(label: str, name: str, *, hint: Any = "", error: Any = "", **props: Any) -> rx.Component:
    """Return a text field; `type`, `auto_complete`, `required`, `on_change` … go to the input."""
    return _labelled(
        label,
        name,
        rx.el.input(id=name, name=name, class_name=BOX, **_described(name, hint, error), **props),
        hint,
        error,
    )


def area(label: str, name: str, *, hint: Any = "", error: Any = "", **props: Any) -> rx.Component:
    """Return a field of several lines."""
    box = rx.el.textarea(
        id=name,
        name=name,
        class_name=BOX + "h-auto! py-2 ",
        rows=props.pop("rows", "4"),
        **_described(name, hint, error),
        **props,
    )
    return _labelled(label, name, box, hint, error)


def password(label: str, name: str, *, hint: Any = "", **props: Any) -> rx.Component:
    """Return a password field with a button that shows what was typed."""
    box = PasswordInput.create(
        id=name, name=name, required=True, class_name=BOX + "pr-14 ", **_described(name, hint, ""), **props
    )
    return _labelled(label, name, box, hint, "")


def new_password(label: str = "Password", name: str = "password") -> rx.Component:
    """Return a field for choosing a password; a meter tells at once what is wrong with it."""
    box = PasswordInput.create(
        id=name,
        name=name,
        required=True,
        auto_complete="new-password",
        meter="/auth/judge",
        class_name=BOX + "pr-14 ",
        data_hint="At least 10 characters; a few unusual words are best.",
    )
    return _labelled(label, name, box, "", "")


def select(
    label: str,
    name: str,
    options: Sequence[tuple[str, str]] | rx.Var[Any],
    *,
    hint: Any = "",
    error: Any = "",
    **props: Any,
) -> rx.Component:
    """Return a native choice of (value, text) pairs; a Var holds a list of `{"value": …, "text": …}`."""
    if isinstance(options, rx.Var):
        items = [rx.foreach(options, lambda o: rx.el.option(o["text"], value=o["value"], key=o["value"]))]
    else:
        items = [rx.el.option(text, value=value) for value, text in options]
    box = rx.el.select(*items, id=name, name=name, class_name=BOX + "pr-9 ", **_described(name, hint, error), **props)
    return _labelled(label, name, box, hint, error)


def checkbox(label: Any, name: str, *, hint: Any = "", **props: Any) -> rx.Component:
    """Return a box to tick, its label beside it."""
    return rx.el.label(
        rx.el.input(type="checkbox", name=name, class_name="mt-0.5 size-4 shrink-0 accent-accent", **props),
        rx.el.span(label, rx.el.span(hint, class_name="block text-muted") if _given(hint) else rx.fragment()),
        class_name="flex items-start gap-2.5",
    )


def form(*children: Any, **props: Any) -> rx.Component:
    """Return a form handled by a State handler (`on_submit=State.create`), which gets the fields by name."""
    return rx.el.form(*children, class_name="space-y-4 " + props.pop("class_name", ""), **props)


def post_form(*children: Any, action: str, **props: Any) -> rx.Component:
    """Return a form posted to an HTTP route of ours (`/auth/…`): for what sets a cookie or leaves the page."""
    return PostForm.create(*children, action=action, class_name=props.pop("class_name", "space-y-4"), **props)


def from_query(name: str) -> rx.Component:
    """Return a hidden field that takes its value from the page's address."""
    return QueryField.create(name=name)


def _described(name: str, hint: Any, error: Any) -> dict[str, Any]:
    if _given(error):
        return {"aria_describedby": f"{name}-error {name}-hint", "aria_invalid": rx.cond(error != "", "true", "false")}
    return {"aria_describedby": f"{name}-hint"} if _given(hint) else {}


def _labelled(label: str, name: str, box: rx.Component, hint: Any, error: Any) -> rx.Component:
    return rx.el.div(
        rx.el.label(label, html_for=name, class_name="block mb-1.5 font-medium"),
        box,
        rx.el.p(hint, id=f"{name}-hint", class_name="mt-1.5 text-[0.8125rem] text-muted")
        if _given(hint)
        else rx.fragment(),
        rx.el.p(error, id=f"{name}-error", role="alert", class_name="mt-1.5 text-[0.8125rem] text-bad empty:hidden")
        if _given(error)
        else rx.fragment(),
    )
