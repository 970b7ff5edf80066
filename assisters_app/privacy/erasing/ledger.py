"""The erasure ledger: a file outside the database, so that a restored backup cannot forget who was erased.

    append(what, **facts) -> Entry         written, flushed to the disk, and chained to the line before
    append_all(lines)                      many at once, flushed once
    read() -> tuple[Entry, ...]            every line, verified; () where there is no ledger yet; raises LedgerError
    told(entries) -> dict[str, Told]       what is known of each erasure, by the number of its receipt
    mark_of(id) -> str                     what the ledger calls an account, an organization or a key
    for_a_while(text, whose) -> str        sealed under a key that goes with the last backup that could need it
    opened(sealed, whose) -> str | None    gives it back until then

`<data_dir>/erasures.jsonl` is only ever appended to. It holds no personal data: whom a line is about is an HMAC-SHA256
over the id of an account, under a key that lies beside it and nowhere else, so that a changed pepper does not make it
forget. Ids are random, so a mark leads to nobody without a database that still holds the person; that is its purpose.

It also tells what else a restored backup must not undo (`unforgotten`): what words that needs are sealed under the key
of their day, and no key of a day outlives the backups that could need it. A person's own words (their address) open
with the id of their account besides, which stands in no line: once the account is erased, only a backup from before
knows it, and that has the address itself. Workers on several machines share the directory. A line that a crash cut
short was never relied upon, and goes.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from assisters_app.base import crypto
from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.privacy.erasing import backups

FIRST = "0" * 64  # what the first line names as the one before it
KEY_BYTES = 32
BLOCK = 65_536  # bytes read at a time in search of the last line
WHILE = backups.KEPT + timedelta(hours=2)  # how long a day's words are needed: as its last backup, and its restoring
LATE = timedelta(hours=2)  # after which a key that still lies there breaks the promise: they are destroyed each hour
OWN = "+"  # marks a day's words that open only with the id of whose they are

BEGUN, ASKED, WITHDRAWN, ERASING, ERASED = "begun", "asked", "withdrawn", "erasing", "erased"


class LedgerError(Refused):
    """The ledger was altered, cut, or lost. The message is a sentence for the operator."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="ledger_broken", status=503)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `facts` are what is said, `link` is what the next line names as the one before it."""

    number: int
    at: datetime
    what: str
    facts: dict[str, Any]
    link: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger knows of one erasure. `receipt` is what was handed out, None until it was carried out."""

    receipt_handle: str
    account: str  # its mark
    organizations: frozenset[str] = frozenset()  # theirs
    requested_at: datetime | None = None
    carry_out_at: datetime | None = None
    at_once: bool = False
    withdrawn: bool = False
    begun: bool = False  # whether its destruction was begun
    receipt: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def final(self) -> bool:
        """Whether nothing of the person may be anywhere any more, or will be in a moment."""
        return self.begun or self.receipt is not None


def append(what: str, **facts: Any) -> Entry:  # noqa: ANN401 (what goes into JSON)
    """Write one line and flush it to the disk before returning; the file and its key are made at first use."""
    return _entry(append_all([(what, facts)]))


def append_all(lines: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    """Write some lines, flush them to the disk together, and return the last."""
    _key()  # never a ledger without its key
    with _locked() as file:
        last = _last_line(file)
        if last is None and lines[0][0] != BEGUN:
            lines = [(BEGUN, {"ledger": new_identity()}), *lines]
        return _write(file, last, lines)


def read() -> tuple[Entry, ...]:
    """Return every line, once the chain has been verified from the first to the last.

    What this process has verified before is recognised by its hash, so that only what is new is read line by line.
    """
    global _read_before  # noqa: PLW0603 (it spares reading a long ledger again each time)
    try:
        content = path().read_bytes()
    except FileNotFoundError:
        return ()
    content = content[: content.rfind(b"\n") + 1]  # what follows the last line's end was cut short by a crash
    size, digest, known = _read_before
    if len(content) < size or hashlib.sha256(memoryview(content)[:size]).digest() != digest:
        size, known = 0, ()
    entries = (*known, *_verified(content[size:].split(b"\n")[:-1], known[-1] if known else None))
    _read_before = (len(content), hashlib.sha256(content).digest(), entries)
    return entries


_read_before: tuple[int, bytes, tuple[Entry, ...]] = (0, hashlib.sha256().digest(), ())


def _verified(lines: list[bytes], last: Entry | None) -> list[Entry]:
    entries, before = [], last.link if last else FIRST
    for number, line in enumerate(lines, start=last.number + 1 if last else 1):
        try:
            said = json.loads(line)
            fits = (said["number"], said["previous"]) == (number, before)
            entry = _entry(line)
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise LedgerError(f"Line {number} of the erasure ledger does not follow the one before it: it was altered.")
        entries.append(entry)
        before = entry.link
    return entries


def exists() -> bool:
    """Return whether anything was ever written down here."""
    try:
        return path().stat().st_size > 0
    except FileNotFoundError:
        return False


def new_identity() -> str:
    """Return a name for a ledger that begins."""
    return secrets.token_hex(16)


def identity(entries: tuple[Entry, ...]) -> str:
    """Return the name that tells this ledger from any other."""
    return str(entries[0].facts["ledger"])


def told(entries: Iterable[Entry]) -> dict[str, Told]:
    """Return what is known of each erasure, in the order in which they were first heard of."""
    known: dict[str, Told] = {}
    for entry in entries:
        handle = entry.facts.get("receipt")
        if handle is not None:
            known[handle] = _learn(known.get(handle) or Told(handle, entry.facts.get("account", "")), entry)
    return known


def mark_of(id_: UUID) -> str:
    """Return what the ledger calls an account or an organization: 64 hex characters."""
    return marker()(id_)


def marker() -> Callable[[UUID], str]:
    """Return `mark_of` for many ids at once: the key is read once."""
    key = _key()
    return lambda id_: hmac.digest(key, id_.bytes, "sha256").hex()


def mark_of_text(kind: str, text: str) -> str:
    """Return what the ledger calls a text of one kind, such as the hash of a password: to be compared with, only."""
    return hmac.digest(_key(), f"{kind}:{text}".encode(), "sha256").hex()


def for_a_while(text: str, whose: UUID | None = None) -> str:
    """Seal a text under today's key; nobody can open it any more once no backup from before today may be restored.

    With `whose` it takes that id, too, to open it: nobody can who has neither the database with that account nor a
    backup of it.
    """
    day = now().date().isoformat()
    where = _day_key(day)
    if not where.exists():
        with _locked():
            if not where.exists():
                where.parent.mkdir(mode=0o700, exist_ok=True)
                _make_key(where)
    sealed = crypto.seal_under(_of(where.read_bytes(), whose), text.encode(), f"ledger/{day}")
    return f"{day}{OWN if whose else ''} {base64.b64encode(sealed).decode()}"


def opened(sealed: str, whose: UUID | None = None) -> str | None:
    """Return the text that `for_a_while` was given, None once its key is destroyed. Lines of before name no `whose`."""
    named, _, body = sealed.partition(" ")
    day = named.removesuffix(OWN)
    try:
        key = _day_key(date.fromisoformat(day).isoformat()).read_bytes()
    except FileNotFoundError:
        return None
    key = _of(key, whose) if named.endswith(OWN) else key
    return crypto.unseal_under(key, base64.b64decode(body), f"ledger/{day}").decode()


def _of(key: bytes, whose: UUID | None) -> bytes:
    """Return a day's key for one account: from the random bits of its id, which the ledger does not hold."""
    return hmac.digest(key, b"whose" + whose.bytes, "sha256") if whose else key


