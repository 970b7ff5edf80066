"""The keys page: the list, what scopes open, the keys that have ended."""

from collections.abc import Iterable
from typing import Any

import reflex as rx

from assisters_app.keys.terms import SCOPES
from assisters_app.openapi.operations import OPERATIONS, Operation
from assisters_app.ui.keys import dialogs
from assisters_app.ui.keys.state import KeysState
from assisters_app.ui.parts import badge, button, card, empty, heading, new_button, number, rows, table, time
from assisters_app.ui.shell import shell

load = KeysState.load

SMALL = "text-[0.8125rem] text-muted"
BAR = "mt-1 w-full h-1 rounded-full bg-raised "
BAR_TONES = (("bad", BAR + "text-bad"), ("warn", BAR + "text-warn"))


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "API keys", _new_button(), lead="A key lets a program of yours call the API. Its secret is shown once."
        ),
        card(
            table(
                KeysState.rows,
                _cells,
                label="API keys",
                columns=("Name", "Key", "Budgets", "Requests, 30 days", ""),
                phase=KeysState.phase,
                empty=empty(
                    "No keys yet",
                    "Make one, and the next screen has a first call that is ready to paste.",
                    _new_button(),
                    icon="key-round",
                ),
                retry=KeysState.load,
                key=lambda row: row.handle,
            )
        ),
        _scopes(),
        rx.cond(KeysState.ended.length() > 0, _ended()),
        *dialogs.every(),
    )


def _new_button() -> rx.Component:
    return new_button("New key", on_click=KeysState.ask("new", ""))


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.div(
                rx.el.span(row.name, class_name="font-medium break-words"),
                rx.cond(row.mode == "test", badge("test", tone="warn")),
                rx.cond(row.ends != "", badge("until ", time(row.ends, "date"))),
                class_name="flex flex-wrap items-center gap-1.5",
            ),
            rx.el.p(
                row.may,
                rx.foreach(row.limits, lambda limit: rx.fragment(" · ", limit)),
                class_name="mt-0.5 break-words " + SMALL,
            ),
            rx.cond(
                row.old_secret_until != "",
                rx.el.p(
                    "The old secret works until ",
                    time(row.old_secret_until),
                    class_name="mt-0.5 text-[0.8125rem] text-accent",
                ),
            ),
            class_name="min-w-40",
        ),
        rx.el.div(
            rx.el.code(row.prefix, "…", class_name="font-mono whitespace-nowrap " + SMALL),
            rx.el.div("made ", time(row.created, "date"), class_name="text-xs text-muted whitespace-nowrap"),
        ),
        _budgets(row),
        rx.el.div(
            _sparkline(row),
            rx.el.div("last used ", time(row.last_used, "ago", "never"), class_name="text-xs text-muted"),
        ),
        rx.el.div(
            _act("Edit", "edit", row),
            _act("Rotate", "rotate", row),
            _act("Revoke", "revoke", row),
            class_name="flex justify-end gap-0.5",
        ),
    )


def _budgets(row: Any) -> rx.Component:
    none = rx.el.span("none", class_name="text-muted")
    each = rx.el.ul(rx.foreach(row.budgets, _budget), class_name="space-y-1.5")
    return rx.cond(row.budgets.length() > 0, each, none)


def _budget(budget: Any) -> rx.Component:
    bar = rx.el.svg(
        rx.el.svg.rect(width=budget.percent, height="4", fill="currentColor"),
        view_box="0 0 100 4",
        preserve_aspect_ratio="none",
        aria_hidden="true",
        class_name=rx.match(budget.tone, *BAR_TONES, BAR + "text-accent"),
    )
    return rx.el.li(
        rx.el.div(
            budget.spent, " of ", budget.budget, " ", budget.span, class_name="text-[0.8125rem] whitespace-nowrap"
        ),
        bar,
        rx.cond(
            budget.tone == "bad",
            rx.el.div("refused until ", time(budget.again), class_name="mt-1 text-xs text-bad whitespace-nowrap"),
        ),
    )


def _sparkline(row: Any) -> rx.Component:
    drawn = rx.el.svg(
        rx.el.svg.polyline(points=row.line, fill="none", stroke="currentColor", stroke_width="1.5"),
        view_box="0 0 96 24",
        aria_hidden="true",
        class_name="w-24 h-6 text-accent shrink-0",
    )
    return rx.el.div(rx.cond(row.line != "", drawn), number(row.requests), class_name="flex items-center gap-2")


def _act(label: str, dialog: str, row: Any) -> rx.Component:
    return button(
        label, kind="ghost", size="small", on_click=KeysState.ask(dialog, row.handle), aria_label=label + " " + row.name
    )


def _scopes() -> rx.Component:
    with_key = [one for one in OPERATIONS if one.path.startswith("/v1/") and not one.public]
    return card(
        rows(
            *[
                (
                    rx.el.code(scope, class_name="font-mono"),
                    rx.el.div(text, _addresses(one for one in with_key if one.scope == scope)),
                )
                for scope, text in SCOPES.items()
            ],
            ("any key", _addresses(one for one in with_key if one.scope is None)),
        ),
        title="What scopes open",
        lead="A key does what its scopes say and nothing else.",
    )


def _addresses(operations: Iterable[Operation]) -> rx.Component:
    return rx.el.ul(
        *[
            rx.el.li(rx.el.code(f"{one.method} {one.path}", class_name="font-mono text-xs text-muted"))
            for one in operations
        ],
        class_name="mt-1 grid sm:grid-cols-2 gap-x-6",
    )


def _ended() -> rx.Component:
    return card(
        table(
            KeysState.ended,
            lambda row: (
                rx.el.div(
                    rx.el.span(row.name, class_name="break-words"),
                    rx.cond(
                        row.why_ended == "found in public", badge("found in public", tone="bad"), badge(row.why_ended)
                    ),
                    class_name="flex flex-wrap items-center gap-1.5",
                ),
                rx.el.code(row.prefix, "…", class_name="font-mono " + SMALL),
                time(row.last_used, "ago", "never"),
                time(row.ended),
            ),
            label="Ended keys",
            columns=("Name", "Key", "Last used", "Ended"),
            phase=KeysState.phase,
            empty=rx.fragment(),
            retry=KeysState.load,
            key=lambda row: row.handle,
        ),
        title="Ended keys",
        lead="They work nowhere; they stay listed because your usage names them.",
    )
