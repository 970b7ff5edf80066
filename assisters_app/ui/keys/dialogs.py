"""The dialogs of the keys page: a new key, its secret, its terms, a rotation, a revocation."""

from typing import Any

import reflex as rx

from assisters_app.keys.terms import SPANS
from assisters_app.ui.first_call import first_call
from assisters_app.ui.keys.asked import COUNTS
from assisters_app.ui.keys.state import KeysState
from assisters_app.ui.parts import (
    area,
    button,
    checkbox,
    confirm,
    copyable,
    dialog_actions,
    field,
    form,
    modal,
    notice,
    select,
)

FILLED = KeysState.filled
INSIDE = "grid sm:grid-cols-3 gap-3"
LABELS = {
    "requests_per_minute": "Requests a minute",
    "tokens_per_minute": "Tokens a minute",
    "concurrency": "At the same time",
}


def every() -> list[rx.Component]:
    """Return every dialog; the State says which one is open."""
    return [_new(), _secret(), _edit(), _rotate(), _revoke()]


def _new() -> rx.Component:
    return modal(
        form(
            _name(hint="For you, to tell keys apart: the program or the machine that will use it."),
            rx.el.div(
                select("Kind", "mode", (("live", "Live: costs money"), ("test", "Test: sandbox, free"))),
                select(
                    "Works",
                    "lasts",
                    (("", "until it is revoked"), ("30", "for 30 days"), ("90", "for 90 days"), ("365", "for a year")),
                ),
                class_name="grid sm:grid-cols-2 gap-3",
            ),
            _terms(),
            _problem(),
            dialog_actions(button("Make key", type="submit"), on_close=KeysState.close),
            on_submit=KeysState.create,
        ),
        open=KeysState.dialog == "new",
        on_close=KeysState.close,
        title="New key",
    )


def _edit() -> rx.Component:
    return modal(
        form(
            _name(default_value=KeysState.name),
            _terms(),
            _problem(),
            dialog_actions(button("Save", type="submit"), on_close=KeysState.close),
            on_submit=KeysState.change,
        ),
        open=KeysState.dialog == "edit",
        on_close=KeysState.close,
        title="Edit “" + KeysState.name + "”",
        description="What you change here holds for every worker within a second. The secret stays.",
    )


def _name(**props: Any) -> rx.Component:
    return field(
        "Name",
        "name",
        error=rx.cond(KeysState.wrong == "name", KeysState.problem, ""),
        required=True,
        max_length=255,
        auto_complete="off",
        auto_focus=True,
        placeholder="Production server",
        **props,
    )


def _problem() -> rx.Component:
    """Say what is wrong where it is read: beside the buttons, for the field at fault may be folded away."""
    return rx.el.p(
        rx.cond(KeysState.wrong == "name", "", KeysState.problem), role="alert", class_name="text-bad empty:hidden"
    )


def _terms() -> rx.Component:
    return rx.fragment(
        rx.el.fieldset(
            rx.el.legend("May", class_name="mb-1.5 font-medium"),
            rx.el.div(rx.foreach(FILLED.scopes, _scope), class_name="space-y-2"),
        ),
        rx.el.div(*_folded(), class_name="border-b border-line"),
    )


def _folded() -> list[rx.Component]:
    return [
        _more(
            "Budgets",
            "The most it may spend. A call that could go beyond is refused.",
            rx.el.div(*[_amount(f"A {span}", f"budget_{span}") for span in SPANS], class_name="grid grid-cols-3 gap-3"),
            rx.el.p(
                "In dollars; empty for no budget. Days, weeks (from Monday) and months are counted in UTC.",
                class_name="text-[0.8125rem] text-muted",
            ),
            shown=FILLED.budgets_shown,
        ),
        _more(
            "Limits",
            "Fewer calls than your plan allows.",
            rx.el.div(*[_count(LABELS[name], name) for name in COUNTS], class_name=INSIDE),
            rx.el.p("Empty for the plan's own limits.", class_name="text-[0.8125rem] text-muted"),
            shown=FILLED.limits_shown,
        ),
        _more(
            "Models",
            "Only some of them.",
            rx.el.div(rx.foreach(FILLED.models, _model), class_name="grid sm:grid-cols-2 gap-2"),
            rx.el.p("None chosen means all, those that come later too.", class_name="text-[0.8125rem] text-muted"),
            shown=FILLED.models_shown,
        ),
        _more(
            "Where it may be used",
            "From which addresses, on which pages.",
            area(
                "IP addresses",
                "networks",
                hint="One a line: an address or a block such as 203.0.113.0/24. Empty for anywhere.",
                default_value=FILLED.networks,
                placeholder="203.0.113.7\n2001:db8::/32",
                rows="3",
                spell_check=False,
            ),
            area(
                "Domains",
                "domains",
                hint="One a line; *.example.com is every name below it. This keeps other pages from using a key that "
                "is in yours; it is no secret, for whoever writes a program writes what it says of itself.",
                default_value=FILLED.domains,
                placeholder="app.example.com",
                rows="3",
                spell_check=False,
            ),
            shown=FILLED.places_shown,
        ),
    ]


