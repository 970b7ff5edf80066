"""The two forms in which rows leave: JSON Lines and CSV, with the JSON Schema that describes a line."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Table

from assisters_app.base.marks import mark_of, rows_of
from assisters_app.privacy import inventory

Row = Mapping[str, Any]
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # a spreadsheet runs these


class Form(StrEnum):
    """How rows leave; its value is how a file's name ends."""

    LINES = "jsonl"
    CSV = "csv"


def names(table: Table) -> list[str]:
    """Return the columns that leave, in the table's order."""
    return [column.name for column in table.c if mark_of(column).export]


def may_be_empty(table: Table, name: str) -> bool:
    """Return whether a line may lack a value here: it has none, or it would say who else did something."""
    column = table.c[name]
    return bool(column.nullable or name in rows_of(table).mentions or mark_of(column).about)


def schema_of(table: Table) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line of a table's export."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": rows_of(table).title,
        "type": "object",
        "additionalProperties": False,
        "required": names(table),
        "properties": {
            name: _schema_of_type(inventory.kind_of(table.c[name]), nullable=may_be_empty(table, name))
            for name in names(table)
        },
    }


def _schema_of_type(kind: type[Any], *, nullable: bool) -> dict[str, Any]:
    types = {bool: "boolean", int: "integer", float: "number", dict: "object"}
    formats = {UUID: "uuid", datetime: "date-time", date: "date"}
    name = types.get(kind, "string")
    schema: dict[str, Any] = {"type": [name, "null"] if nullable else name}
    return {**schema, "format": formats[kind]} if kind in formats else schema


def as_lines(batch: Sequence[Row]) -> bytes:
    """Return rows as JSON Lines."""
    return b"".join(orjson.dumps(dict(row), option=orjson.OPT_APPEND_NEWLINE, default=str) for row in batch)


def as_csv(batch: Sequence[Row], columns: Sequence[str]) -> bytes:
    """Return rows as lines of CSV (RFC 4180)."""
    return _csv_lines([[_cell(row[name]) for name in columns] for row in batch])


def csv_head(columns: Sequence[str]) -> bytes:
    """Return the first line of a CSV file."""
    return _csv_lines([list(columns)])


def as_json(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """Return a value as JSON that people can read."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _csv_lines(lines: Sequence[Sequence[str]]) -> bytes:
    page = io.StringIO()
    csv.writer(page, lineterminator="\r\n").writerows(lines)
    return page.getvalue().encode()


def _cell(value: Any) -> str:  # noqa: ANN401 (any column's value)
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULAS) else value
    if isinstance(value, datetime):
        return value.isoformat()
    return orjson.dumps(value).decode() if isinstance(value, dict | list | bool) else str(value)
