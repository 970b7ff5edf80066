"""What was said in a call: kept for a day where the key asks for it, and read by whose key it is, and nobody else.

    Said                                        what a caller sent and got in one call
    turn(tx, who, key_handle, on)               whether what is said with a key is kept from now on
    keep(tx, several)                           seals and writes; what has no key, or no owner any more, is dropped
    kept(tx, who, request_id) -> Kept | None    whether there is something, and until when
    read(tx, who, request_id) -> Said           raises NotFound: after a day, and for everybody else, staff included
    forget(tx, who, request_id), forget_all(tx, who)

Who seals cannot open: what is written here can be opened only with a private key of `buckets`.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Organization
from assisters_app.base import crypto, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.gateway.content import buckets
from assisters_app.gateway.content.tables import RequestContent
from assisters_app.keys import keys
from assisters_app.usage import events


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a call. `text` is empty where it was no text (a recording, a picture); `cut` says it went on."""

    kind: str  # its content type
    text: str
    size: int  # bytes, all of it
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What was said in one call."""

    request_id: UUID
    organization_id: UUID
    at: datetime
    sent: Side
    got: Side


@dataclass(frozen=True, slots=True)
class Kept:
    """That there is content, how many bytes, and until when it can be read at most."""

    size: int
    until: datetime


async def turn(tx: Tx, who: Person, key_handle: str, *, on: bool) -> None:
    """Have what is said with a key of theirs kept for a day from now on, or no more; raise NotFound, Refused."""
    await keys.keep_content(tx, who, key_handle, keep=on)
    if on:
        await buckets.ahead(tx)  # in the first minutes of a house there is nothing to seal to yet


async def keep(tx: Tx, several: Sequence[Said]) -> int:
    """Seal and write what was said; return how much of it. An organization that is erased meanwhile keeps nothing."""
    named = {said.organization_id for said in several}
    alive = select(Organization.id).where(col(Organization.id).in_(named)).order_by(col(Organization.id))
    # Held until we commit, as by the ingest: no purge looks past what we are about to write.
    living = set((await tx.exec(alive.with_for_update(read=True, key_share=True))).all())
    public = await buckets.public_keys(tx, {buckets.bucket_of(said.at) for said in several})
    known = [said for said in several if said.organization_id in living and buckets.bucket_of(said.at) in public]
    rows = await asyncio.to_thread(lambda: [_sealed(said, public) for said in known])
    if rows:
        await tx.sql(insert(RequestContent).on_conflict_do_nothing(), rows)
    return len(rows)


async def kept(tx: Tx, who: Person, request_id: UUID) -> Kept | None:
    """Return whether what was said in a request of theirs is kept."""
    row = await _row(tx, who, request_id)
    return Kept(row.size, buckets.ends(row.bucket)) if row else None


async def read(tx: Tx, who: Person, request_id: UUID) -> Said:
    """Return what was said in a request of theirs; raise NotFound when it is not kept, not theirs, or over."""
    row = await _row(tx, who, request_id)
    said = opened(row) if row else None
    if said is None:
        raise NotFound("content")
    return said


async def forget(tx: Tx, who: Person, request_id: UUID) -> None:
    """Delete what was said in a request of theirs; raise NotFound where nothing is kept."""
    row = await _row(tx, who, request_id)
    if row is None:
        raise NotFound("content")
    await tx.delete(row)
    handle = events.handle(request_id)
    trail.write(tx, "content:deleted", account_id=who.account_id, actor_id=who.account_id, request=handle)


async def forget_all(tx: Tx, who: Person) -> int:
    """Delete all that is kept of what was said in their requests; return of how many."""
    theirs = col(RequestContent.organization_id) == who.organization_id
    gone = (await tx.sql(delete(RequestContent).where(theirs))).rowcount
    if gone:
        trail.write(tx, "content:all-deleted", account_id=who.account_id, actor_id=who.account_id, requests=gone)
    return gone


async def count(tx: Tx, who: Person) -> int:
    """Return of how many of their requests it is kept what was said."""
    theirs = select(func.count()).select_from(RequestContent).where(*_young(who.organization_id))
    return (await tx.exec(theirs)).one()


async def since(tx: Tx, organization_id: UUID, first: datetime) -> AsyncIterator[Said]:
    """Yield what can still be read of an organization's requests from `first` on. For `training_export` only."""
    asked = select(RequestContent).where(*_young(organization_id), col(RequestContent.at) >= first)
    async for row in await tx.stream_scalars(asked.order_by(col(RequestContent.at)).execution_options(yield_per=50)):
        said = opened(row)
        if said is not None:
            yield said


def opened(row: RequestContent) -> Said | None:
    """Return what a row says, None once its key is gone."""
    key = buckets.private_key(row.bucket)
    if key is None:
        return None
    content = orjson.loads(
        zlib.decompress(crypto.open_with(key, row.sealed, _purpose(row.organization_id, row.request_id)))
    )
    return Said(row.request_id, row.organization_id, row.at, Side(**content["sent"]), Side(**content["got"]))


def _sealed(said: Said, public: Mapping[datetime, bytes]) -> dict[str, object]:
    bucket = buckets.bucket_of(said.at)
    content = orjson.dumps({"sent": said.sent, "got": said.got})
    purpose = _purpose(said.organization_id, said.request_id)
    return {
        "request_id": said.request_id,
        "organization_id": said.organization_id,
        "at": said.at,
        "bucket": bucket,
        "size": said.sent.size + said.got.size,
        "sealed": crypto.seal_to(public[bucket], zlib.compress(content, 1), purpose),
    }


def _purpose(organization_id: UUID, request_id: UUID) -> str:
    return f"content/{organization_id}/{request_id}"


async def _row(tx: Tx, who: Person, request_id: UUID) -> RequestContent | None:
    asked = select(RequestContent).where(*_young(who.organization_id), col(RequestContent.request_id) == request_id)
    return (await tx.exec(asked)).first()


def _young(organization_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        col(RequestContent.organization_id) == organization_id,
        col(RequestContent.at) > now() - buckets.LIFE,
    )
