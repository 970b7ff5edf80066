"""The companies that handle data for us: what for, which data, where, under which safeguard."""

import reflex as rx

from assisters_app.privacy import processors
from assisters_app.privacy.processors import Processor
from assisters_app.ui.moments import day
from assisters_app.ui.parts import anchor, badge, card, heading, link, rows
from assisters_app.ui.privacy.kinds import kind_in_words
from assisters_app.ui.shell import public


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Processors",
                link("JSON", to="/download/processors.json"),
                lead=f"{len(processors.PROCESSORS)} companies handle data for us. Which data each receives is read from the tables "
                "themselves, and checked against section 3 of the policy.",
            ),
            *[_processor(processor) for processor in processors.PROCESSORS],
            rx.el.p(
                f"Your data may be processed in: {', '.join(processors.countries())}.",
                class_name="text-muted",
            ),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _processor(processor: Processor) -> rx.Component:
    return card(
        rows(
            ("Which data", _categories(processors.received_by(processor.id))),
            ("Where", processor.country),
            ("Safeguard", processor.safeguard),
            ("Hosts", rx.el.code(", ".join(processor.hosts), class_name="text-xs")),
            ("Since", day(processor.since)),
            ("Its terms", _terms(processor.terms)),
        ),
        title=processor.name,
        lead=f"{processor.purpose}. {processor.does}",
        id=processor.id,
    )


def _categories(names: tuple[str, ...]) -> rx.Component:
    if not names:
        return rx.el.span("None that says anything about a person")
    return rx.el.div(*[badge(kind_in_words(name)) for name in names], class_name="flex flex-wrap gap-1.5 max-w-xl")


def _terms(address: str) -> rx.Component:
    return anchor(
        address.removeprefix("https://"),
        href=address,
        rel="noreferrer",
        class_name="text-accent underline underline-offset-2 break-all",
    )
