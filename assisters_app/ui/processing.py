"""The record of processing activities (GDPR Art. 30), read from the marks: for everyone, and for programs as JSON."""

from collections.abc import Sequence
from itertools import groupby

import reflex as rx

from assisters_app.base.marks import UNSTATED
from assisters_app.privacy import activities, taxonomy
from assisters_app.privacy.activities import Activity, AsProcessor, Limit, Transfer
from assisters_app.ui.parts import anchor, badge, card, heading, link, rows
from assisters_app.ui.privacy.kinds import kind_in_words
from assisters_app.ui.shell import public

WHERE = "Where it goes, and under which safeguard"


def page() -> rx.Component:
    """Draw the page."""
    kept = activities.record()
    return public(
        rx.el.div(
            heading(
                "Record of processing",
                link("JSON", to="/download/record.json"),
                lead="What GDPR Art. 30 wants written down: what is done with data, for whom, with whom and for how long. It is "
                "read from the same marks as everything else, so it cannot say what the software does not do.",
            ),
            _contents(kept.activities),
            card(
                rows(
                    ("Controller", kept.controller),
                    ("Contact", anchor(kept.contact, href=f"mailto:{kept.contact}", class_name=_LINK)),
                    ("Privacy policy", link(f"Version {kept.policy_version}", to="/privacy-policy")),
                    ("Every column", link("What we store", to="/privacy/inventory")),
                ),
                title="Who is responsible",
            ),
            *[_activity(activity) for activity in kept.activities],
            _for_customers(kept.as_processor),
            _transfers([one for activity in kept.activities for one in activity.recipients]),
            card(
                rows(*[(f"Policy {id_}", link(words, to=f"/privacy-policy#{id_}")) for id_, words in kept.security]),
                title="How it is secured",
                lead="Whether each holds at this moment stands beside it in the privacy policy.",
                id="security",
                class_name=_JUMP,
            ),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


_LINK = "text-accent underline underline-offset-2 decoration-accent/40 hover:decoration-accent"
_JUMP = "scroll-mt-20"


def _contents(kept: Sequence[Activity]) -> rx.Component:
    places = [
        *((place(one.id), one.purpose) for one in kept),
        ("for-customers", "For our customers, as their processor"),
        ("transfers", WHERE),
        ("security", "How it is secured"),
    ]
    return rx.el.nav(
        rx.el.ul(
            *[rx.el.li(anchor(title, href=f"#{where}", class_name=_LINK)) for where, title in places],
            class_name="grid sm:grid-cols-2 gap-x-6 gap-y-1.5 text-[0.8125rem]",
        ),
        aria_label="What is done with data",
    )


def place(sentence: str) -> str:
    """Return where on the page the activity of one sentence of the policy's section 2 stands."""
    return "purpose-" + sentence.replace(".", "-")


def _activity(activity: Activity) -> rx.Component:
    return card(
        rows(
            ("Whose data", activity.subjects),
            ("Which data", kinds(activity.categories)),
            ("Who receives it", _recipients(activity.recipients)),
            ("How long", _limits(activity.limits)),
            (
                "In fideslang",
                rx.el.span(
                    taxonomy.USES[activity.data_use],
                    rx.el.code(activity.data_use, class_name="block text-xs text-faint break-all"),
                ),
            ),
        ),
        title=activity.purpose,
        action=link(f"Policy {activity.id}", to=f"/privacy-policy#{activity.id}", class_name="text-[0.8125rem]"),
        id=place(activity.id),
        class_name=_JUMP,
    )


def _for_customers(activity: AsProcessor) -> rx.Component:
    return card(
        rows(
            ("For whom", activity.controllers),
            ("What is done", activity.processing),
            ("Whose data", activity.subjects),
            ("Which data", "What they send to the API, and what the models answer"),
            ("Who receives it", _recipients(activity.recipients, named=False)),
            ("How long", _limits(activity.limits)),
        ),
        title="For our customers, as their processor",
        lead="Whoever calls the API decides what it is called with (Art. 30(2)).",
        id="for-customers",
        class_name=_JUMP,
    )


def _transfers(recipients: Sequence[Transfer]) -> rx.Component:
    once = {one.name: one for one in recipients}
    return card(
        rows(
            *[
                (link(one.name, to=f"/processors#{one.name.lower()}"), rx.el.span(f"{one.country}: {one.safeguard}"))
                for one in once.values()
            ]
        ),
        title=WHERE,
        id="transfers",
        class_name=_JUMP,
    )


def kinds(categories: Sequence[str]) -> rx.Component:
    """Return kinds of data in words, each with its name in fideslang for who points at it."""
    return rx.el.div(
        *[rx.el.span(badge(kind_in_words(one)), title=f"fideslang: {one}") for one in categories],
        class_name="flex flex-wrap gap-1.5 max-w-xl",
    )


def _recipients(recipients: Sequence[Transfer], *, named: bool = True) -> rx.Component:
    """Return who receives data and where; `named`: which kinds of it, too."""
    if not recipients:
        return rx.el.span("Nobody outside")
    return rx.el.ul(
        *[
            rx.el.li(
                rx.el.p(
                    link(one.name, to=f"/processors#{one.name.lower()}"),
                    rx.el.span(f" · {one.country}", class_name="text-muted"),
                ),
                rx.el.p("; ".join(map(kind_in_words, one.receives)), class_name="text-[0.8125rem] text-muted")
                if named
                else rx.fragment(),
            )
            for one in recipients
        ],
        class_name="space-y-2",
    )


def _limits(limits: Sequence[Limit]) -> rx.Component:
    """Return how long things stay, the things of one rule together; those of the policy come first."""
    ordered = sorted(limits, key=lambda one: (one.promise == UNSTATED, one.promise, one.how_long))
    grouped = groupby(ordered, key=lambda one: (one.how_long, one.promise))
    return rx.el.ul(
        *[
            rx.el.li(
                rx.el.p(how_long, rx.el.span(" · ", _source(promise), class_name="text-muted")),
                rx.el.p(", ".join(one.what for one in together), class_name="text-[0.8125rem] text-muted"),
            )
            for (how_long, promise), together in grouped
        ],
        class_name="space-y-2",
    )


def _source(promise: str) -> rx.Component:
    if promise == UNSTATED:
        return rx.el.span(UNSTATED)
    return link(f"policy {promise}", to=f"/privacy-policy#{promise}")
