"""Files sealed as they are written, opened as they are read: of any size, in constant memory.

    seal(plain, target, purpose, facts)     writes a sealed file; `facts` stay readable and are authenticated
    facts_of(source) -> dict                what is readable without the key
    opened(source, purpose) -> Iterator     yields the plain parts, each verified; raises SealBroken

AES-256-GCM, piece by piece, after the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár 2015): each piece's
nonce is its number and whether it is the last, so that none can be left out, moved, or cut off at the end. The key is
the pepper's for the purpose and the salt of this one file, so that no nonce is ever used twice under a key.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assisters_app.base import crypto

MAGIC = b"assisters-sealed/1\n"
PIECE = 1 << 20  # bytes of plain text in one piece
TAG = 16  # bytes that AES-GCM adds to each
SALT = 32
LONGEST_HEAD = 4096


class SealBroken(Exception):  # noqa: N818 (it reads as what was found)
    """A sealed file was altered or cut, or was sealed under another pepper. The message is a sentence."""


def seal(plain: Iterable[bytes], target: IO[bytes], purpose: str, facts: dict[str, Any]) -> None:
    """Write everything that `plain` yields to `target`, sealed for `purpose`."""
    salt = os.urandom(SALT)
    said = {**facts, "purpose": purpose, "salt": salt.hex(), "key": _name(crypto.derived_key(purpose))}
    head = MAGIC + json.dumps(said, sort_keys=True).encode() + b"\n"
    target.write(head)
    key = AESGCM(_key(crypto.derived_key(purpose), salt))
    for number, (piece, last) in enumerate(_marked(_pieces(plain))):
        target.write(key.encrypt(_nonce(number, last=last), piece, head))


def facts_of(source: IO[bytes]) -> dict[str, Any]:
    """Return what a sealed file says of itself; nothing of it is verified before it is opened."""
    return _head(source)[1]


def opened(source: IO[bytes], purpose: str) -> Iterator[bytes]:
    """Yield the plain pieces of a sealed file; the last was verified to be the last."""
    head, facts = _head(source)
    if facts.get("purpose") != purpose:
        raise SealBroken(f"This file was not sealed for {purpose}.")
    root = next((one for one in crypto.derived_keys(purpose) if _name(one) == facts.get("key")), None)
    if root is None:
        raise SealBroken("This file was sealed under another ASSISTERS_PEPPER: name it in ASSISTERS_PEPPER_BEFORE.")
    key, number = AESGCM(_key(root, bytes.fromhex(facts["salt"]))), -1
    for number, (piece, last) in enumerate(_marked(iter(lambda: source.read(PIECE + TAG), b""))):
        try:
            yield key.decrypt(_nonce(number, last=last), piece, head)
        except InvalidTag:
            raise SealBroken("This file was altered, or its end is missing.") from None
    if number < 0:
        raise SealBroken("This file was altered, or its end is missing.")


def _head(source: IO[bytes]) -> tuple[bytes, dict[str, Any]]:
    magic, line = source.readline(len(MAGIC)), source.readline(LONGEST_HEAD)
    facts: dict[str, Any] = {}
    with suppress(ValueError):
        facts = json.loads(line)
    if magic != MAGIC or not facts:
        raise SealBroken("This is not a sealed file of ours.")
    return magic + line, facts


def _pieces(plain: Iterable[bytes]) -> Iterator[bytes]:
    """Cut what comes in any sizes into pieces of one size; the last may be smaller, and there is one at least."""
    waiting = bytearray()
    for part in plain:
        waiting += part
        while len(waiting) > PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    yield bytes(waiting)


def _marked(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    before = next(pieces, None)
    for piece in pieces:
        if before is not None:
            yield before, False
        before = piece
    if before is not None:
        yield before, True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])


def _key(root: bytes, salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=salt, info=b"assisters/sealed-file").derive(root)


def _name(root: bytes) -> str:
    """Return what tells the pepper's key for a purpose from another pepper's."""
    return hashlib.sha256(b"name of " + root).hexdigest()[:16]
