"""Erasure receipts: signed, chained, without personal data, and verifiable by a stranger without us.

    issue(tx, receipt_handle, facts) -> ErasureReceipt      in the transaction that erases
    verify(body, signature, public_key) -> Facts dict       raises NotGenuine; needs no database and no settings
    judge(tx, text) -> Judged                               for the public page, of a file that anybody may hold
    verify_chain(receipts) -> int                           raises NotGenuine; how many hold together
    shown(tx, receipt_handle) -> Receipt                    for the public page; raises NotFound
    keys(tx) -> tuple[Key, …]                               every key that ever signed, as published
    ensure_key(tx)                                          at each start

`body` is the exact text that was signed. `subject` in it is SHA-256 over a salt and the address, and only the person
was mailed the salt: with it they can show that a receipt is theirs, without it nobody can find out whose it is.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlmodel import col, select

from assisters_app.base import crypto
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.billing import proofs
from assisters_app.privacy.erasing.tables import ErasureKey, ErasureReceipt
from assisters_app.privacy.policies import versions

KIND = "assisters-erasure-receipt/1"
FIRST = "0" * 64  # what the first receipt names as the one before it
ONE_AT_A_TIME = 7_236_020  # an advisory lock: the chain has one end


class NotGenuine(Exception):  # noqa: N818 (it reads as what was found)
    """A receipt was altered, was not signed by us, or does not follow the one before it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt with what is needed to verify it elsewhere."""

    handle: str
    number: int
    body: str
    signature: str  # base64
    public_key: str  # base64
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs or signed, and since when."""

    public_key: str  # base64
    since: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be thought of a file: "genuine", "altered", "foreign" (another's key), "unknown", "unreadable"."""

    verdict: str
    handle: str = ""
    carried_out_at: str = ""  # ISO 8601 in UTC


async def issue(tx: Tx, receipt_handle: str, facts: dict[str, Any]) -> ErasureReceipt:
    """Sign `facts` as the next receipt of the chain."""
    await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ONE_AT_A_TIME})
    last = (await tx.exec(select(ErasureReceipt).order_by(col(ErasureReceipt.number).desc()).limit(1))).first()
    number, at = last.number + 1 if last else 1, now()
    current = await versions.in_force(tx)
    body = proofs.canonical(
        {
            "kind": KIND,
            "receipt": receipt_handle,
            "number": number,
            "previous": link(last.body) if last else FIRST,
            "issued_at": at.isoformat(),
            "policy": {"version": current.version, "sha256": current.sha256},
            **facts,
        }
    ).decode()
    signature = base64.b64encode(crypto.signing_key().sign(body.encode())).decode()
    receipt = ErasureReceipt(
        number=number, handle=receipt_handle, body=body, signature=signature, public_key=public_key(), created_at=at
    )
    await ensure_key(tx)
    tx.add(receipt)
    await tx.flush()
    return receipt


async def put_back(tx: Tx, receipt_handle: str, *, body: str, signature: str, key: str) -> int:
    """Put a receipt back that a restored database has forgotten; return 1, or 0 when it is there."""
    number, issued = (facts := json.loads(body))["number"], datetime.fromisoformat(facts["issued_at"])
    values = {"number": number, "handle": receipt_handle, "body": body, "signature": signature, "public_key": key}
    row = insert_or_leave(ErasureReceipt).values(**values, created_at=issued).on_conflict_do_nothing()
    return len((await tx.sql(row.returning(col(ErasureReceipt.number)))).all())


async def issued(tx: Tx, receipt_handle: str) -> bool:
    """Return whether this receipt was handed out before."""
    return (
        await tx.exec(select(ErasureReceipt.number).where(ErasureReceipt.handle == receipt_handle))
    ).first() is not None


