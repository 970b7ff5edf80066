"""Import: an export of one installation read into another, where its person's account is new.

    read_in(tx, path, trusted) -> Imported
        raises Refused (not_an_export, not_genuine, changed, known, other_totals, erased)

Everything is read in one transaction, and nothing stays unless the signature, each file's size and hash, each row's
types and, at the end, the totals of usage and money are those of the manifest. What was left out of the export cannot
come back: the person chooses a new password, keys are there as history and open nothing, nobody is signed in.
"""

import functools
import hashlib
import io
import secrets
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pydantic
from sqlalchemy import Column, Table, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, col, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.ids import new_id
from assisters_app.base.marks import SHORT_LIVED
from assisters_app.billing import receipts
from assisters_app.privacy import inventory
from assisters_app.privacy.erasing import ledger, stamp
from assisters_app.privacy.rights import export, forms, totals
from assisters_app.usage import ddl

AT_ONCE = 500  # rows in one statement
PART = 1 << 16  # bytes read at once
LONGEST = 4 << 20  # bytes of one line; no row of ours comes near it
SMALL = 16 << 20  # bytes of the manifest

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read in: how many rows of each table, and what usage and money come to."""

    email: str
    account_id: UUID
    rows: dict[str, int]
    totals: dict[str, int]
    left_out: tuple[str, ...]  # tables of what had served its time, and is not read in


async def read_in(tx: Tx, path: Path, trusted: Sequence[str] = ()) -> Imported:
    """Read an export into this installation; without `trusted` keys it must be one of ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            return await _read_in(tx, archive, trusted or await export.trusted_keys(tx))
    except OSError as problem:
        raise Refused(f"{path} cannot be read: {problem.strerror}.", code="not_an_export") from None
    except (zipfile.BadZipFile, KeyError, EOFError) as problem:
        raise Refused(f"{path.name} is not an export that can be read: {problem}.", code="not_an_export") from None


async def _read_in(tx: Tx, archive: zipfile.ZipFile, trusted: Sequence[str]) -> Imported:
    manifest = _manifest(archive, trusted)
    await _require_not_erased(tx, UUID(manifest["account_id"]))
    files = {str(line["path"]): line for line in manifest["files"]}
    _require_all_known(archive, files)
    for line in manifest["files"]:
        _require_unchanged(archive, line)
    read: dict[str, int] = {}
    left_out = []
    for table, rows in inventory.personal_tables():
        line = files.get(f"data/{table.name}.jsonl")
        if line is None or not rows.export:
            continue
        if rows.retention is SHORT_LIVED:
            left_out.append(rows.title)
            continue
        read[table.name] = await _read_table(tx, table, _lines(archive, line["path"]))
        if read[table.name] != line["rows"]:
            raise Refused(f"{line['path']} holds {read[table.name]} rows instead of {line['rows']}.", code="changed")
    return await _checked(tx, manifest, read, tuple(left_out))


async def _checked(tx: Tx, manifest: dict[str, Any], read: dict[str, int], left_out: tuple[str, ...]) -> Imported:
    account = await tx.get(Account, UUID(manifest["account_id"]))
    if account is None:
        raise Refused("This export holds no account.", code="not_an_export")
    owned = (await tx.exec(select(Organization.id).where(col(Organization.owner_id) == account.id))).all()
    found, promised = await totals.of(tx, owned), manifest["totals"]
    if found != promised:
        differing = ", ".join(f"{name} {found.get(name)} instead of {promised[name]}" for name in promised)
        raise Refused(f"The totals are not those of the export: {differing}.", code="other_totals")
    await _bring_in_keys(tx, owned, manifest.get("receipt_keys", []))
    trail.write(tx, "account:imported", account_id=account.id, rows=sum(read.values()))
    return Imported(account.email, account.id, read, found, left_out)


async def _bring_in_keys(tx: Tx, owned: Sequence[UUID], told: Sequence[Line]) -> None:
    """Publish what the receipts that were read in verify with: they were signed elsewhere."""
    try:
        keys = [receipts.PublicKey("", key["public_key"], datetime.fromisoformat(key["since"])) for key in told]
        await receipts.bring_in(tx, owned, keys)
    except (TypeError, ValueError) as problem:
        raise Refused(f"The manifest names a key that is none: {problem}.", code="not_an_export") from None


async def _require_not_erased(tx: Tx, account_id: UUID) -> None:
    """Refuse whoever was erased here: a file does not undo that, and the next restore would erase them again."""
    known = ledger.told(await stamp.known(tx)).values()
    if known and ledger.mark_of(account_id) in {told.account for told in known if told.final}:
        raise Refused(
            "This account was erased here, for good. Whoever comes back opens a new one.", code="erased", status=409
        )


def _manifest(archive: zipfile.ZipFile, trusted: Sequence[str]) -> dict[str, Any]:
    told, signature = _small(archive, "manifest.json"), _small(archive, "signature.json")
    export.check_signature(told, signature, trusted)
    manifest: dict[str, Any] = orjson.loads(told)
    if manifest["format"] != export.FORMAT:
        raise Refused(f"This version reads {export.FORMAT}, not {manifest['format']}.", code="not_an_export")
    return manifest


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(SMALL + 1)
    if len(content) > SMALL:
        raise Refused(f"{name} is larger than any of ours.", code="not_an_export")
    return content


