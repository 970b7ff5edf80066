"""What one process remembers of keys and models, and how it learns that something has changed.

A change is pushed (`valkey.announce`) and heard at once. Should the push be lost, one query every half second asks for
marks of all that is remembered, and what has another mark than before is read again: no process knows anything older
than STALENESS, except while the database is down, when it goes on with what it knew. A process that was paused, as
functions are between requests, reads again before it lets anybody in.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from assisters_app.base import db, valkey
from assisters_app.base.clock import now
from assisters_app.gateway import catalog, grants
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.grants import Grant
from assisters_app.keys.tables import ApiKey

STALENESS = timedelta(seconds=1)  # published: the longest a revoked key may still be let in
REFRESH = 0.5  # seconds between two readings
UNUSED = 60.0  # seconds after which a key that nobody uses is forgotten
MOST_STRANGERS = 10_000  # public ids remembered as nobody's, for one refresh only
LOOKUPS = 4  # keys looked up at the same time; the rest wait, so that guessing does not take every connection

OFFERS = ""  # stands among public ids for the models and their prices

# Of a key, all but when it was last used, which the worker notes with each batch; of its organization and its owner,
# the transaction that wrote them last. A price that begins changes the mark, though nobody writes anything then.
_COLUMNS = ", ".join(f"k.{column.name}" for column in ApiKey.__table__.columns if column.name != "last_used_at")  # type: ignore[attr-defined]
MARKS = text(f"""
SELECT '{OFFERS}' AS public_id, md5(concat_ws('|',
    (SELECT string_agg(m::text, '|' ORDER BY m.id) FROM model m),
    (SELECT string_agg(p::text, '|' ORDER BY p.id) FROM price p WHERE p.valid_from <= :at))) AS mark
