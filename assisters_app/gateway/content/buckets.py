"""The keys of request content: one for each half hour, outside the database, destroyed before its content is a day old.

    ahead(tx)                        makes the keys of the coming hours
    public_keys(tx)                  what content is sealed to now
    private_key(begins)              what opens it: None once it is destroyed
    destroy_due(tx) -> int           destroys the keys whose time is over, and the content with them
    verify(ends) -> None             whether the chain of destructions is whole; raises ValueError

The private halves are files in CONTENT_KEYS_DIR, sealed under the pepper, in no backup of ours; the directory is marked
as one that others' backups leave out (CACHEDIR.TAG, https://bford.info/cachedir/). A copy of the database, however old,
then opens nothing once 24 hours have passed: not in a backup, a replica or the write-ahead log. Each destruction leaves
a signed entry that names the hash of the one before it.
"""

import base64
import contextlib
import hashlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import delete, text
from sqlmodel import col, select

from assisters_app.base import crypto
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.jobs import job
from assisters_app.base.settings import settings
from assisters_app.gateway.content.tables import ContentBucket, ContentKeyEnd, RequestContent

LENGTH = timedelta(minutes=30)
LIFE = timedelta(hours=24)  # policy 4.3: request content, 24 hours
EARLY = timedelta(minutes=10)  # how long before that a key goes: the job runs every five minutes, and may come late
AHEAD = timedelta(hours=6)  # how far ahead there are keys; without one nothing is kept
LOCK = 7_236_004  # advisory: one process makes or destroys keys at a time
PURPOSE = "content-keys"
FIRST = "0" * 64  # what the first entry names as the one before it
NOT_IN_BACKUPS = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Keys that must end in time: leave them out of backups.\n"
)


def bucket_of(at: datetime) -> datetime:
    """Return the beginning of the half hour (UTC) whose key seals what was said at `at`."""
    utc = at.astimezone(UTC)
    return utc.replace(minute=utc.minute - utc.minute % 30, second=0, microsecond=0)


def ends(begins: datetime) -> datetime:
    """Return when a bucket's key is destroyed at the latest: when the first word in it is 24 hours old."""
    return begins + LIFE


