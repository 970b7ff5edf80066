"""Export (policy 6.4, GDPR Art. 20): everything of a person as a ZIP that starts at once and needs constant memory.

    begin(tx, who) -> Export                 raises Refused (reauthenticate, too_many); enters the request
    stream(export) -> AsyncIterator[bytes]   the file itself, straight from the database; nothing is left on the server

An HTTP route commits `begin` first, then answers with `stream`: media type MEDIA_TYPE, name `export.file_name`.

In the file: `data/<table>.jsonl` and `data/<table>.csv` with the same rows, `schema/<table>.json` (JSON Schema of a
line), README.txt, and last `manifest.json` with the count of rows, size and SHA-256 of every file.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Any
from uuid import UUID

import orjson
from sqlalchemy import Select, Table, select

from assisters_app.accounts import reauthentication
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base import contact, db, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.marks import Rows, mark_of
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import Subject, exported_columns, shown, subject_of
from assisters_app.privacy.policies import policy
from assisters_app.privacy.rights import requests

MEDIA_TYPE = "application/zip"
FORMAT = "assisters-export/1"
AT_ONCE = 500  # rows in memory
OFTEN = Limit("export", 10, timedelta(days=1))

README = f"""Your data at Assisters

data/    every table that holds something of yours: as JSON Lines (one JSON object per line) and as CSV, the same rows
schema/  the JSON Schema of a line of each table
manifest.json  how many rows, how many bytes, and the SHA-256 of each file

Times are UTC (ISO 8601). Amounts named nano are billionths of a US dollar; amounts named cents are US cents.
In CSV files, text that a spreadsheet would run as a formula begins with an apostrophe; the JSON has it as it is.
Left out: what could be used to get into your account (hashes of secrets), and who else did something with it.
Questions: {contact.EMAIL}
"""


@dataclass(frozen=True, slots=True)
class Export:
    """One export that was asked for and allowed."""

    account_id: UUID
    made_at: datetime
    file_name: str


@dataclass(slots=True)
class _Written:
    """What the manifest says of one file, as it grows."""

    path: str
    rows: int | None = None
    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)

    def line(self) -> dict[str, Any]:
        counted = {} if self.rows is None else {"rows": self.rows}
        return {"path": self.path, **counted, "bytes": self.size, "sha256": self.sha256.hexdigest()}


class _Outgoing:
    """Where the ZIP is written to: holds the bytes of the moment until they are sent."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: `take` empties it."""

    def take(self) -> bytes:
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken


Row = Mapping[str, Any]
Format = Callable[[Sequence[Row], Sequence[str]], bytes]


async def begin(tx: Tx, who: Person) -> Export:
    """Allow an export to somebody who has just proven who they are, and enter it in the register."""
    reauthentication.require_recent(who)
    await attempt(OFTEN, str(who.account_id))
    await requests.record(tx, "export", "dashboard", account_id=who.account_id, done="Downloaded from the dashboard")
    trail.write(tx, "account:exported", account_id=who.account_id, actor_id=who.account_id)
    return Export(who.account_id, now(), f"assisters-export-{now():%Y-%m-%d}.zip")


async def stream(export: Export) -> AsyncIterator[bytes]:
    """Yield the ZIP's bytes, read from one snapshot of the database through server-side cursors."""
    outgoing = _Outgoing()
    files: list[_Written] = []
    async with db.snapshot() as tx:  # both forms of a table hold the same rows
        subject = await subject_of(tx, export.account_id)
        with zipfile.ZipFile(outgoing, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
            _put(archive, export, files, "README.txt", README.encode())
            for table, rows in inventory.personal_tables():
                if not rows.export:
                    continue
                _put(archive, export, files, f"schema/{table.name}.json", _json(schema_of(table, rows)))
                for ending, form in (("jsonl", _as_lines), ("csv", _as_csv)):
                    written = _Written(f"data/{table.name}.{ending}", rows=0)
                    files.append(written)
                    with _entry(archive, export, written.path) as entry:
                        if ending == "csv":
                            _append(entry, written, _as_csv_head(_names(table)))
                        async for batch in _batches(tx, _question(table, rows, subject)):
                            _append(entry, written, form(batch, _names(table)))
                            written.rows = (written.rows or 0) + len(batch)
                            yield outgoing.take()
            _put(archive, export, [], "manifest.json", _json(_manifest(export, files)))
    yield outgoing.take()


def schema_of(table: Table, rows: Rows) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line of a table's export."""
    hidden = {*rows.mentions, *(column.name for column in table.c if mark_of(column).about)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": rows.title,
        "type": "object",
        "additionalProperties": False,
        "required": _names(table),
        "properties": {
            name: _schema_of_type(inventory.kind_of(table.c[name]), nullable=table.c[name].nullable or name in hidden)
            for name in _names(table)
        },
    }


def _schema_of_type(kind: type[Any], *, nullable: bool) -> dict[str, Any]:
    types = {bool: "boolean", int: "integer", float: "number", dict: "object"}
    formats = {UUID: "uuid", datetime: "date-time"}
    name = types.get(kind, "string")
    schema: dict[str, Any] = {"type": [name, "null"] if nullable else name}
    return {**schema, "format": formats[kind]} if kind in formats else schema


def _question(table: Table, rows: Rows, subject: Subject) -> Select[Any]:
    order = (table.c[rows.since], *table.primary_key.columns)
    return select(*exported_columns(table, rows, subject)).where(shown(table, rows, subject)).order_by(*order)


async def _batches(tx: Tx, question: Select[Any]) -> AsyncIterator[Sequence[Row]]:
    result = await tx.stream(question.execution_options(yield_per=AT_ONCE))
    async for batch in result.mappings().partitions():
        yield batch


def _names(table: Table) -> list[str]:
    return [column.name for column in table.c if mark_of(column).export]


def _as_lines(batch: Sequence[Row], _names: Sequence[str]) -> bytes:
    return b"".join(orjson.dumps(dict(row), option=orjson.OPT_APPEND_NEWLINE, default=str) for row in batch)


def _as_csv(batch: Sequence[Row], names: Sequence[str]) -> bytes:
    return _csv_lines([[_cell(row[name]) for name in names] for row in batch])


def _as_csv_head(names: Sequence[str]) -> bytes:
    return _csv_lines([list(names)])


def _csv_lines(lines: Sequence[Sequence[str]]) -> bytes:
    page = io.StringIO()
    csv.writer(page, lineterminator="\r\n").writerows(lines)  # RFC 4180
    return page.getvalue().encode()


def _cell(value: Any) -> str:  # noqa: ANN401 (any column's value)
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    if isinstance(value, datetime):
        return value.isoformat()
    return _json(value).decode().strip() if isinstance(value, dict | list | bool) else str(value)


def _put(archive: zipfile.ZipFile, export: Export, files: list[_Written], path: str, content: bytes) -> None:
    written = _Written(path)
    files.append(written)
    with _entry(archive, export, path) as entry:
        _append(entry, written, content)


def _entry(archive: zipfile.ZipFile, export: Export, path: str) -> IO[bytes]:
    info = zipfile.ZipInfo(path, export.made_at.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)


def _append(entry: IO[bytes], written: _Written, content: bytes) -> None:
    entry.write(content)
    written.size += len(content)
    written.sha256.update(content)


def _manifest(export: Export, files: list[_Written]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_at": export.made_at.isoformat(),
        "account_id": str(export.account_id),
        "policy_version": policy.CURRENT.version,
        "files": [written.line() for written in files],
    }


def _json(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
