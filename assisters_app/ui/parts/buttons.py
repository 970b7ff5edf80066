"""Buttons, links that look like buttons, and links."""

from typing import Any, Literal

import reflex as rx
from reflex_components_core.el.elements.inline import A
from reflex_components_core.react_router.dom import ReactRouterLink

from assisters_app.ui.parts.browser import Copy

Kind = Literal["primary", "secondary", "ghost", "danger"]

_SHAPE = (
    "inline-flex items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap select-none "
    "transition-colors disabled:opacity-50 "
)
_SIZES = {"normal": "h-9 px-3.5 text-sm ", "small": "h-8 px-2.5 text-[0.8125rem] ", "large": "h-11 px-5 text-sm "}
_KINDS: dict[Kind, str] = {
    "primary": "bg-ink text-inverse hover:bg-ink/85 ",
    "secondary": "border border-line bg-surface text-ink shadow-card hover:bg-raised ",
    "ghost": "text-muted hover:bg-raised hover:text-ink ",
    "danger": "bg-bad text-inverse hover:bg-bad/85 ",
}


def button(*children: Any, kind: Kind = "primary", size: str = "normal", **props: Any) -> rx.Component:
    """Return a button; `type="submit"` sends the form it stands in."""
    return rx.el.button(
        *children, type=props.pop("type", "button"), class_name=_look(kind, size, props.pop("class_name", "")), **props
    )


def new_button(label: str, **props: Any) -> rx.Component:
    """Return the button with a plus that begins something new: at the head of a page, or in a list without rows."""
    return button(rx.icon("plus", size=16, aria_hidden="true"), label, **props)


def link_button(
    *children: Any, to: str | rx.Var[str], kind: Kind = "secondary", size: str = "normal", **props: Any
) -> rx.Component:
    """Return a link that looks like a button; an address under /auth or /v1 is loaded in full."""
    look = _look(kind, size, props.pop("class_name", ""))
    return _link(*children, to=to, class_name=look, **props)


def link(*children: Any, to: str | rx.Var[str], **props: Any) -> rx.Component:
    """Return a link in running text."""
    look = "text-accent underline underline-offset-2 decoration-accent/40 hover:decoration-accent "
    return _link(*children, to=to, class_name=look + props.pop("class_name", ""), **props)


def anchor(*children: Any, href: str | rx.Var[str], **props: Any) -> rx.Component:
    """Return a link that the browser follows by itself: to a download, a place on this page, another site.

    Reflex's own `rx.el.a` looks for a page of ours instead, and would find none.
    """
    return A.create(*children, href=href, **props)


def download_button(*children: Any, href: str | rx.Var[str], kind: Kind = "secondary", **props: Any) -> rx.Component:
    """Return a link that looks like a button and downloads what is at `href`."""
    return anchor(*children, href=href, download=True, class_name=_look(kind, props.pop("size", "normal"), ""), **props)


def copy_button(text: str | rx.Var[str], label: str = "Copy", **props: Any) -> rx.Component:
    """Return a small button that copies `text`; `label` is what it is called, e.g. "Copy key"."""
    look = (
        "inline-flex items-center justify-center gap-1.5 size-8 rounded-md text-muted hover:bg-raised hover:text-ink "
    )
    return Copy.create(text=text, label=label, class_name=look + props.pop("class_name", ""), **props)


def _look(kind: Kind, size: str, more: str) -> str:
    return _SHAPE + _SIZES[size] + _KINDS[kind] + more


def _link(*children: Any, to: str | rx.Var[str], **props: Any) -> rx.Component:
    leaves = isinstance(to, str) and (not to.startswith("/") or to.startswith(("/auth/", "/v1/", "/download/", "/.")))
    return anchor(*children, href=to, **props) if leaves else ReactRouterLink.create(*children, to=to, **props)
