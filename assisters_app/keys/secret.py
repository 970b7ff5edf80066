"""What a key looks like: `ask_<public id><secret><checksum>`, and what of it is stored.

The checksum rejects typing errors and lets a scanner recognise a leaked key without asking us; the public id finds the
row; the secret is 256 random bits, of which only an HMAC under the pepper is kept.
"""

import hmac
import re
import secrets
import string
import zlib

from assisters_app.base import crypto
from assisters_app.base.secrets import Secret

PREFIX = "ask_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_SIZE = 12
SECRET_SIZE = 43  # 62⁴³ > 2²⁵⁶
CHECKSUM_SIZE = 6  # 62⁶ > 2³²
SHOWN_SIZE = 12  # what lists show of a key: the prefix and the first characters of its public id

_SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{PUBLIC_SIZE}}})[0-9A-Za-z]{{{SECRET_SIZE + CHECKSUM_SIZE}}}", re.ASCII)


def new_public_id() -> str:
    """Return the random part that a key is found by."""
    return _random(PUBLIC_SIZE)


def new_secret(public_id: str) -> Secret:
    """Return a whole new key for `public_id`."""
    body = f"{PREFIX}{public_id}{_random(SECRET_SIZE)}"
    return Secret(body + _checksum(body))


def public_id_of(text: str) -> str | None:
    """Return the public id of a well-formed key, None when the shape or the checksum is wrong."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or _checksum(text[:-CHECKSUM_SIZE]) != text[-CHECKSUM_SIZE:]:
        return None
    return shape[1]


def digest(text: str) -> str:
    """Return what is stored of a key: 64 hex characters that authenticate nobody."""
    return crypto.keyed_hash("api-key", text)


def matches(text: str, stored: str) -> bool:
    """Compare a presented key with what is stored, in constant time; one from before the pepper was replaced works."""
    return any(hmac.compare_digest(one, stored) for one in crypto.keyed_hashes("api-key", text))


def shown(public_id: str) -> str:
    """Return what lists show of a key, never more than twelve characters."""
    return (PREFIX + public_id)[:SHOWN_SIZE]


def _random(size: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(size))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_SIZE):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
