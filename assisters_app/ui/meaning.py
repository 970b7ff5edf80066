"""What a sentence of the policy's sections 1 and 4 means exactly: columns, tables and rules, read from the marks."""

from collections import defaultdict
from collections.abc import Sequence

import reflex as rx

from assisters_app.base.marks import UNSTATED
from assisters_app.privacy import inventory
from assisters_app.privacy.inventory import TableEntry
from assisters_app.privacy.processors import PROCESSORS
from assisters_app.ui.parts import link
from assisters_app.ui.privacy.kinds import kind_in_words

NAMES = {processor.id: processor.name for processor in PROCESSORS}


def in_short(sentence: str) -> str:
    """Return one line below a sentence, "" for one that names no stored data: which kinds, or which things, it is about."""
    if places := _collected(sentence):
        kinds = dict.fromkeys(kind_in_words(mark) for mark in _kinds(places))
        return f"Exactly: {'; '.join(kinds)}. In {_tables(len(places))}."
    if kept := under(sentence):
        return "Exactly: " + "; ".join(entry.title for entry in kept) + "."
    return ""


def in_full(sentence: str) -> rx.Component:
    """Return the columns that a sentence of section 1 speaks of: in which table, for how long, and who handles it."""
    places = _collected(sentence)
    if not places:
        return rx.fragment()
    return rx.el.div(
        rx.el.p("What it means exactly:", class_name="text-ink"),
        rx.el.ul(
            *[_place(entry, columns) for entry, columns in places.items()],
            class_name="mt-1 space-y-2",
        ),
    )


def under(promise: str) -> tuple[TableEntry, ...]:
    """Return the tables that are kept by one sentence of section 4, or by none: `UNSTATED`."""
    return tuple(entry for entry in inventory.inventory() if entry.promise == promise)


def unstated() -> dict[str, tuple[TableEntry, ...]]:
    """Return, for each rule that the policy does not state, the tables that are kept by it."""
    rules: dict[str, list[TableEntry]] = defaultdict(list)
    for entry in under(UNSTATED):
        rules[entry.retention].append(entry)
    return {rule: tuple(entries) for rule, entries in rules.items()}


def _collected(sentence: str) -> dict[TableEntry, tuple[str, ...]]:
    """Return the columns that are collected under a sentence, by their table."""
    columns: dict[str, list[str]] = defaultdict(list)
    for name in inventory.collected().get(sentence, ()):
        table, _, column = name.partition(".")
        columns[table].append(column)
    return {entry: tuple(columns[entry.name]) for entry in inventory.inventory() if entry.name in columns}


def _kinds(places: dict[TableEntry, tuple[str, ...]]) -> Sequence[str]:
    return [
        column.category
        for entry, names in places.items()
        for column in entry.columns
        if column.name in names and column.category
    ]


def _place(entry: TableEntry, columns: tuple[str, ...]) -> rx.Component:
    titles = [column.title for column in entry.columns if column.name in columns]
    handled = sorted({NAMES[one] for c in entry.columns if c.name in columns for one in c.recipients})
    return rx.el.li(
        link(entry.title, to=f"/privacy/inventory#{entry.name}"),
        ": " + ", ".join(titles),
        rx.el.span(
            f"{entry.retention}. {'Handled by ' + ' and '.join(handled) if handled else 'Nobody outside'}.",
            class_name="block text-xs text-faint",
        ),
    )


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"
