"""A row in every table for one person, each column filled with a text found nowhere else, made from the metadata alone.

A table or column added tomorrow is filled too: nothing here names one, but for what the database's own rules demand.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, insert, select, text, update

from assisters_app.accounts.sessions import Person
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.ids import new_id
from assisters_app.base.marks import Mark, OnErase, Rows, mark_of
from assisters_app.privacy import inventory
from assisters_app.usage import ddl

_number = count(1)
SHORTEST = 7  # characters a marker needs; shorter columns cannot identify anybody
OPENED_BY_SIGNING_UP = ("account", "organization", "membership")


@dataclass(frozen=True)
class Marker:
    """One text in one column. `whose` is the account that the column speaks of."""

    text: str
    table: Table
    column: Column[Any]
    mark: Mark
    rows: Rows
    whose: UUID

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column.name}"

    @property
    def exported(self) -> bool:
        return self.rows.export and self.mark.export

    @property
    def declared_kept(self) -> bool:
        """True when the marks say that this stays after erasure."""
        if self.rows.on_erase is OnErase.DELETE:
            return False
        return self.mark.category is None or self.mark.on_erase is OnErase.KEEP


@dataclass
class Filled:
    """A person whose every column is marked."""

    person: Person
    markers: list[Marker] = field(default_factory=list)


async def fill(tx: Tx, person: Person, *, other: UUID, at: datetime | None = None) -> Filled:
    """Put one row into every table that leads to a person; mentions name `other`."""
    filled, made = Filled(person), {"account": person.account_id, "organization": person.organization_id}
    await ddl.ahead(tx)
    for table, rows in inventory.personal_tables():
        values = {column.name: _value(column, filled, rows, other, made, at or now()) for column in table.c}
        if table.name in OPENED_BY_SIGNING_UP:
            await _mark_existing(tx, table, rows, person, values)
            filled.markers = [m for m in filled.markers if m.table is not table or m.column.name in _free(table, rows)]
        else:
            await _insert(tx, table, values)
        made[table.name] = values.get("id")
    return filled


def _value(column: Column[Any], filled: Filled, rows: Rows, other: UUID, made: dict[str, Any], at: datetime) -> Any:  # noqa: ANN401, PLR0913
    if column.name == rows.account:
        return filled.person.account_id
    if column.name == rows.organization:
        return filled.person.organization_id
    if column.name in rows.mentions:
        return other
    for key in column.foreign_keys:
        return made[key.column.table.name]
    whose = other if mark_of(column).about else filled.person.account_id
    return _filling(column, filled, rows, whose, at)


def _filling(column: Column[Any], filled: Filled, rows: Rows, whose: UUID, at: datetime) -> Any:  # noqa: ANN401
    kind = inventory.kind_of(column)
    if kind is datetime:
        return at
    if kind is UUID:
        return new_id()
    if kind is bool:
        return True
    if kind in (int, float):
        return kind(next(_number))
    if kind.__name__ == "date":
        return at.date()
    room = getattr(column.type, "length", None)
    if kind is str and room and room < SHORTEST:
        return "usd"
    marker = f"zq{next(_number):05d}"
    filled.markers.append(Marker(marker, column.table, column, mark_of(column), rows, whose))
    return {str: marker, dict: {"seen": marker}, bytes: marker.encode()}[kind]


def _free(table: Table, rows: Rows) -> list[str]:
    """Return the columns of a row made by signing up that may hold anything: none that it is found by."""
    fixed = {"id", "email", "handle", "role", "time_zone", rows.account, rows.organization}
    return [
        column.name
        for column in table.c
        if inventory.kind_of(column) is str and column.name not in fixed and not column.foreign_keys
    ]


async def _mark_existing(tx: Tx, table: Table, rows: Rows, person: Person, values: dict[str, Any]) -> None:
    free = {name: values[name] for name in _free(table, rows)}
    if free:
        await tx.sql(update(table).where(table.c[rows.account or ""] == person.account_id).values(free))


async def _insert(tx: Tx, table: Table, values: dict[str, Any]) -> None:
    if table.name == "ledger_entry":  # two sides, or the database refuses
        await tx.sql(insert(table), [{**values, "id": new_id(), "amount_nano": -values["amount_nano"]}])
    await tx.sql(insert(table).values(values))


async def everything(tx: Tx) -> dict[str, list[str]]:
    """Return every row of every table in the schema as text: what a dump of the database would show."""
    names = await tx.sql(
        text("SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
             "WHERE n.nspname = 'assisters' AND c.relkind IN ('r', 'p') AND NOT c.relispartition")
    )  # fmt: skip
    dump = {}
    for (name,) in names.all():
        rows = await tx.sql(text(f'SELECT t::text FROM assisters."{name}" t'))
        dump[name] = [_readable(row) for (row,) in rows.all()]
    return dump


def _readable(row: str) -> str:
    """Return a row's text with its bytes as the text they may hold."""
    for part in row.split("\\x")[1:]:
        digits = "".join(iter(_hexadecimal(part)))
        row += bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("latin-1")
    return row


def _hexadecimal(text_: str) -> str:
    end = next((i for i, c in enumerate(text_) if c not in "0123456789abcdef"), len(text_))
    return text_[:end]


async def rows_of_person(tx: Tx, table: Table, column: str, value: UUID) -> list[Any]:
    """Return the rows of `table` whose `column` is `value`."""
    return list((await tx.sql(select(table).where(table.c[column] == value))).mappings())


LONG_AGO = timedelta(days=3650)
