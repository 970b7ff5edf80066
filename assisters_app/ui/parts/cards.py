"""Surfaces: cards, single figures, badges, notices and page headings."""

from typing import Any, Literal

import reflex as rx

Tone = Literal["plain", "accent", "good", "warn", "bad"]

TONES: dict[Tone, str] = {
    "plain": "bg-raised text-muted ",
    "accent": "bg-accent-soft text-accent ",
    "good": "bg-good-soft text-good ",
    "warn": "bg-warn-soft text-warn ",
    "bad": "bg-bad-soft text-bad ",
}


def heading(title: str | rx.Var[str], *actions: rx.Component, lead: str | rx.Var[str] = "") -> rx.Component:
    """Return the head of a page: its one h1, a sentence, and what one can do here."""
    return rx.el.div(
        rx.el.div(
            rx.el.h1(title, class_name="text-2xl font-semibold tracking-tight text-balance"),
            rx.el.p(lead, class_name="mt-1 text-muted max-w-prose text-pretty") if _given(lead) else rx.fragment(),
            class_name="min-w-0",
        ),
        rx.el.div(*actions, class_name="flex flex-wrap items-center gap-2") if actions else rx.fragment(),
        class_name="flex justify-between gap-4 " + ("flex-col sm:flex-row sm:items-start" if _given(lead) else ""),
    )


def card(
    *children: Any,
    title: str | rx.Var[str] = "",
    lead: str | rx.Var[str] = "",
    action: rx.Component | None = None,
    **props: Any,
) -> rx.Component:
    """Return a bordered section, with an h2 when it has a title."""
    head = _card_head(title, lead, action) if _given(title) else rx.fragment()
    look = "rounded-xl border border-line bg-surface shadow-card p-4 sm:p-5 min-w-0 "
    return rx.el.section(head, *children, class_name=look + props.pop("class_name", ""), **props)


def stat(
    label: str,
    value: Any,
    note: Any = "",
    *,
    ready: rx.Var[bool] | bool = True,
    tone: Tone | rx.Var[str] = "plain",
) -> rx.Component:
    """Return one figure with its name; while `ready` is false a skeleton keeps its place. `tone` may be a Var."""
    colour = {
        "plain": "text-muted",
        "accent": "text-accent",
        "good": "text-good",
        "warn": "text-warn",
        "bad": "text-bad",
    }
    colour = {name: "mt-0.5 min-h-5 text-xs " + shade for name, shade in colour.items()}
    look = colour[tone] if isinstance(tone, str) else rx.match(tone, *colour.items(), colour["plain"])
    return rx.el.div(
        rx.el.dt(label, class_name="text-[0.8125rem] text-muted"),
        rx.el.dd(
            rx.cond(ready, rx.el.span(value), skeleton("h-7 w-24")),
            class_name="mt-1.5 h-8 text-xl sm:text-2xl leading-8 font-semibold tracking-tight tabular-nums truncate",
        ),
        rx.el.dd(note, class_name=look),
        class_name="rounded-xl border border-line bg-surface shadow-card p-4 sm:p-5 min-w-0",
    )


def stats(*figures: rx.Component) -> rx.Component:
    """Return a row of `stat`s: two beside each other on a phone, four on a desk."""
    return rx.el.dl(*figures, class_name="grid grid-cols-2 lg:grid-cols-4 gap-3 sm:gap-4")


def badge(*children: Any, tone: Tone | rx.Var[str] = "plain") -> rx.Component:
    """Return a small label; with a Var as `tone` it may be any of the tones."""
    shape = "inline-flex items-center gap-1 rounded-md px-1.5 h-5 text-xs font-medium whitespace-nowrap "
    if isinstance(tone, str):
        return rx.el.span(*children, class_name=shape + TONES[tone])
    cases = [(name, shape + look) for name, look in TONES.items()]
    return rx.el.span(*children, class_name=rx.match(tone, *cases, shape + TONES["plain"]))


def notice(*children: Any, tone: Tone = "accent", action: rx.Component | None = None, **props: Any) -> rx.Component:
    """Return a full-width note inside a page: what needs attention, and the button for it."""
    look = "rounded-xl px-4 py-3 flex flex-wrap items-center justify-between gap-3 "
    return rx.el.div(
        rx.el.div(*children, class_name="min-w-0 text-ink"),
        action or rx.fragment(),
        class_name=look + TONES[tone] + props.pop("class_name", ""),
        **props,
    )


def skeleton(size: str) -> rx.Component:
    """Return a grey bar of `size` (Tailwind classes) that stands for what is loading."""
    return rx.el.span(class_name="shimmer inline-block rounded bg-raised " + size, aria_hidden="true")


def rows(*pairs: tuple[Any, Any]) -> rx.Component:
    """Return a list of names and values, one pair to a line."""
    return rx.el.dl(
        *[
            rx.el.div(
                rx.el.dt(name, class_name="text-muted sm:w-48 shrink-0"),
                rx.el.dd(value, class_name="min-w-0 break-words"),
                class_name="flex flex-col sm:flex-row gap-x-6 gap-y-0.5 py-2.5 border-t border-line first:border-0",
            )
            for name, value in pairs
        ]
    )


def _card_head(title: Any, lead: Any, action: rx.Component | None) -> rx.Component:
    return rx.el.header(
        rx.el.div(
            rx.el.h2(title, class_name="text-[0.9375rem] font-semibold tracking-tight"),
            rx.el.p(lead, class_name="mt-0.5 text-muted text-pretty") if _given(lead) else rx.fragment(),
            class_name="min-w-0",
        ),
        action or rx.fragment(),
        class_name="flex flex-wrap items-start justify-between gap-3 mb-4",
    )


def _given(text: str | rx.Var[str]) -> bool:
    return isinstance(text, rx.Var) or bool(text)
