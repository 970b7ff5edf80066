"""What is stored about people, why, until when and who receives it: read from the marks, never written by hand.

inventory() -> tuple[TableEntry, …]   every table and column, frozen
as_json() -> dict                     the same, for the public address of the inventory
marked_columns()                      (column, mark) of every column of every table
collected(), kept()                   what the policy's sections 1 and 4 are checked against
"""

import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import JSON, Column, Table, TypeDecorator

from assisters_app import tables
from assisters_app.base import marks
from assisters_app.base.marks import Mark, OnErase, Retention, Rows
from assisters_app.privacy import taxonomy

PURPOSES = {
    marks.Purpose.SERVICE: "Provide and maintain our API services",
    marks.Purpose.PAYMENTS: "Process payments and manage billing",
    marks.Purpose.LIMITS: "Monitor and enforce rate limits",
    marks.Purpose.SECURITY: "Detect and prevent abuse, fraud, and security incidents",
    marks.Purpose.NOTICES: "Send service notifications and updates",
    marks.Purpose.SUPPORT: "Provide customer support",
    marks.Purpose.IMPROVEMENT: "Improve our services and develop new features",
    marks.Purpose.LAW: "Comply with legal obligations",
}

FIDESLANG_USES = {
    marks.Purpose.SERVICE: "essential.service",
    marks.Purpose.PAYMENTS: "essential.service.payment_processing",
    marks.Purpose.LIMITS: "essential.service.operations",
    marks.Purpose.SECURITY: "essential.fraud_detection",
    marks.Purpose.NOTICES: "essential.service.notifications",
    marks.Purpose.SUPPORT: "essential.service.operations.support",
    marks.Purpose.IMPROVEMENT: "functional.service.improve",
    marks.Purpose.LAW: "essential.legal_obligation",
}


@dataclass(frozen=True, slots=True)
class ColumnEntry:
    """One column. `category` is None when it says nothing about a person."""

    name: str
    title: str  # for people: "User agent"
    category: str | None
    purposes: tuple[str, ...]  # ids of the policy's section 2
    recipients: tuple[str, ...]  # processor ids
    exported: bool
    on_erase: str


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One table: whose rows, how long, what erasure does, and its columns."""

    name: str
    title: str
    personal: bool
    retention_id: str
    retention: str  # "30 days"
    ends: bool  # rows go by age alone
    promise: str  # the policy's sentence, such as "4.2", or "not stated in the policy"
    on_erase: str  # "delete" or "keep"
    ground: str | None
    exported: bool
    columns: tuple[ColumnEntry, ...]

    @property
    def categories(self) -> tuple[str, ...]:
        """The data categories of its personal columns, sorted."""
        return tuple(sorted({column.category for column in self.columns if column.category}))

    @property
    def purposes(self) -> tuple[str, ...]:
        """The purposes of its personal columns, sorted."""
        return tuple(sorted({purpose for column in self.columns for purpose in column.purposes}))

    @property
    def recipients(self) -> tuple[str, ...]:
        """The processors that receive any of its personal columns, sorted."""
        return tuple(sorted({r for column in self.columns if column.category for r in column.recipients}))


@functools.cache
def inventory() -> tuple[TableEntry, ...]:
    """Return every table in the order in which rows refer to each other; personal ones are marked as such."""
    marks.check()
    kinds = {mark.category for _, mark in marked_columns() if mark.category}
    if strangers := taxonomy.strangers(kinds, FIDESLANG_USES.values()):
        raise LookupError(f"Fideslang has no {', '.join(strangers)}: see assisters_app/privacy/fideslang.json.")
    return tuple(_table_entry(table) for table in all_tables())


def as_json() -> dict[str, Any]:
    """Return the inventory ready for JSON, with what purposes mean in words and in fideslang."""
    return {
        "taxonomy": {"name": "fideslang", "version": taxonomy.VERSION, "from": taxonomy.SOURCE},
        "purposes": [
            {"id": str(purpose), "title": title, "fideslang": FIDESLANG_USES[purpose]}
            for purpose, title in PURPOSES.items()
        ],
        "tables": [asdict(entry) for entry in inventory()],
    }


def all_tables() -> list[Table]:
    """Return every table, those that are referred to before those that refer to them."""
    return list(tables.metadata.sorted_tables)


def personal_tables() -> list[tuple[Table, Rows]]:
    """Return the tables whose rows lead to a person, in the same order."""
    found = [(table, marks.rows_of(table)) for table in all_tables()]
    return [(table, rows) for table, rows in found if rows.account or rows.organization]


def marked_columns() -> Iterator[tuple[Column[Any], Mark]]:
    """Yield each column of each table with its mark."""
    for table in all_tables():
        for column in table.c:
            yield column, marks.mark_of(column)


def collected() -> dict[str, tuple[str, ...]]:
    """Return, for each line of the policy's section 1, the columns collected under it (`table.column`)."""
    lines: dict[str, list[str]] = defaultdict(list)
    for column, mark in marked_columns():
        if mark.collected_as:
            lines[mark.collected_as].append(f"{column.table.name}.{column.name}")
    return {line: tuple(names) for line, names in sorted(lines.items())}


def kept() -> dict[str, tuple[Retention, tuple[str, ...]]]:
    """Return, for each retention rule in use, the rule and the tables under it."""
    rules: dict[str, tuple[Retention, list[str]]] = {}
    for table in all_tables():
        retention = marks.rows_of(table).retention
        rules.setdefault(retention.id, (retention, []))[1].append(table.name)
    return {name: (retention, tuple(names)) for name, (retention, names) in rules.items()}


def kind_of(column: Column[Any]) -> type[Any]:
    """Return the Python type of a column's values, also where SQLModel wraps the database's own type."""
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return dict if isinstance(kind, JSON) else kind.python_type


def title_of(name: str) -> str:
    """Return a column's name as words for a person: `created_at` is "Created at"."""
    words = " ".join(
        {"id": "ID", "ip": "IP address", "ms": "(ms)", "nano": "(nano-USD)"}.get(w, w) for w in name.split("_")
    )
    return words[:1].upper() + words[1:]


def _table_entry(table: Table) -> TableEntry:
    rows = marks.rows_of(table)
    return TableEntry(
        name=table.name,
        title=rows.title,
        personal=bool(rows.account or rows.organization),
        retention_id=rows.retention.id,
        retention=rows.retention.sentence,
        ends=rows.retention.ends,
        promise=rows.retention.promise,
        on_erase=str(rows.on_erase),
        ground=rows.ground,
        exported=rows.export,
        columns=tuple(_column_entry(column, rows) for column in table.c),
    )


def _column_entry(column: Column[Any], rows: Rows) -> ColumnEntry:
    mark = marks.mark_of(column)
    fate = mark.on_erase if rows.on_erase is OnErase.KEEP and mark.category else rows.on_erase
    return ColumnEntry(
        name=column.name,
        title=title_of(column.name),
        category=mark.category,
        purposes=tuple(str(purpose) for purpose in mark.purposes),
        recipients=mark.recipients,
        exported=rows.export and mark.export,
        on_erase=str(fate),
    )
