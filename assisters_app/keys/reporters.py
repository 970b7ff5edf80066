"""Who may tell us of leaked keys: GitHub's secret scanning, or whoever else signs as it does.

    require_set_up() -> str                                 the address of their keys; raises Refused (404)
    await require_signed(body, identifier, signature)       raises Refused: 404, 400, 503

A message is signed with ECDSA over P-256 and SHA-256, the signature being DER in base64; the public keys are published
at an address (`SECRET_SCANNING_KEYS_URL`), each under an identifier.
Source: docs.github.com/code-security/secret-scanning, "Secret scanning partner program".
"""

import asyncio
import base64
import binascii
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from assisters_app.accounts import outside
from assisters_app.base.clock import now
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.settings import settings

KEPT = timedelta(hours=1)  # how long the published keys are believed without asking again
SELDOM = timedelta(minutes=1)  # between two questions: an identifier that nobody knows must not make us ask each time
MOST_BYTES = 256 * 1024  # of the list of keys

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Published:
    """The public keys at one address, by their identifier, and when we asked for them."""

    asked_at: datetime | None = None
    keys: dict[str, EllipticCurvePublicKey] = field(default_factory=dict)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


_published: dict[str, _Published] = {}


def require_set_up() -> str:
    """Return where the public keys are; raise NotFound where nobody is to report anything."""
    address = settings().secret_scanning_keys_url
    if address is None:
        raise NotFound("page")
    return address


async def require_signed(body: bytes, identifier: str, signature: str) -> None:
    """Return when `body` was signed with a key published under `identifier`; raise Refused when not."""
    address = require_set_up()
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if not identifier or not given:
        raise _not_signed()
    key = await _key(_published.setdefault(address, _Published()), address, identifier)
    if key is None:
        raise _not_signed()
    try:
        key.verify(given, body, ECDSA(SHA256()))
    except InvalidSignature:
        raise _not_signed() from None


async def _key(published: _Published, address: str, identifier: str) -> EllipticCurvePublicKey | None:
    async with published.asking:
        age = now() - published.asked_at if published.asked_at else None
        if age is None or age >= KEPT or (identifier not in published.keys and age >= SELDOM):
            await _ask(published, address)
    return published.keys.get(identifier)


async def _ask(published: _Published, address: str) -> None:
    """Read the list anew; one that cannot be read leaves what was known, and nothing known is our own failure."""
    published.asked_at = now()
    try:
        published.keys = _usable(orjson.loads(await _list(address))["public_keys"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as problem:
        logger.warning("The keys that leaks are reported with could not be read: %s.", type(problem).__name__)
        if not published.keys:
            published.asked_at = None
            raise Refused(
                "We cannot check the signature right now. Please try again shortly.",
                code="service_unavailable",
                status=503,
            ) from None


async def _list(address: str) -> bytes:
    text = b""
    async with outside.http() as http, http.stream("GET", address) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_bytes():
            text += piece
            if len(text) > MOST_BYTES:
                raise ValueError("The list of keys is longer than any that is published.")
    return text


def _usable(listed: list[dict[str, Any]]) -> dict[str, EllipticCurvePublicKey]:
    """Return the keys of the kind that is signed with; one of another kind, which may be added, is passed over."""
    read = {str(one["key_identifier"]): _key_in(str(one["key"])) for one in listed}
    usable = {name: key for name, key in read.items() if key is not None}
    if not usable:
        raise ValueError("None of the keys is one of ECDSA over P-256.")
    return usable


def _key_in(pem: str) -> EllipticCurvePublicKey | None:
    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm:
        return None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None


def _not_signed() -> Refused:
    return Refused("The signature does not match the message.", code="bad_signature")
