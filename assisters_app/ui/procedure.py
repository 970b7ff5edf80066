"""How requests are handled: the states of a request and of an erasure with their clocks, drawn from the code's own."""

from collections.abc import Sequence

import reflex as rx

from assisters_app.privacy.erasing import purge
from assisters_app.privacy.inventory import TableEntry
from assisters_app.privacy.rights import procedure
from assisters_app.privacy.rights.procedure import Course, State, Step
from assisters_app.ui.moments import day
from assisters_app.ui.parts import badge, card, heading, link, rows
from assisters_app.ui.privacy.requests import NAMES
from assisters_app.ui.receipt import STEPS
from assisters_app.ui.shell import public

TONES = {"the person": "accent", "our staff": "warn", "our software": "plain"}
BY = {"the person": "you", "our staff": "our staff", "our software": "our software"}


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "How requests are handled",
                link("JSON", to="/download/procedure.json"),
                lead="The one procedure for everybody, wherever they live. It is drawn from the software that carries it out: "
                "every step is tried from every state before a release.",
            ),
            _kinds(),
            _course(procedure.REQUEST, "From the day it reaches us to the answer. Each step stands in the register."),
            _course(procedure.ERASURE, "From the click to the receipt."),
            _clocks(),
            _reached(),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _kinds() -> rx.Component:
    at_once = [NAMES[kind] for kind, asked in procedure.kinds() if not asked]
    answered = [NAMES[kind] for kind, asked in procedure.kinds() if asked]
    return card(
        rows(
            (
                "At once, by yourself",
                rx.el.span(", ".join(at_once), ": ", link("your privacy page", to="/dashboard/privacy")),
            ),
            ("By a person of our staff", ", ".join(answered)),
        ),
        title="What can be asked for",
        lead="In the dashboard or by mail; both come into one queue.",
    )


def _course(course: Course, lead: str) -> rx.Component:
    return card(
        rx.el.ol(
            _state(course, State("", "The beginning", "")),
            *[_state(course, state) for state in course.states],
            class_name="space-y-6",
        ),
        title=course.title,
        lead=lead,
    )


def _state(course: Course, state: State) -> rx.Component:
    names = {one.id: one.title for one in course.states}
    return rx.el.li(
        rx.el.div(
            rx.el.h3(state.title, class_name="font-medium"),
            badge("the end", tone="good") if state.ends else rx.fragment(),
            class_name="flex items-center gap-2",
        ),
        rx.el.p(state.says, class_name="text-muted") if state.says else rx.fragment(),
        rx.el.ul(*[_step(step, state, names) for step in course.after(state.id)], class_name="mt-2 space-y-2")
        if course.after(state.id)
        else rx.fragment(),
        class_name="border-l-2 border-line pl-4",
    )


def _step(step: Step, here: State, names: dict[str, str]) -> rx.Component:
    stays = here.id in step.after and len(step.after) > 1 and set(step.after) == set(step.before)
    leads = [here.title] if stays else [names[one] for one in step.after]
    return rx.el.li(
        rx.el.p(
            rx.el.span(step.title, class_name="font-medium"),
            rx.el.span(
                rx.icon("arrow-right", size=13, aria_label="leads to", class_name="inline shrink-0"),
                " or ".join(leads),
                class_name="inline-flex items-center gap-1 text-muted",
            ),
            badge(BY[step.by], tone=TONES[step.by]),
            badge("you get a mail") if step.mailed else rx.fragment(),
            badge("once") if step.once else rx.fragment(),
            class_name="flex flex-wrap items-center gap-x-2 gap-y-1",
        ),
        rx.el.p(step.says, class_name="text-[0.8125rem] text-muted"),
        class_name="rounded-lg bg-raised/60 px-3 py-2",
    )


def _clocks() -> rx.Component:
    return card(
        rows(
            *[
                (
                    clock.what,
                    rx.el.span(clock.length, rx.el.span(clock.source, class_name="block text-xs text-faint")),
                )
                for clock in procedure.clocks()
            ]
        ),
        rx.el.h3("An example, counted by the software", class_name="mt-5 font-medium"),
        rows(*[(what, day(at)) for what, at in procedure.example()]),
        title="The clocks",
        lead="Two laws count differently. Both clocks run for everybody, and the earlier date counts.",
        id="clocks",
        class_name="scroll-mt-20",
    )


def _reached() -> rx.Component:
    return card(
        rows(
            ("Goes", _tables(procedure.gone())),
            ("Stays, without what led to you", _kept(procedure.kept())),
            ("Outside the tables, in this order", _outside(purge.reached())),
        ),
        title="What an erasure reaches",
        lead="Before you confirm, the same is counted for your own account; afterwards it stands in the receipt.",
    )


def _tables(entries: Sequence[TableEntry]) -> rx.Component:
    return rx.el.p(
        *[
            rx.fragment(" · " if n else "", link(entry.title, to=f"/privacy/inventory#{entry.name}"))
            for n, entry in enumerate(entries)
        ]
    )


def _kept(entries: Sequence[TableEntry]) -> rx.Component:
    return rx.el.ul(
        *[
            rx.el.li(
                link(entry.title, to=f"/privacy/inventory#{entry.name}"),
                rx.el.span(f" {entry.retention}. {entry.ground}.", class_name="text-[0.8125rem] text-muted"),
            )
            for entry in entries
        ],
        class_name="space-y-1.5",
    )


def _outside(names: Sequence[str]) -> rx.Component:
    return rx.el.ol(
        *[rx.el.li(STEPS.get(name, name.capitalize())) for name in names], class_name="list-decimal pl-5 space-y-0.5"
    )