def destroy_old_keys() -> int:
    """Destroy the keys of days that lie before every backup there may be; return how many went."""
    old = old_keys(now())
    for one in old:
        one.write_bytes(bytes(KEY_BYTES))
        one.unlink()
    return len(old)


def old_keys(at: datetime) -> tuple[Path, ...]:
    """Return the keys of days that no backup could need any more at that moment."""
    last = (at - WHILE).date().isoformat()
    return tuple(one for one in _day_key("x").parent.glob("*-*-*") if one.name < last)


def _day_key(day: str) -> Path:
    return path().with_name("erasures.keys") / day


def put_aside() -> None:
    """Rename what is left of a ledger that is no longer the one; the next line begins another, under a new key."""
    for left in (path(), path().with_name("erasures.key"), path().with_name("erasures.keys")):
        if left.exists():
            left.rename(left.with_name(f"{left.name}.{now():%Y%m%dT%H%M%S}"))


def path() -> Path:
    """Return where the ledger is."""
    return settings().data_dir / "erasures.jsonl"


def _learn(known: Told, entry: Entry) -> Told:
    facts = entry.facts
    match entry.what:
        case "asked":
            return replace(
                known,
                requested_at=datetime.fromisoformat(facts["requested_at"]),
                carry_out_at=datetime.fromisoformat(facts["carry_out_at"]),
                at_once=facts["at_once"],
            )
        case "withdrawn":
            return replace(known, withdrawn=True)
        case "erasing":
            return replace(known, begun=True, organizations=frozenset(facts["organizations"]))
        case "erased":
            return replace(known, begun=True, receipt={name: facts[name] for name in ("body", "signature", "key")})
        case _:
            return known


