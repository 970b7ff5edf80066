"""Columns whose text is sealed before it reaches the database, so that no file of it shows it (policy 5.2).

The same text is sealed the same way each time (AES-256-SIV, RFC 5297): a sealed address can be looked up, joined and
kept unique, but not searched in part. Who has the database without the pepper learns which rows share an address, and
roughly how long it is, and nothing else. Addresses are compared in lower case, so they are sealed in it.
"""

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from sqlalchemy import Dialect, Text, TypeDecorator

from assisters_app.base import crypto

MARK = "sealed."  # then base32 in lower case: what the database makes of lower() changes nothing in it
PURPOSE = b"column"


class Sealed(TypeDecorator[str]):
    """Text that is an e-mail address here, and ciphertext in the database. The empty text stays empty.

    Compare with `column == address` or `in_`, in any case; `lower()`, `like` and an order see the ciphertext.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (its signature)
        """Seal on the way in."""
        return seal(value) if value else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401, ARG002 (as above)
        """Unseal on the way out."""
        return unseal(value) if value else value


class SealedAsItIs(Sealed):
    """Any text, its capitals kept."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (its signature)
        """Seal on the way in."""
        return seal_as_it_is(value) if value else value


def seal(address: str) -> str:
    """Return what the database holds in place of an address, which is not empty."""
    return seal_as_it_is(address.lower())


def seal_as_it_is(text: str) -> str:
    """Return what the database holds in place of `text`, which is not empty."""
    sealed = _cipher().encrypt(text.encode(), [PURPOSE])
    return MARK + base64.b32encode(sealed).decode().rstrip("=").lower()


def unseal(stored: str) -> str:
    """Return the text; raise ValueError when `stored` was not sealed by us, or under another pepper."""
    body = stored.removeprefix(MARK).upper()
    sealed = base64.b32decode(body + "=" * (-len(body) % 8))
    for cipher in _ciphers():
        with contextlib.suppress(InvalidTag):
            return cipher.decrypt(sealed, [PURPOSE]).decode()
    raise ValueError("A sealed column does not open: was ASSISTERS_PEPPER changed?")


def resealed(stored: str) -> str:
    """Return the same text under the present pepper; raise ValueError as `unseal` does."""
    return seal_as_it_is(unseal(stored))


def _cipher() -> AESSIV:
    return next(_ciphers())


def _ciphers() -> Iterator[AESSIV]:
    """Yield the cipher of the pepper, then those of the peppers before."""
    parts = (crypto.derived_keys("column/authentication"), crypto.derived_keys("column/encryption"))
    return (AESSIV(authentication + encryption) for authentication, encryption in zip(*parts, strict=True))