async def ahead(tx: Tx) -> None:
    """Make the keys of this half hour and of the coming hours, where they are missing.

    A public key whose private half is not here (a database that was restored or copied) is replaced: nobody could read
    what is sealed to it.
    """
    first = bucket_of(now())
    wanted = [first + n * LENGTH for n in range(AHEAD // LENGTH + 1)]
    if await _there(tx, wanted) == set(wanted):
        return
    await _alone(tx)
    there = await _there(tx, wanted)
    for begins in wanted:
        if begins not in there:
            made = X25519PrivateKey.generate()
            _write_file(begins, made)  # first: what is sealed to a key must open
            public = base64.b64encode(crypto.public_key_bytes(made.public_key())).decode()
            await tx.merge(ContentBucket(begins=begins, public_key=public))


async def public_keys(tx: Tx, wanted: Iterable[datetime]) -> dict[datetime, bytes]:
    """Return the keys that content of these half hours is sealed to; none for one that is over, or not made."""
    young = {begins for begins in wanted if ends(begins) - EARLY > now()}
    found = (await tx.exec(select(ContentBucket).where(col(ContentBucket.begins).in_(young)))).all()
    return {bucket.begins: base64.b64decode(bucket.public_key) for bucket in found}


def private_key(begins: datetime) -> X25519PrivateKey | None:
    """Return what opens the content of a half hour, None once it is destroyed or its time is over."""
    if ends(begins) <= now():
        return None
    try:
        sealed = _path(begins).read_bytes()
    except FileNotFoundError:
        return None
    for key in crypto.derived_keys(PURPOSE)[:-1]:
        with contextlib.suppress(ValueError):
            return X25519PrivateKey.from_private_bytes(crypto.unseal_under(key, sealed, _named(begins)))
    last = crypto.derived_keys(PURPOSE)[-1]
    return X25519PrivateKey.from_private_bytes(crypto.unseal_under(last, sealed, _named(begins)))


def reseal_keys() -> int:
    """Seal every key there is under the present pepper; return how many there are."""
    there = [(begins, key) for begins in _files() if (key := private_key(begins)) is not None]
    for begins, key in there:
        _write_file(begins, key)
    return len(there)


def oldest_key() -> datetime | None:
    """Return the beginning of the oldest half hour whose key still exists, None where there is none."""
    return min((begins for begins in _files()), default=None)


@job("content.keys", every="*/5 * * * *")
async def keep_keys() -> None:
    """Destroy the keys whose time is over, then make those of the coming hours."""
    async with transaction() as tx:
        await destroy_due(tx)
    async with transaction() as tx:
        await ahead(tx)


async def destroy_due(tx: Tx) -> int:
    """Destroy the keys whose time is over and delete what was sealed to them; return how many there were.

    The file goes first. Should the rest fail, the next run finds no file and writes down what has happened.
    """
    await _alone(tx)
    over = now() + EARLY - LIFE
    known = set((await tx.exec(select(ContentBucket.begins).where(col(ContentBucket.begins) <= over))).all())
    due = sorted(known | {begins for begins in _files() if begins <= over})
    for begins in due:
        _destroy_file(begins)
        gone = await tx.sql(delete(RequestContent).where(col(RequestContent.bucket) == begins))
        await tx.sql(delete(ContentBucket).where(col(ContentBucket.begins) == begins))
        await _append(tx, begins, gone.rowcount)
    return len(due)


async def _append(tx: Tx, begins: datetime, rows: int) -> None:
    last = (await tx.exec(select(ContentKeyEnd).order_by(col(ContentKeyEnd.number).desc()).limit(1))).first()
    at = now()
    number = last.number + 1 if last else 1
    facts = {
        "number": number,
        "key_of": begins.isoformat(),
        "destroyed_at": at.isoformat(),
        "rows_deleted": rows,
        "previous": _hash(last.facts) if last else FIRST,
    }
    said = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    signature = base64.b64encode(crypto.signing_key(PURPOSE).sign(said.encode())).decode()
    tx.add(ContentKeyEnd(number=number, destroyed_at=at, facts=said, signature=signature))
    await tx.flush()  # the next entry names this one


def verify(entries: Iterable[ContentKeyEnd]) -> None:
    """Check destructions, the first one first; raise ValueError with a sentence when one was changed or taken out.

    The first may name one before it that is no longer kept.
    """
    before: ContentKeyEnd | None = None
    for entry in entries:
        facts = orjson.loads(entry.facts)
        if not any(_signed(entry, key.public_key()) for key in crypto.signing_keys(PURPOSE)):
            raise ValueError(f"The signature of entry {entry.number} is wrong.")
        if facts["number"] != entry.number or datetime.fromisoformat(facts["destroyed_at"]) != entry.destroyed_at:
            raise ValueError(f"Entry {entry.number} is not what was signed.")
        if before and (facts["number"], facts["previous"]) != (before.number + 1, _hash(before.facts)):
            raise ValueError(f"Entry {entry.number} does not follow the one before it.")
        before = entry


def _signed(entry: ContentKeyEnd, by: Ed25519PublicKey) -> bool:
    try:
        by.verify(base64.b64decode(entry.signature), entry.facts.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _hash(facts: str) -> str:
    return hashlib.sha256(facts.encode()).hexdigest()


async def _there(tx: Tx, wanted: list[datetime]) -> set[datetime]:
    known = (await tx.exec(select(ContentBucket.begins).where(col(ContentBucket.begins).in_(wanted)))).all()
    return {begins for begins in known if _path(begins).exists()}


async def _alone(tx: Tx) -> None:
    await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _named(begins: datetime) -> str:
    return f"{begins.astimezone(UTC):%Y%m%dT%H%M}"


def _path(begins: datetime) -> Path:
    return settings().content_keys_dir / f"{_named(begins)}.key"


def _files() -> list[datetime]:
    found = settings().content_keys_dir.glob("*.key")
    return [_begins_of(path) for path in found]


def _begins_of(path: Path) -> datetime:
    return datetime.strptime(path.stem, "%Y%m%dT%H%M").replace(tzinfo=UTC)


def _write_file(begins: datetime, key: X25519PrivateKey) -> None:
    path = _path(begins)
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path.parent / "CACHEDIR.TAG").write_text(NOT_IN_BACKUPS)
    sealed = crypto.seal_under(crypto.derived_key(PURPOSE), key.private_bytes_raw(), _named(begins))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())


def _destroy_file(begins: datetime) -> None:
    """Overwrite a key, then take its file away. Where a disk keeps old blocks, put the directory into memory."""
    path = _path(begins)
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