def _entry(line: bytes) -> Entry:
    said = json.loads(line)
    facts = {name: value for name, value in said.items() if name not in ("number", "previous", "at", "what")}
    return Entry(said["number"], datetime.fromisoformat(said["at"]), said["what"], facts, _link(line))


def _link(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


@contextmanager
def _locked() -> Iterator[int]:
    """Open the ledger for appending, for us alone until the block ends."""
    where = path()
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(where, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _write(file: int, last: bytes | None, lines: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    first, line, written = last is None, last or b"", bytearray()
    for what, facts in lines:
        said = {
            "number": json.loads(line)["number"] + 1 if line else 1,
            "previous": _link(line) if line else FIRST,
            "at": now().isoformat(),
            "what": what,
            **facts,
        }
        line = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        written += line + b"\n"
    left = memoryview(written)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)
    if first:
        _flush_directory()
    return line


def _last_line(file: int) -> bytes | None:
    """Return the last whole line, and cut off what a crash left of another."""
    size = os.fstat(file).st_size
    tail, start = b"", size
    while start and tail.count(b"\n") < 2:  # noqa: PLR2004 (the end of the line before, and its own)
        start = max(0, start - BLOCK)
        tail = os.pread(file, size - start, start)
    whole, _, torn = tail.rpartition(b"\n")
    if torn:
        os.ftruncate(file, size - len(torn))
    return whole.rpartition(b"\n")[2] or None


def _flush_directory(of: Path | None = None) -> None:
    directory = os.open(of or path().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _key() -> bytes:
    """Return the key of the marks, made at first use: by one process, whole or not at all."""
    where = path().with_name("erasures.key")
    try:
        return where.read_bytes()
    except FileNotFoundError:
        if exists():
            raise LedgerError("The erasure ledger's key is missing: put erasures.key back beside it.") from None
    with _locked():
        if not where.exists():
            _make_key(where)
        return where.read_bytes()


def _make_key(where: Path) -> None:
    half = where.with_suffix(".half")
    half.unlink(missing_ok=True)
    file = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, secrets.token_bytes(KEY_BYTES))
        os.fsync(file)
    finally:
        os.close(file)
    half.rename(where)
    _flush_directory(where.parent)
