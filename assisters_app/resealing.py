"""`reseal`: seals under the present pepper whatever was sealed under one before it, and says what cannot be.

    reseal() -> Resealed        may be killed and repeated: what is resealed already stays as it is

The pepper is replaced by naming the new one in ASSISTERS_PEPPER and the old one in ASSISTERS_PEPPER_BEFORE. From then
on everything opens, but an address that is sealed under the old one is not found by it: so the product is stopped
first. What is only a keyed hash cannot be made anew without what it is of: the secret of a key, an address that opted
out and has no account. For those the old pepper stays named, and then it opens nothing that is still in the database.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, Text, bindparam, func, or_, select, text, type_coerce, update
from sqlmodel import col

from assisters_app import tables
from assisters_app.accounts.tables import Account
from assisters_app.base import crypto, db, sealed_text
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.base.tables import OutgoingMail
from assisters_app.gateway.content import buckets
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy.choices import suppressions
from assisters_app.privacy.choices.tables import Suppression
from assisters_app.privacy.erasing import backups, errands
from assisters_app.privacy.erasing.tables import ErasureErrand

AT_ONCE = 1000  # rows resealed in one transaction
BYTES = ((OutgoingMail, "mail"), (ErasureErrand, errands.PURPOSE))  # whose `sealed` is sealed for that purpose
OTHER_PEPPER = (
    "Something is sealed under a pepper that is neither ASSISTERS_PEPPER nor in ASSISTERS_PEPPER_BEFORE. Name that one "
    "there, with a comma between several, and run this again: what is sealed anew already stays."
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """What was sealed anew, and what still needs a pepper from before."""

    addresses: int
    letters: int  # mail on its way, and what is to be done at other companies
    content_keys: int
    opted_out: int  # addresses on the list of those who opted out, of people with an account
    keys: int  # live API keys, which may have been made before
    hashes: int  # addresses on the list, which may be of before
    backups: int  # files of before, until they are destroyed


async def reseal() -> Resealed:
    """Seal everything anew. Raises Refused while the product runs, and where the pepper from before is not named."""
    if not settings().peppers_before:
        raise Refused("Name the pepper that was replaced in ASSISTERS_PEPPER_BEFORE.", code="no_pepper_before")
    async with transaction() as tx:
        if (await tx.sql(text(backups.OTHERS))).scalar_one():
            raise Refused("The product runs on this database. Stop it first.", code="in_use", status=409)
    columns = [column for table in tables.metadata.sorted_tables for column in table.c if _sealed(column)]
    addresses = sum([await _reseal(column.table, column, sealed_text.resealed) for column in columns])
    letters = 0
    for model, purpose in BYTES:
        table = tables.metadata.tables[str(model.__tablename__)]
        letters += await _reseal(table, table.c.sealed, _again(purpose))
    content_keys = await asyncio.to_thread(buckets.reseal_keys)
    opted_out = await _reseal_suppressions()
    async with transaction() as tx:
        live = or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now())
        keys = (await tx.sql(select(func.count()).where(col(ApiKey.revoked_at).is_(None), live))).scalar_one()
        hashes = (await tx.sql(select(func.count()).select_from(Suppression))).scalar_one()
    kept = await asyncio.to_thread(backups.kept)
    await db.dispose()
    return Resealed(addresses, letters, content_keys, opted_out, keys, hashes, len(kept))


def _sealed(column: Column[Any]) -> bool:
    return isinstance(column.type, sealed_text.Sealed)


async def _reseal(table: Table, column: Column[Any], anew: Callable[[Any], Any]) -> int:
    """Seal one column anew, some rows in each transaction; return how many were not under the present pepper."""
    key = next(iter(table.primary_key.columns))
    stored = type_coerce(column, Text) if _sealed(column) else column
    some = select(key, stored.label("stored")).order_by(key).limit(AT_ONCE)
    count, after = 0, None
    while True:
        async with transaction() as tx:
            rows: Sequence[Any] = (await tx.sql(some.where(key > after) if after is not None else some)).all()
            try:
                changed = [{"which": row[0], "new": new} for row in rows if row[1] and (new := anew(row[1])) != row[1]]
            except ValueError:
                raise Refused(OTHER_PEPPER, code="other_pepper") from None
            if changed:
                await _write(tx, table, column, changed)
        count += len(changed)
        if len(rows) < AT_ONCE:
            return count
        after = rows[-1][0]


async def _write(tx: Tx, table: Table, column: Column[Any], changed: list[dict[str, Any]]) -> None:
    key = next(iter(table.primary_key.columns))
    new = bindparam("new", type_=Text() if _sealed(column) else column.type)
    await tx.sql(update(table).where(key == bindparam("which", type_=key.type)).values({column: new}), changed)


def _again(purpose: str) -> Callable[[bytes], bytes]:
    """Return what seals bytes anew that do not open under the present pepper, and leaves the others alone."""

    def anew(stored: bytes) -> bytes:
        try:
            crypto.unseal_under(crypto.derived_key(purpose), stored, purpose)
        except ValueError:
            return crypto.seal(purpose, crypto.unseal(purpose, stored))
        return stored

    return anew


async def _reseal_suppressions() -> int:
    """Put the addresses of everybody who has an account on the list anew, where they are on it."""
    count, after = 0, None
    some = select(col(Account.id), col(Account.email)).order_by(col(Account.id)).limit(AT_ONCE)
    while True:
        async with transaction() as tx:
            rows: Sequence[Any] = (
                await tx.sql(some.where(col(Account.id) > after) if after is not None else some)
            ).all()
            count += await suppressions.resealed(tx, [row[1] for row in rows])
        if len(rows) < AT_ONCE:
            return count
        after = rows[-1][0]
