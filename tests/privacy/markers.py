"""A row in every table for one person, each column filled with a text found nowhere else, made from the metadata alone.

A table or column added tomorrow is filled too: nothing here names one, but for what the database's own rules demand.
"""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, insert, text, update

from assisters_app.accounts.sessions import Person
from assisters_app.base import sealed_text
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
    filled, ids = Filled(person), {"account": person.account_id, "organization": person.organization_id}
    await ddl.ahead(tx)
    for table, rows in inventory.personal_tables():
        known = _known(table, rows, person, other, ids)
        blank = [column for column in table.c if column.name not in known]
        fillings = {column.name: _filling(column, filled, rows, other, at or now()) for column in blank}
        if table.name in OPENED_BY_SIGNING_UP:
            await _mark_existing(tx, table, rows, person, fillings)
            filled.markers = [m for m in filled.markers if m.table is not table or m.column.name in _free(table, rows)]
        else:
            await _insert(tx, table, {**fillings, **known})
        ids.setdefault(table.name, fillings.get("id"))
    return filled


def _known(table: Table, rows: Rows, person: Person, other: UUID, ids: dict[str, Any]) -> dict[str, Any]:
    """Return the columns whose value is not free: whose row it is, who is mentioned, which rows it refers to."""
    refers = {key.parent.name: ids[key.column.table.name] for key in table.foreign_keys}
    owner = {name: ids[kind] for kind, name in (("account", rows.account), ("organization", rows.organization)) if name}
    return {**refers, **dict.fromkeys(rows.mentions, other), **owner}


def _filling(column: Column[Any], filled: Filled, rows: Rows, other: UUID, at: datetime) -> Any:
    kind = inventory.kind_of(column)
    if kind in (str, dict, bytes) and getattr(column.type, "length", None) not in range(1, SHORTEST):
        text_ = f"zq{next(_number):05d}"
        whose = other if mark_of(column).about else filled.person.account_id
        filled.markers.append(Marker(text_, column.table, column, mark_of(column), rows, whose))
        return {str: text_, dict: {"seen": text_}, bytes: text_.encode()}[kind]
    number = next(_number)
    return {
        str: "usd", datetime: at, date: at.date(), UUID: new_id(), bool: True, int: number, float: float(number)
    }[kind]  # fmt: skip


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
    """Return a row's text with its bytes as the text they may hold, and what is sealed in it as it was."""
    row = re.sub(re.escape(sealed_text.MARK) + "[a-z2-7]+", lambda found: sealed_text.unseal(found[0]), row)
    for part in row.split("\\x")[1:]:
        digits = "".join(iter(_hexadecimal(part)))
        row += bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("latin-1")
    return row


def _hexadecimal(text_: str) -> str:
    end = next((i for i, c in enumerate(text_) if c not in "0123456789abcdef"), len(text_))
    return text_[:end]
