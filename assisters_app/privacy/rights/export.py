"""Export (policy 6.4, GDPR Art. 20): everything of a person as a ZIP that starts at once and needs constant memory.

    begin(tx, who) -> Export                 raises Refused (reauthenticate, too_many); enters the request
    stream(export) -> AsyncIterator[bytes]   the file itself
    check_signature(manifest, signature, trusted)     raises Refused (not_genuine)

An HTTP route commits `begin` first, then answers with `stream`: media type MEDIA_TYPE, name `export.file_name`.

In the file: `data/<table>.jsonl` and `data/<table>.csv` with the same rows, `schema/<table>.json` (JSON Schema of a
line), README.txt, then `manifest.json` with the count of rows, size and SHA-256 of every file and the totals of usage
and money, and last `signature.json` (Ed25519 over the manifest's bytes).

The database is read at its own speed into a nameless sealed file (`overtaking`), from which whoever downloads reads at
theirs: no connection is held by a slow reader, and nothing is left when the download ends.
"""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Select, Table, func, select

from assisters_app.accounts import reauthentication
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base import contact, crypto, db, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.marks import Rows
from assisters_app.base.settings import settings
from assisters_app.billing import receipts
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import Subject, exported_columns, shown, subject_of
from assisters_app.privacy.policies import versions
from assisters_app.privacy.registers import signing
from assisters_app.privacy.rights import forms, requests, totals, writing
from assisters_app.privacy.rights.archive import Archive, Written, append
from assisters_app.privacy.rights.forms import Form
from assisters_app.privacy.rights.overtaking import Overtaking
from assisters_app.privacy.rights.progress import Progress

MEDIA_TYPE = "application/zip"
FORMAT = "assisters-export/2"
AT_A_TIME = 3  # exports of one process that read the database at the same time, so that others find a connection
OFTEN = Limit("export", 10, timedelta(days=1))

logger = logging.getLogger(__name__)

README = f"""Your data at Assisters

data/    every table that holds something of yours: as JSON Lines (one JSON object per line) and as CSV, the same rows
schema/  the JSON Schema of a line of each table
manifest.json   how many rows, how many bytes, and the SHA-256 of each file; what your usage and money come to,
                and the keys that the receipts of your requests verify with
signature.json  our signature (Ed25519) over manifest.json: whoever gets this file can tell that nothing was changed

Times are UTC (ISO 8601). Amounts named nano are billionths of a US dollar; amounts named cents are US cents.
In CSV files, text that a spreadsheet would run as a formula begins with an apostrophe; the JSON has it as it is.
Left out: what could be used to get into your account (hashes of secrets), and who else did something with it.
Another installation of this software reads the file in with `python -m assisters_app import-export FILE`.
Questions: {contact.EMAIL}
"""


@dataclass(frozen=True, slots=True)
class Export:
    """One export that was asked for and allowed."""

    account_id: UUID
    made_at: datetime
    file_name: str
    by_us: bool = False  # handed over in a transfer that was announced (policy 3.7), not asked for by the person


async def begin(tx: Tx, who: Person) -> Export:
    """Allow an export to somebody who has just proven who they are, and enter it in the register."""
    reauthentication.require_recent(who)
    begun = await allowed(tx, who)
    await requests.record(tx, "export", "dashboard", account_id=who.account_id, done="Downloaded from the dashboard")
    return begun


async def allowed(tx: Tx, who: Person) -> Export:
    """Allow an export for a request that is in the register already: `who` has proven who they are in another way."""
    await attempt(OFTEN, str(who.account_id))
    trail.write(tx, "account:exported", account_id=who.account_id, actor_id=who.account_id)
    return Export(who.account_id, now(), f"assisters-export-{now():%Y-%m-%d}.zip")


async def stream(export: Export) -> AsyncIterator[bytes]:
    """Yield the ZIP's bytes as soon as they are made; whether it was read to its end stands in the trail."""
    progress, file = Progress(export.account_id), Overtaking(settings().data_dir / "exports")
    writing = asyncio.create_task(_write(export, file, progress))
    try:
        async for part in file.parts():
            yield part
            progress.sent += len(part)
            await progress.tell()
        progress.state = "done"
    finally:
        ending = asyncio.create_task(_end(export, progress, file, writing))
        _endings.add(ending)  # a server that gives a reader up cancels every await from here on: this goes on
        ending.add_done_callback(_endings.discard)
        await asyncio.shield(ending)