def _more(title: str, lead: str, *children: rx.Component, shown: rx.Var[bool]) -> rx.Component:
    """Return a part of the form that is folded away until somebody wants it, or there is something in it."""
    return rx.el.details(
        rx.el.summary(
            rx.el.span(
                rx.el.span(title, class_name="block font-medium"),
                rx.el.span(lead, class_name="block text-[0.8125rem] text-muted"),
            ),
            rx.icon(
                "chevron-down",
                size=16,
                aria_hidden="true",
                class_name="shrink-0 text-muted transition-transform group-open/more:rotate-180",
            ),
            class_name="flex items-center justify-between gap-3 cursor-pointer rounded-lg py-2.5 list-none",
        ),
        rx.el.div(*children, class_name="space-y-3 pt-1 pb-4"),
        open=shown,
        class_name="group/more border-t border-line first:border-t-0",
    )


def _scope(choice: Any) -> rx.Component:
    return checkbox(
        rx.fragment(choice.text, " ", rx.el.code(choice.value, class_name="font-mono text-xs text-muted")),
        "scope_" + choice.value,
        default_checked=choice.chosen,
    )


def _model(choice: Any) -> rx.Component:
    return checkbox(
        rx.el.span(choice.value, class_name="break-all"),
        "model_" + choice.value,
        hint=choice.text,
        default_checked=choice.chosen,
    )


def _amount(label: str, name: str) -> rx.Component:
    return field(
        label, name, default_value=getattr(FILLED, name), placeholder="$", input_mode="decimal", auto_complete="off"
    )


def _count(label: str, name: str) -> rx.Component:
    return field(label, name, default_value=getattr(FILLED, name), input_mode="numeric", auto_complete="off")


def _secret() -> rx.Component:
    shown = rx.fragment(
        notice("Copy it now. We keep only a fingerprint of it, so nobody can show it again.", tone="warn"),
        copyable(KeysState.secret, "Copy key", class_name="mt-4"),
        rx.el.h3("Your first call", class_name="mt-6 mb-2 font-medium"),
        first_call(KeysState.secret, name="secret-language"),
    )
    gone = notice(
        "This page was loaded anew before you closed this, so the secret can no longer be shown. Rotate the key to get "
        "another.",
        tone="bad",
    )
    return modal(
        rx.cond(KeysState.secret != "", shown, gone),
        rx.el.div(
            button(rx.cond(KeysState.secret != "", "I have copied it", "Close"), on_click=KeysState.close),
            class_name="flex justify-end pt-5",
        ),
        open=KeysState.dialog == "secret",
        on_close=KeysState.close,
        title="The secret of “" + KeysState.name + "”",
        class_name="max-w-2xl!",
    )


def _rotate() -> rx.Component:
    return modal(
        form(
            rx.el.p(
                rx.el.strong(KeysState.name),
                " gets a new secret, shown once. Its name, history and handle stay. After the time below the old secret "
                "stops working, which cannot be undone.",
            ),
            select(
                "The old secret works",
                "grace",
                (
                    ("24", "for 24 hours more"),
                    ("1", "for an hour more"),
                    ("168", "for 7 days more"),
                    ("0", "no longer"),
                ),
                error=KeysState.problem,
            ),
            dialog_actions(button("Rotate key", type="submit"), on_close=KeysState.close),
            on_submit=KeysState.rotate,
        ),
        open=KeysState.dialog == "rotate",
        on_close=KeysState.close,
        title="Rotate “" + KeysState.name + "”?",
    )


def _revoke() -> rx.Component:
    return confirm(
        rx.el.p(
            "Programs that use ",
            rx.el.strong(KeysState.name),
            " are refused at once, everywhere. This cannot be undone; what the key was used for stays in your usage.",
        ),
        open=KeysState.dialog == "revoke",
        on_close=KeysState.close,
        on_confirm=KeysState.revoke,
        title="Revoke “" + KeysState.name + "”?",
        act="Revoke key",
    )
