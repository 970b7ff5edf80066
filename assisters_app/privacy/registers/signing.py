"""What we sign with, and every key that we ever did: a signature outlives the pepper that its key came from.

sign(purpose, content) -> str           base64 of an Ed25519 signature (RFC 8032)
public_key(purpose) -> str              base64 of the key that it verifies with
verify(content, signature, public_key)  raises NotSigned; needs no database and no settings
ensure_keys(tx)                         at each start: the keys of today are written down
keys(tx, purpose) -> tuple[Key, …]      every key of a purpose, the oldest first, as published
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlmodel import col, select

from assisters_app.base import crypto
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.privacy.registers.tables import SigningKey

What = Literal["exports", "consent-receipts"]
PURPOSES: tuple[What, ...] = ("exports", "consent-receipts")


class NotSigned(Exception):  # noqa: N818 (it reads as what was found)
    """Something was changed since it was signed, or was not signed with this key."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs or signed, and since when."""

    public_key: str  # base64
    since: datetime


def sign(purpose: What, content: bytes) -> str:
    """Return our signature over `content`."""
    return base64.b64encode(crypto.signing_key(purpose).sign(content)).decode()


def public_key(purpose: What) -> str:
    """Return the key that verifies what is signed for a purpose now."""
    return base64.b64encode(crypto.public_key_bytes(crypto.signing_key(purpose).public_key())).decode()


def verify(content: bytes, signature: str, public_key: str) -> None:
    """Raise NotSigned unless `content` is as this key signed it."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        raise NotSigned("This was changed after it was signed, or was not signed with this key.") from None


async def ensure_keys(tx: Tx) -> None:
    """Write down the keys that sign from now on, should they be new: the pepper may have been changed."""
    rows = [{"purpose": one, "public_key": public_key(one), "created_at": now()} for one in PURPOSES]
    await tx.sql(insert_or_leave(SigningKey).values(rows).on_conflict_do_nothing())


async def keys(tx: Tx, purpose: What) -> tuple[Key, ...]:
    """Return every key of a purpose."""
    found = select(SigningKey).where(SigningKey.purpose == purpose).order_by(col(SigningKey.created_at))
    return tuple(Key(one.public_key, one.created_at) for one in await tx.exec(found))