async def _write(export: Export, file: Overtaking, progress: Progress) -> None:
    """Make the whole file from one snapshot of the database; the reader is told of what goes wrong."""
    try:
        archive = Archive(export.made_at)
        archive.put("README.txt", README.encode())
        _pass_on(archive, file, progress)
        await progress.tell(at_once=True)
        async with _turn(), db.snapshot() as tx:  # both forms of a table hold the same rows
            await _write_tables(tx, export, _Sink(archive, file, progress))
    except BaseException as problem:
        file.end(problem)
        raise
    file.end()
    progress.state = "sending"
    await progress.tell(at_once=True)


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where rows go: into the archive, from there into the file; and how far that is."""

    archive: Archive
    file: Overtaking
    progress: Progress


async def _write_tables(tx: Tx, export: Export, to: _Sink) -> None:
    subject = await subject_of(tx, export.account_id)
    exported = [(table, rows) for table, rows in inventory.personal_tables() if rows.export]
    to.progress.state, to.progress.of = "reading", len(Form) * await _count(tx, exported, subject)
    for table, rows in exported:
        to.archive.put(f"schema/{table.name}.json", forms.as_json(forms.schema_of(table)))
        await _write_rows(tx, table, question(table, rows, subject), to)
    manifest = forms.as_json(
        {
            "format": FORMAT,
            "made_at": export.made_at.isoformat(),
            "account_id": str(export.account_id),
            "policy_version": (await versions.in_force(tx)).version,
            "totals": await totals.of(tx, subject.organization_ids),
            "receipt_keys": [
                {"public_key": key.public_key, "since": key.since.isoformat()} for key in await receipts.keys(tx)
            ],
            "files": to.archive.lines(),
        }
    )
    to.archive.put("manifest.json", manifest)
    to.archive.put("signature.json", forms.as_json(signed(manifest)))
    to.archive.close()
    _pass_on(to.archive, to.file, to.progress)


async def _write_rows(tx: Tx, table: Table, question: Select[Any], to: _Sink) -> None:
    for form in Form:
        with to.archive.file(f"data/{table.name}.{form}", rows=0) as (entry, written):
            if form is Form.CSV:
                append(entry, written, forms.csv_head(forms.names(table)))
            # Closed here and not by the collector: PostgreSQL goes on writing, and the connection cannot be given back.
            async with aclosing(writing.written(tx, table, question, form)) as parts:
                await _pack(parts, entry, written, to)


async def _pack(parts: AsyncIterator[writing.Part], entry: IO[bytes], written: Written, to: _Sink) -> None:
    """Pack each part in a thread, while the next one is read."""
    packing = None
    try:
        async for lines, rows in parts:
            await _packed(packing, to)
            packing = asyncio.create_task(asyncio.to_thread(append, entry, written, lines, rows))
            to.progress.rows += rows
        await _packed(packing, to)
    finally:
        if packing is not None:
            await asyncio.wait([packing])  # the file is open until the last part is in it
            _heard(packing)


async def _packed(packing: asyncio.Task[None] | None, to: _Sink) -> None:
    if packing is not None:
        await packing
        _pass_on(to.archive, to.file, to.progress)
        await to.progress.tell()


def _pass_on(archive: Archive, file: Overtaking, progress: Progress) -> None:
    file.write(archive.take())
    file.tell()
    progress.made = file.size


async def _count(tx: Tx, exported: Sequence[tuple[Table, Rows]], subject: Subject) -> int:
    counts = [
        (await tx.sql(select(func.count()).select_from(table).where(shown(table, rows, subject)))).scalar_one()
        for table, rows in exported
    ]
    return sum(counts)


_endings: set[asyncio.Task[None]] = set()


async def _end(export: Export, progress: Progress, file: Overtaking, writing: asyncio.Task[None]) -> None:
    """Stop what still runs, and write down how it ended."""
    while not writing.done():  # more than once: a driver in the midst of connecting may swallow a cancellation
        writing.cancel()
        await asyncio.wait([writing], timeout=1)
    if problem := _heard(writing):
        logger.warning("An export broke off: %s.", type(problem).__name__)  # the reader may have left, and hear nothing
    file.close()
    if progress.state != "done":
        progress.state = "broken"
    await progress.tell(at_once=True)
    async with db.transaction() as tx:
        if await tx.get(Account, export.account_id, with_for_update={"read": True, "key_share": True}) is None:
            return  # erased meanwhile: nothing may lead to them again
        trail.write(
            tx,
            "export:sent" if progress.state == "done" else "export:broken-off",
            account_id=export.account_id,
            actor_id=None if export.by_us else export.account_id,
            rows=progress.rows // len(Form),
            bytes=progress.sent,
        )


def _heard(task: asyncio.Task[None]) -> BaseException | None:
    """Return what ended a task that is done; what nobody asks for is taken for an error that nobody handled."""
    return None if task.cancelled() else task.exception()


def question(table: Table, rows: Rows, subject: Subject) -> Select[Any]:
    """Return the rows of a table that the person gets, in the order in which they came to be."""
    order = (table.c[rows.since], *table.primary_key.columns)
    return select(*exported_columns(table, rows, subject)).where(shown(table, rows, subject)).order_by(*order)


_turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def _turn() -> asyncio.Semaphore:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_A_TIME))


def public_key() -> str:
    """Return the key that our exports verify with, in base64."""
    return _text(crypto.public_key_bytes(crypto.signing_key("exports").public_key()))


async def published_keys(tx: Tx) -> dict[str, Any]:
    """Return what `/.well-known/export-key.json` answers: the key of today, and those that signed before it."""
    ours = public_key()
    earlier = [
        {"public_key": key.public_key, "since": key.since.isoformat()}
        for key in await signing.keys(tx, "exports")
        if key.public_key != ours
    ]
    return {"algorithm": "Ed25519", "format": FORMAT, "public_key": ours, "earlier": earlier}


async def trusted_keys(tx: Tx) -> tuple[str, ...]:
    """Return every key that an export of ours may be signed with."""
    return (public_key(), *(key.public_key for key in await signing.keys(tx, "exports")))


def check_signature(manifest: bytes, signature: bytes, trusted: Sequence[str] = ()) -> None:
    """Raise Refused unless `manifest` is as one of the `trusted` keys signed it; without any, as we signed it."""
    keys = trusted or (public_key(),)
    try:
        said = orjson.loads(signature)
        key = str(said["public_key"])
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(base64.b64decode(said["signature"]), manifest)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, InvalidSignature):
        raise Refused("This export was changed after it was signed.", code="not_genuine") from None
    if key not in keys:
        raise Refused(
            f"This export is signed with the key {key}, which is not ours. If it is the one that its installation "
            "publishes at /.well-known/export-key.json, name it with --public-key.",
            code="not_genuine",
        )


def signed(manifest: bytes) -> dict[str, str]:
    """Return our signature over a manifest, with the key that it verifies with."""
    return {
        "algorithm": "Ed25519",
        "file": "manifest.json",
        "public_key": public_key(),
        "signature": _text(crypto.signing_key("exports").sign(manifest)),
    }


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
