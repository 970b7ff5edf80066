"""Keyed hashes, sealed values and signatures, all from keys derived from the one pepper.

Each purpose has a key of its own (HKDF-SHA256, RFC 5869), so that what leaks of one says nothing of another. Where the
pepper was replaced, what was made under those before it still opens and is still recognised (`derived_keys`); nothing
new is made under them.
"""

import contextlib
import functools
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assisters_app.base.settings import settings

SEAL_VERSION = b"\x01"
NONCE_BYTES = 12
KEY_BYTES = 32


def derived_key(purpose: str) -> bytes:
    """Return the 32-byte key for `purpose`, such as "api-key" or "mail"."""
    return _derive(settings().pepper, purpose)


def derived_keys(purpose: str) -> tuple[bytes, ...]:
    """Return the key for `purpose`, and then those of the peppers before: to open and to compare with."""
    return (derived_key(purpose), *(_derive(pepper, purpose) for pepper in settings().peppers_before))


@functools.cache
def _derive(pepper: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"assisters/{purpose}".encode()).derive(pepper)


def key_of_both(secret: str, purpose: str) -> bytes:
    """Return a 32-byte key for `purpose` that takes somebody's `secret` and our pepper: neither opens anything alone.

    `secret` must be random, as an API key is; a password would be guessed.
    """
    info = f"assisters/{purpose}/with-secret".encode()
    return HKDF(hashes.SHA256(), 32, salt=derived_key(purpose), info=info).derive(secret.encode())


def keyed_hash(purpose: str, text: str) -> str:
    """Return 64 hex characters of HMAC-SHA256 over `text`, meaningless without the pepper."""
    return hmac.digest(derived_key(purpose), text.encode(), "sha256").hex()


def keyed_hashes(purpose: str, text: str) -> tuple[str, ...]:
    """Return `keyed_hash` under the pepper, and then under those before it."""
    return tuple(hmac.digest(key, text.encode(), "sha256").hex() for key in derived_keys(purpose))


def fingerprint(token: str) -> str:
    """Return 64 hex characters of SHA-256: what is stored of a random token, so that a dump opens nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def seal(purpose: str, text: str) -> bytes:
    """Encrypt `text` with AES-256-GCM under the key for `purpose`; the purpose is authenticated with it."""
    return seal_under(derived_key(purpose), text.encode(), purpose)


def unseal(purpose: str, sealed: bytes) -> str:
    """Return the text that `seal` was given; raise ValueError when it was altered or sealed for something else."""
    *firsts, last = derived_keys(purpose)
    for key in firsts:
        with contextlib.suppress(ValueError):
            return unseal_under(key, sealed, purpose).decode()
    return unseal_under(last, sealed, purpose).decode()


def seal_under(key: bytes, content: bytes, purpose: str) -> bytes:
    """Encrypt `content` with AES-256-GCM under `key`; `purpose` is authenticated with it."""
    nonce = os.urandom(NONCE_BYTES)
    return SEAL_VERSION + nonce + AESGCM(key).encrypt(nonce, content, purpose.encode())


def unseal_under(key: bytes, sealed: bytes, purpose: str) -> bytes:
    """Return what `seal_under` was given; raise ValueError when it was altered or sealed otherwise."""
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, purpose.encode())
    except InvalidTag:
        raise ValueError("The sealed value does not open with this key.") from None


def seal_to(public_key: bytes, content: bytes, purpose: str) -> bytes:
    """Encrypt `content` so that only who holds the private key of `public_key` (X25519, RFC 7748) can open it.

    The key of one sealing comes from a private key that is thrown away at once: who seals cannot open. `purpose` is
    authenticated with it.
    """
    ours = X25519PrivateKey.generate()
    own = public_key_bytes(ours.public_key())
    return own + seal_under(_agreed(ours, public_key, own + public_key), content, purpose)


def open_with(private_key: X25519PrivateKey, sealed: bytes, purpose: str) -> bytes:
    """Return what `seal_to` was given; raise ValueError when it was altered or sealed for another key or purpose."""
    own, body = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
    both = own + public_key_bytes(private_key.public_key())
    return unseal_under(_agreed(private_key, own, both), body, purpose)


def _agreed(private_key: X25519PrivateKey, public_key: bytes, both: bytes) -> bytes:
    shared = private_key.exchange(X25519PublicKey.from_public_bytes(public_key))
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"assisters/sealed-to/" + both).derive(shared)


def signing_key(purpose: str = "receipts") -> Ed25519PrivateKey:
    """Return the key that signs for a purpose (Ed25519, RFC 8032): "receipts" of erasures, or "request-receipts"."""
    return Ed25519PrivateKey.from_private_bytes(derived_key(purpose))


def signing_keys(purpose: str = "receipts") -> tuple[Ed25519PrivateKey, ...]:
    """Return `signing_key`, and then those of the peppers before: to verify what they signed."""
    return tuple(Ed25519PrivateKey.from_private_bytes(key) for key in derived_keys(purpose))


def public_key_bytes(key: Ed25519PublicKey | X25519PublicKey) -> bytes:
    """Return the 32 raw bytes of a public key, as receipts and `/.well-known` publish it."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