def verify(body: str, signature: str, public_key: str) -> dict[str, Any]:
    """Return what a receipt says when its signature is right; the signature and the key are base64."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), body.encode())
    except (InvalidSignature, ValueError):
        raise NotGenuine("This receipt was altered, or was not signed with this key.") from None
    facts: dict[str, Any] = json.loads(body)
    return facts


def verify_chain(receipts: Iterable[Receipt]) -> int:
    """Verify receipts, ordered by number from the first; return how many there are."""
    return verify_links(receipts, FIRST, 1)


def verify_links(receipts: Iterable[Receipt], before: str | None = None, number: int | None = None) -> int:
    """Verify receipts that follow each other, beginning anywhere in the chain; return how many there are."""
    count = 0
    for receipt in receipts:
        facts = verify(receipt.body, receipt.signature, receipt.public_key)
        number = facts["number"] if number is None else number
        before = facts["previous"] if before is None else before
        if facts["number"] != number or facts["previous"] != before:
            raise NotGenuine(f"Receipt {receipt.handle} does not follow the one before it.")
        before, number, count = link(receipt.body), number + 1, count + 1
    return count


def link(body: str) -> str:
    """Return what the next receipt says of this one."""
    return hashlib.sha256(body.encode()).hexdigest()


def subject_hash(salt: str, email: str) -> str:
    """Return the `subject` of a receipt for an address, given the salt that was mailed to it."""
    return hashlib.sha256(f"{salt}:{email.strip().lower()}".encode()).hexdigest()


async def shown(tx: Tx, receipt_handle: str) -> Receipt:
    """Return a receipt for anyone who knows its number: it holds nothing about a person."""
    known = receipt_handle.isprintable()  # the database takes no NUL, which anybody may put into an address
    asked = select(ErasureReceipt).where(ErasureReceipt.handle == receipt_handle)
    found = (await tx.exec(asked)).first() if known else None
    if found is None:
        raise NotFound("receipt")
    return _receipt(found)


async def chain(tx: Tx) -> tuple[Receipt, ...]:
    """Return every receipt from the first, for the check that the chain holds."""
    return tuple(_receipt(one) for one in await tx.exec(select(ErasureReceipt).order_by(col(ErasureReceipt.number))))


async def judge(tx: Tx, text_: str) -> Judged:
    """Say of a receipt's file, as anybody may hold it, whether it is one of ours and stands where it says."""
    try:
        file = json.loads(text_)
        body, signature, key = (str(file[name]) for name in ("body", "signature", "public_key"))
        facts = verify(body, signature, key)
        handle, number = str(facts["receipt"]), int(facts["number"])
    except NotGenuine:
        return Judged("altered")
    except (
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
    ):  # numbers without end, nothing but brackets
        return Judged("unreadable")
    if key not in {one.public_key for one in await keys(tx)}:
        return Judged("foreign")  # anybody can sign with a key of their own
    ours = (await tx.exec(select(ErasureReceipt).where(ErasureReceipt.handle == handle))).first()
    stands = ours is not None and (ours.body, ours.number) == (body, number)
    return Judged("genuine" if stands else "unknown", handle, facts["carried_out_at"])


async def newest(tx: Tx, most: int) -> tuple[Receipt, ...]:
    """Return the newest receipts, in the order of the chain."""
    found = await tx.exec(select(ErasureReceipt).order_by(col(ErasureReceipt.number).desc()).limit(most))
    return tuple(reversed([_receipt(one) for one in found]))


async def handles(tx: Tx) -> set[str]:
    """Return the number of every receipt."""
    return set(await tx.exec(select(ErasureReceipt.handle)))


async def ensure_key(tx: Tx) -> None:
    """Publish the key that signs from now on, should it be new: the pepper may have been changed.

    Receipts from before keys were written down are told which signed them, when it is this one.
    """
    ours = public_key()
    await tx.sql(insert_or_leave(ErasureKey).values(public_key=ours, created_at=now()).on_conflict_do_nothing())
    for receipt in (await tx.exec(select(ErasureReceipt).where(ErasureReceipt.public_key == ""))).all():
        with suppress(NotGenuine):
            verify(receipt.body, receipt.signature, ours)
            receipt.public_key = ours
            tx.add(receipt)


async def keys(tx: Tx) -> tuple[Key, ...]:
    """Return every key that receipts of erasures were ever signed with, the oldest first."""
    found = await tx.exec(select(ErasureKey).order_by(col(ErasureKey.created_at)))
    return tuple(Key(one.public_key, one.created_at) for one in found)


def public_key() -> str:
    """Return the key that receipts are signed with now, as base64."""
    return base64.b64encode(crypto.public_key_bytes(crypto.signing_key().public_key())).decode()


def _receipt(row: ErasureReceipt) -> Receipt:
    return Receipt(row.handle, row.number, row.body, row.signature, row.public_key or public_key(), row.created_at)
