"""Identifiers: time-ordered UUIDs for rows, and handles that may be shown and logged."""

import functools
import secrets
from uuid import UUID

import uuid_utils.compat

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


def new_id() -> UUID:
    """Return a new UUIDv7: unique, and ordered by the time it was made."""
    return uuid_utils.compat.uuid7()


@functools.lru_cache(maxsize=16_384)
def text(id_: UUID) -> str:
    """Return an id as text; a request's is wanted several times over, and making it costs a microsecond."""
    return str(id_)


def handle(prefix: str, size: int = 12) -> str:
    """Return a random public handle such as `key_8FK2…` with `size` characters (5 bits each) after the prefix."""
    return f"{prefix}_" + "".join(secrets.choice(ALPHABET) for _ in range(size))
