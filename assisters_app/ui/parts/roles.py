"""The table of roles and rights, drawn from the one that the software asks: for staff, and for everyone."""

from typing import Any

import reflex as rx

from assisters_app.accounts.rights import DUTIES, STAFF, TITLES, Duty


def role_table() -> rx.Component:
    """Draw what each role of staff may do."""
    return rx.el.div(
        rx.el.table(
            rx.el.caption("What each role may do", class_name="sr-only"),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th("May", scope="col", class_name="py-2 pr-4 text-left font-medium"),
                    *[
                        rx.el.th(TITLES[role], scope="col", class_name="py-2 px-2 w-16 sm:w-24 text-center font-medium")
                        for role in STAFF
                    ],
                ),
                class_name="text-xs text-muted border-b border-line",
            ),
            rx.el.tbody(*[_duty(duty) for duty in DUTIES]),
            class_name="w-full text-sm",
        ),
    )


def _duty(duty: Duty) -> rx.Component:
    says: list[Any] = [
        rx.el.span(duty.title, class_name="block"),
        rx.el.span(duty.says, class_name="text-[0.8125rem] text-muted"),
    ]
    return rx.el.tr(
        rx.el.th(*says, scope="row", class_name="py-2.5 pr-4 text-left font-normal"),
        *[rx.el.td(_mark(role in duty.roles), class_name="py-2.5 px-2 text-center align-middle") for role in STAFF],
        class_name="border-b border-line last:border-0",
    )


def _mark(may: bool) -> rx.Component:
    if may:
        return rx.el.span(rx.icon("check", size=16, aria_hidden="true", class_name="inline text-good"), _said("yes"))
    return rx.el.span(rx.icon("minus", size=14, aria_hidden="true", class_name="inline text-faint"), _said("no"))


def _said(word: str) -> rx.Component:
    return rx.el.span(word, class_name="sr-only")
