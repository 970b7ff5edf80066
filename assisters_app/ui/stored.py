"""What we store: every table, every column, read from the marks. For everyone, and for programs as JSON."""

from collections.abc import Sequence

import reflex as rx

from assisters_app.base.marks import UNSTATED, OnErase
from assisters_app.privacy import inventory, taxonomy
from assisters_app.privacy.inventory import ColumnEntry, TableEntry
from assisters_app.privacy.policies import policy
from assisters_app.privacy.processors import PROCESSORS
from assisters_app.ui.parts import anchor, badge, heading, link, sheet
from assisters_app.ui.parts.browser import Finder
from assisters_app.ui.privacy.kinds import kind_in_words
from assisters_app.ui.shell import public

NAMES = {processor.id: processor.name for processor in PROCESSORS}
FATES = {
    OnErase.DELETE: "erased",
    OnErase.KEEP: "stays",
    OnErase.CLEAR: "emptied",
    OnErase.UNLINK: "replaced by a number that leads to nobody",
}
NOBODY = "nobody"  # the place on the page of what leads to nobody
_JUMP = "scroll-mt-20"  # an anchor stops below the header


def page() -> rx.Component:
    """Draw the page."""
    groups = [(rule, _under(rule)) for rule in _rules()]
    return public(
        rx.el.div(
            rx.el.aside(
                Finder.create(places=_places(), label="Find what is stored", hint="Find a table, a column"),
                class_name="lg:sticky lg:top-16 lg:h-[calc(100dvh-4rem)] lg:overflow-y-auto lg:w-56 shrink-0 pt-8 lg:py-10 lg:px-1 lg:-mx-1",
            ),
            rx.el.div(
                _head(),
                *[_group(rule, entries) for rule, entries in groups],
                _leads_to_nobody(),
                class_name="min-w-0 flex-1 max-w-3xl pb-16 lg:pt-10 space-y-12",
            ),
            class_name="max-w-6xl mx-auto px-4 sm:px-6 flex flex-col lg:flex-row gap-x-10 gap-y-8",
        )
    )


def _head() -> rx.Component:
    entries = inventory.inventory()
    personal = [entry for entry in entries if entry.personal]
    columns = sum(len(entry.columns) for entry in entries)
    return rx.el.div(
        heading(
            "What we store",
            link("JSON", to="/download/inventory.json"),
            lead="Drawn from the software itself: each column of the database says what it is, what for, for how long, and "
            "what becomes of it when you leave. One that does not say stops the software from starting.",
        ),
        rx.el.p(
            f"{len(entries)} tables with {columns} columns; {len(personal)} of the tables lead to a person. Kinds of data "
            "carry their names in ",
            anchor(
                "fideslang",
                href=taxonomy.SOURCE,
                rel="noreferrer",
                class_name="text-accent underline underline-offset-2",
            ),
            f" {taxonomy.VERSION.split(',')[0]}, too. What is done with the data is in the ",
            link("record of processing", to="/privacy/record"),
            ".",
            class_name="mt-4 text-[0.8125rem] text-muted max-w-prose",
        ),
    )


def _rules() -> list[str]:
    """Return the retention rules of what leads to a person, those that the policy states first."""
    rules = {entry.retention_id: entry.promise for entry in inventory.inventory() if entry.personal}
    return sorted(rules, key=lambda rule: (rules[rule] == UNSTATED, rules[rule]))


def _under(rule: str) -> list[TableEntry]:
    return [entry for entry in inventory.inventory() if entry.personal and entry.retention_id == rule]


def _others() -> list[TableEntry]:
    return [entry for entry in inventory.inventory() if not entry.personal]


def _places() -> list[dict[str, str]]:
    """Return what the finder finds: a table, under how long it is kept; its columns are words for it."""
    return [
        *(
            {"id": entry.name, "title": entry.title, "group": entry.retention, "words": _words(entry)}
            for rule in _rules()
            for entry in _under(rule)
        ),
        *(
            {"id": NOBODY, "title": entry.title, "group": "Leads to nobody", "words": _words(entry), "quiet": "yes"}
            for entry in _others()
        ),
        {"id": NOBODY, "title": "The product's own tables", "group": "Leads to nobody", "words": ""},
    ]


def _words(entry: TableEntry) -> str:
    kinds = (kind_in_words(category) for category in entry.categories)
    return " ".join((entry.name, *(column.name for column in entry.columns), *kinds))


def _group(rule: str, entries: Sequence[TableEntry]) -> rx.Component:
    return rx.el.section(
        rx.el.header(
            rx.el.h2(entries[0].retention, class_name="text-lg font-semibold tracking-tight"),
            rx.el.p(promise(entries[0].promise), class_name="mt-0.5 text-muted"),
        ),
        *[_table(entry) for entry in entries],
        id=f"rule-{rule}",
        class_name=_JUMP + " space-y-4",
    )


