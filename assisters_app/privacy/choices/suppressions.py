"""Addresses that get no marketing, as keyed hashes: the list outlives accounts and tells nobody who is on it."""

from collections.abc import Iterable

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select

from assisters_app.base import crypto, lasting
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.privacy.choices.tables import Suppression


async def suppress(tx: Tx, email: str) -> bool:
    """Remember that this address opted out; return False when it was remembered already."""
    hashed = _hash(email)
    row = {"email_hash": hashed, "created_at": now()}
    done = await tx.exec(
        insert(Suppression).values(row).on_conflict_do_nothing().returning(col(Suppression.email_hash))
    )
    fresh = done.first() is not None
    if fresh:
        await lasting.changed(tx, "suppression", hashed)
    return fresh


async def suppressed(tx: Tx, email: str) -> bool:
    """Return whether this address has opted out and not in again."""
    return await tx.get(Suppression, _hash(email)) is not None


async def among(tx: Tx, emails: Iterable[str]) -> set[str]:
    """Return which of these addresses have opted out and not in again."""
    hashes = {_hash(email): email for email in emails}
    found = await tx.exec(select(Suppression.email_hash).where(col(Suppression.email_hash).in_(hashes)))
    return {hashes[one] for one in found}


async def forget(tx: Tx, email: str) -> None:
    """Take an address off the list, because its owner has just opted in."""
    gone = await tx.exec(delete(Suppression).where(col(Suppression.email_hash) == _hash(email)))
    if gone.rowcount:
        await lasting.changed(tx, "suppression", _hash(email))


def _hash(email: str) -> str:
    return crypto.keyed_hash("suppression", email.strip().lower())