UNION ALL
SELECT k.public_id, md5(concat_ws('|', o.xmin, a.xmin, ROW({_COLUMNS})::text))
FROM api_key k JOIN organization o ON o.id = k.organization_id JOIN account a ON a.id = o.owner_id
WHERE k.public_id = ANY(:wanted) AND k.revoked_at IS NULL
""")  # noqa: S608 (the names are those of the table above)

logger = logging.getLogger(__name__)


class Known:
    """The grants and offers that this process remembers; `open()` starts keeping them fresh, `close()` ends it."""

    def __init__(self, wallet_changed: Callable[[UUID], Awaitable[None]]) -> None:
        self.offers: dict[str, Offer] = {}
        self._grants: dict[str, Grant] = {}
        self._used: dict[str, float] = {}
        self._marks: dict[str, str] = {}  # what each was when it was read last; none for what was looked up since
        self._strangers: set[str] = set()
        self._lookups = asyncio.Semaphore(LOOKUPS)
        self._wallet_changed = wallet_changed
        self._fresh = True
        self._read_at = time.time()  # by the wall's clock: it goes on while a machine sleeps
        self._waking = asyncio.Lock()
        self._changes = 0
        self._heard: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Read the catalog and start keeping what is remembered fresh; a database that is down is tried again."""
        await self._refresh_quietly()
        self._tasks = [asyncio.create_task(self._keep_fresh()), asyncio.create_task(self._heed())]

    async def close(self) -> None:
        """Stop, and forget everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self.forget()

    @property
    def slept(self) -> bool:
        """Whether nothing was read for longer than anything may be old: this process was paused, or is overwhelmed.

        While the database is down that is no news: then what is known goes on to count.
        """
        return self._fresh and time.time() - self._read_at > STALENESS.total_seconds()

    async def wake(self) -> None:
        """Read again before anybody is let in by what was known before a pause."""
        asked = time.time()
        async with self._waking:
            if self.slept and self._read_at < asked:  # a reading that began while we waited is fresh enough for us
                await self._refresh_quietly()

    def remembered(self, public_id: str) -> Grant | None:
        """Return what a key may do, None when that is not remembered."""
        found = self._grants.get(public_id)
        if found is not None:
            self._used[public_id] = time.monotonic()
        return found

    async def grant(self, public_id: str) -> Grant | None:
        """Return what a key may do, None when it is nobody's; raise when it is unknown and the database is down."""
        found = self.remembered(public_id)
        if found is None and public_id not in self._strangers:
            found = await self._look_up(public_id)
        if found is not None:
            self._used[public_id] = time.monotonic()
        return found

    def forget(self) -> None:
        """Forget every key: each is read again when it is used."""
        self._changes += 1
        self._grants.clear()
        self._marks.clear()
        self._strangers.clear()

    async def _look_up(self, public_id: str) -> Grant | None:
        async with self._lookups:
            if public_id in self._grants:
                return self._grants[public_id]
            changes = self._changes
            async with db.transaction() as tx:
                found = (await grants.load(tx, [public_id])).get(public_id)
        if changes != self._changes:  # something changed while we read: use it once, remember nothing
            return found
        if found is not None:
            self._grants[public_id] = found
            self._marks.pop(public_id, None)
        elif len(self._strangers) < MOST_STRANGERS:
            self._strangers.add(public_id)
        return found

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            await self._refresh_quietly()

    async def _refresh_quietly(self) -> None:
        try:
            async with asyncio.timeout(5 * REFRESH):
                await self.refresh()
        except (SQLAlchemyError, DBAPIError, OSError, TimeoutError):
            if self._fresh:
                logger.warning("Keys cannot be read again; going on with what is known.")
            self._fresh = False
        else:
            if not self._fresh:
                logger.warning("Keys are read again.")
            self._fresh = True

    async def refresh(self) -> None:
        """Read again what has changed of all that is remembered; a key that was revoked is gone after this."""
        began = time.time()  # what is read is as old as that, however long the reading takes
        forgotten = time.monotonic() - UNUSED
        wanted = [public_id for public_id in self._grants if self._used.get(public_id, 0.0) > forgotten]
        self._heard = set()
        async with db.transaction() as tx:
            rows = await tx.sql(MARKS, {"at": now(), "wanted": wanted})
            marks = {row.public_id: row.mark for row in rows}
            changed = [name for name, mark in marks.items() if self._marks.get(name) != mark]
            offers = await catalog.offered(tx) if OFFERS in changed else self.offers
            keys = [public_id for public_id in changed if public_id != OFFERS]
            found = await grants.load(tx, keys) if keys else {}
        self.offers = offers
        self._read_at = began
        self._strangers.clear()
        same = marks.keys() & self._grants.keys() - set(changed)
        kept = {**{public_id: self._grants[public_id] for public_id in same}, **found}
        self._grants = {public_id: grant for public_id, grant in kept.items() if public_id not in self._heard}
        self._marks = {name: mark for name, mark in marks.items() if name in self._grants or name == OFFERS}
        self._used = {public_id: self._used[public_id] for public_id in self._grants}

    async def _heed(self) -> None:
        while True:
            try:
                async for topic, name in valkey.listen():
                    await self._hear(topic, name)
            except (redis.RedisError, OSError):
                self.forget()  # what was announced meanwhile was not heard
                await asyncio.sleep(REFRESH)

    async def _hear(self, topic: str, name: str) -> None:
        if topic == "key":
            self._changes += 1
            self._heard.add(name)  # what is being read at this moment may be older than the change
            self._grants.pop(name, None)
            self._marks.pop(name, None)
            self._strangers.discard(name)
        elif topic in ("price", "model"):
            self._marks.pop(OFFERS, None)
            await self._refresh_quietly()
        elif topic == "organization":  # its plan or its wallet
            self._drop(UUID(name))
            await self._wallet_changed(UUID(name))

    def _drop(self, organization_id: UUID) -> None:
        theirs = [key for key, grant in self._grants.items() if grant.organization_id == organization_id]
        self._changes += 1
        self._heard.update(theirs)
        for public_id in theirs:
            del self._grants[public_id]
            self._marks.pop(public_id, None)