def _require_all_known(archive: zipfile.ZipFile, files: dict[str, Any]) -> None:
    """Refuse a file with tables that this version does not know: half of somebody's data is not their data."""
    known = {f"data/{table.name}.jsonl" for table, rows in inventory.personal_tables() if rows.export}
    strange = {name for name in files if name.endswith(".jsonl")} - known
    if strange:
        raise Refused(f"This version does not know {', '.join(sorted(strange))}.", code="not_an_export")
    if set(archive.namelist()) != {*files, "manifest.json", "signature.json"}:
        raise Refused("The file holds other files than its manifest says.", code="changed")


def _require_unchanged(archive: zipfile.ZipFile, told: dict[str, Any]) -> None:
    """Refuse a file that is not the one that was signed, before any of it is taken for data."""
    size, seen = 0, hashlib.sha256()
    with archive.open(told["path"]) as file:
        while size <= told["bytes"] and (part := file.read(PART)):
            size += len(part)
            seen.update(part)
    if size != told["bytes"] or seen.hexdigest() != told["sha256"]:
        raise Refused(f"{told['path']} is not the file that was exported.", code="changed")


def _lines(archive: zipfile.ZipFile, path: str) -> Iterator[bytes]:
    with archive.open(path) as packed, io.BufferedReader(packed, PART) as file:  # type: ignore[type-var]
        while line := file.readline(LONGEST):
            yield line


async def _read_table(tx: Tx, table: Table, lines: Iterator[bytes]) -> int:
    parse, count = _parser(table), 0
    while batch := _some(table, parse, lines):
        if table.name in ddl.COLUMN:
            await ddl.make_room(tx, {row[ddl.COLUMN[table.name]] for row in batch})
        try:
            await tx.sql(insert(table), batch)
        except IntegrityError:
            raise Refused(
                f"This account, or a part of it (table {table.name}), is here already: it is read in once, into an "
                "installation that does not know it.",
                code="known",
                status=409,
            ) from None
        count += len(batch)
    return count


def _some(table: Table, parse: type[pydantic.BaseModel], lines: Iterator[bytes]) -> list[Line]:
    batch: list[Line] = []
    for line in lines:
        try:
            row = parse.model_validate_json(line).model_dump()
        except pydantic.ValidationError as problem:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors()[:3])
            raise Refused(f"A row of {table.name} is not as its schema says ({wrong}).", code="changed") from None
        batch.append(_as_history(table.name, _filled(table, row)))
        if len(batch) == AT_ONCE:
            break
    return batch


@functools.cache
def _parser(table: Table) -> type[pydantic.BaseModel]:
    """Return what checks a line: every exported column, and no other, each of its own type."""
    fields: dict[str, Any] = {}
    for name in forms.names(table):
        kind = inventory.kind_of(table.c[name])
        fields[name] = (kind | None if forms.may_be_empty(table, name) else kind, ...)
    strict = pydantic.ConfigDict(strict=True, extra="forbid")
    return pydantic.create_model(table.name, __config__=strict, **fields)


def _as_history(table_name: str, row: Line) -> Line:
    """Return a row that opens nothing here and sets nothing going; nobody becomes staff by a file."""
    if table_name == "api_key":
        return {**row, "revoked_at": row["revoked_at"] or now()}
    if table_name == "account":
        return {**row, "role": "member"}
    if table_name == "erasure" and not row["carried_out_at"]:
        return {**row, "withdrawn_at": row["withdrawn_at"] or now()}
    if table_name == "mailbox_recovery" and not row["ended_at"]:  # nobody here has seen proofs, or could stop it before
        return {**row, "ended_at": now(), "outcome": "lapsed"}
    if table_name == "stripe_event" and not row["handled_at"]:  # it is handled in the house that it was sent to
        return {**row, "handled_at": now()}
    return row


def _filled(table: Table, row: Line) -> Line:
    """Return a row with what the export left out: its usual value, or where there is none a value nobody knows."""
    filled = {name: _usual(table, name) for name in table.c.keys() - row.keys()}
    unknown = {
        name: _unknown(table.c[name])
        for name, value in {**filled, **row}.items()
        if value is None and not table.c[name].nullable
    }
    return {**filled, **row, **unknown}


def _usual(table: Table, name: str) -> Any:  # noqa: ANN401 (any column's value)
    field = _models()[table.name].model_fields[name]
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _unknown(column: Column[Any]) -> Any:  # noqa: ANN401 (as above)
    kind = inventory.kind_of(column)
    made = {UUID: new_id, bytes: lambda: secrets.token_bytes(32), str: lambda: secrets.token_hex(32), datetime: now}
    value = made[kind]()
    return value[: getattr(column.type, "length", None)] if isinstance(value, str) else value


@functools.cache
def _models() -> dict[str, type[SQLModel]]:
    mappers = SQLModel._sa_registry.mappers  # noqa: SLF001 (SQLModel offers no other way to them)
    return {str(mapper.class_.__tablename__): mapper.class_ for mapper in mappers}
