"""Addresses that get no marketing, as keyed hashes: the list outlives accounts and tells nobody who is on it."""

from collections.abc import Iterable

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select

from assisters_app.base import crypto, lasting
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.privacy.choices.tables import Suppression

PURPOSE = "suppression"


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
    return email in await among(tx, [email])


async def among(tx: Tx, emails: Iterable[str]) -> set[str]:
    """Return which of these addresses have opted out and not in again."""
    hashes = {hashed: email for email in emails for hashed in _hashes(email)}
    found = await tx.exec(select(Suppression.email_hash).where(col(Suppression.email_hash).in_(hashes)))
    return {hashes[one] for one in found}


async def resealed(tx: Tx, emails: Iterable[str]) -> int:
    """Have those of these addresses that are on the list stand there under the present pepper; return how many."""
    hashes = {hashed: _hash(email) for email in emails for hashed in _hashes(email)[1:]}
    gone = delete(Suppression).where(col(Suppression.email_hash).in_(hashes))
    found = (await tx.exec(gone.returning(col(Suppression.email_hash), col(Suppression.created_at)))).all()
    for before, at in found:
        row = {"email_hash": hashes[before], "created_at": at}
        await tx.exec(insert(Suppression).values(row).on_conflict_do_nothing())
        await lasting.changed(tx, "suppression", before, hashes[before])
    return len(found)


async def forget(tx: Tx, email: str) -> None:
    """Take an address off the list, because its owner has just opted in."""
    gone = delete(Suppression).where(col(Suppression.email_hash).in_(_hashes(email)))
    for hashed in (await tx.exec(gone.returning(col(Suppression.email_hash)))).scalars().all():
        await lasting.changed(tx, "suppression", hashed)


def _hash(email: str) -> str:
    return crypto.keyed_hash(PURPOSE, email.strip().lower())


def _hashes(email: str) -> tuple[str, ...]:
    """Return what an address may stand on the list as: whose pepper was replaced cannot be turned into another."""
    return crypto.keyed_hashes(PURPOSE, email.strip().lower())