def promise(sentence: str) -> rx.Component:
    """Return which sentence of the policy says how long, or that none does."""
    if sentence == UNSTATED:
        return rx.el.span("Not stated in the policy: our own rule")
    return rx.el.span(
        "Policy ", link(f"{sentence} {policy.CURRENT.sentence(sentence)}", to=f"/privacy-policy#{sentence}")
    )


def _table(entry: TableEntry) -> rx.Component:
    personal = [column for column in entry.columns if column.category]
    return rx.el.article(
        rx.el.header(
            rx.el.h3(
                anchor(entry.title, href=f"#{entry.name}", class_name="hover:underline underline-offset-2"),
                class_name="text-[0.9375rem] font-semibold tracking-tight",
            ),
            rx.el.code(entry.name, class_name="text-xs text-faint break-all"),
            class_name="flex flex-wrap items-baseline justify-between gap-x-4",
        ),
        _kinds(entry),
        rx.el.p(_leaving(entry), " ", _going(entry), class_name="mt-2 text-[0.8125rem] text-muted text-pretty"),
        _columns(entry, personal),
        id=entry.name,
        class_name=_JUMP + " rounded-xl border border-line bg-surface shadow-card p-4 sm:p-5 target:border-accent",
    )


def _kinds(entry: TableEntry) -> rx.Component:
    if not entry.categories:
        return rx.el.p("Says nothing about you but that it is yours.", class_name="mt-2")
    return rx.el.ul(
        *[rx.el.li(badge(kind_in_words(name))) for name in entry.categories],
        aria_label="What it says about you",
        class_name="mt-2.5 flex flex-wrap gap-1.5",
    )


def _leaving(entry: TableEntry) -> str:
    """Say what becomes of it when its person leaves."""
    if entry.ground is None:
        return "Erased when you leave."
    return f"Stays when you leave, with what says something about you taken out. Why: {entry.ground}."


def _going(entry: TableEntry) -> str:
    """Say who gets it: the person, and companies."""
    told = "In your export. " if entry.exported else "Not in your export. "
    return told + (f"Handled by {' and '.join(NAMES[one] for one in entry.recipients)}." if entry.recipients else "")


def _columns(entry: TableEntry, personal: Sequence[ColumnEntry]) -> rx.Component:
    others = [column.name for column in entry.columns if not column.category]
    count = len(entry.columns)
    return rx.el.details(
        rx.el.summary(
            rx.icon(
                "chevron-right",
                size=14,
                aria_hidden="true",
                class_name="shrink-0 text-muted transition-transform group-open:rotate-90",
            ),
            f"What for, and {f'all {count} columns' if count > 1 else 'its one column'}",
            class_name="inline-flex items-center gap-2 text-[0.8125rem] font-medium select-none rounded min-h-6",
        ),
        rx.el.ul(
            *[rx.el.li(title) for purpose, title in inventory.PURPOSES.items() if purpose in entry.purposes],
            aria_label="What for",
            class_name="mt-2 mb-2 list-disc pl-5 text-[0.8125rem]",
        ),
        sheet(
            [_column(column) for column in personal],
            label=f"Columns of {entry.title}",
            columns=("Column", "Kind of data", "When you leave", "In your export"),
        )
        if personal
        else rx.fragment(),
        rx.el.p(
            "Says nothing about you: ",
            *[rx.fragment(", " if n else "", rx.el.code(name, class_name="text-xs")) for n, name in enumerate(others)],
            ".",
            class_name="pt-3 border-t border-line text-[0.8125rem] text-muted break-words",
        )
        if others
        else rx.fragment(),
        class_name="group mt-2",
    )


def _column(column: ColumnEntry) -> tuple[rx.Component | str, ...]:
    return (
        rx.el.div(
            rx.el.span(column.title, class_name="font-medium"),
            rx.el.code(column.name, class_name="block text-xs text-faint"),
        ),
        rx.el.div(
            kind_in_words(column.category or ""),
            rx.el.code(column.category, class_name="block text-xs text-faint"),
        ),
        FATES[OnErase(column.on_erase)],
        "yes" if column.exported else "no",
    )


def _leads_to_nobody() -> rx.Component:
    return rx.el.section(
        rx.el.header(
            rx.el.h2("What leads to nobody", class_name="text-lg font-semibold tracking-tight"),
            rx.el.p(
                "Tables that describe the product, or hold only what cannot be turned back into a person.",
                class_name="mt-0.5 text-muted",
            ),
        ),
        rx.el.ul(
            *[
                rx.el.li(
                    rx.el.p(
                        entry.title,
                        " ",
                        rx.el.code(entry.name, class_name="text-xs text-faint break-all"),
                    ),
                    rx.el.p(entry.retention, class_name="text-[0.8125rem] text-muted"),
                    id=entry.name,
                    class_name=_JUMP + " py-2.5 border-t border-line first:border-0 target:bg-accent-soft",
                )
                for entry in _others()
            ],
            class_name="rounded-xl border border-line bg-surface shadow-card px-4 sm:px-5 py-1.5",
        ),
        id=NOBODY,
        class_name=_JUMP + " space-y-4",
    )
