"""The database: one engine per process, one transaction per intention.

Faces open a transaction with `transaction()`; the domain never commits. What must happen only once the
transaction stands (pushing a change to other processes) is handed to `tx.afterwards(...)`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, CursorResult, Engine, Executable, event, text
from sqlalchemy import inspect as sqlalchemy_inspect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from assisters_app.base import cards
from assisters_app.base.settings import settings

SCHEMA = "assisters"  # not `public`: Supabase's Data API shows exposed schemas to anyone with the public key

SAY = f"SELECT set_config('search_path', '{SCHEMA}', {{local}}), set_config('TimeZone', 'UTC', {{local}})"

TYPED = ("user.contact", "user.content", "user.content.private", "user.name", "user.workplace", "user.behavior")

Afterwards = Callable[[], Awaitable[None]]
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Tx(AsyncSession):
    """One transaction on behalf of one intention."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (handed on to AsyncSession)
        super().__init__(*args, **kwargs)
        self._afterwards: list[Afterwards] = []

    def afterwards(self, act: Afterwards) -> None:
        """Call `act()` once this transaction has been committed; never when it is rolled back."""
        self._afterwards.append(act)

    async def sql(self, statement: Executable, params: Params = None) -> CursorResult[Any]:
        """Run SQL written by hand, in this transaction, after what was added to it so far; rows come as tuples."""
        await self.flush()
        return await (await self.connection()).execute(statement, params)

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """Undo all that the block does, and what it wanted done afterwards: to count what would happen."""
        wanted_before = list(self._afterwards)
        attempt = await self.begin_nested()
        try:
            yield
        finally:
            await attempt.rollback()
            self._afterwards = wanted_before


@event.listens_for(Session, "before_flush")
def _take_cards_out(session: Session, *_: object) -> None:
    """See to it that no text about a person is written with the number of a card in it (policy 1.3)."""
    for row in (*session.new, *session.dirty):
        for attribute in sqlalchemy_inspect(row).mapper.column_attrs:
            mark, value = attribute.columns[0].info.get("mark"), row.__dict__.get(attribute.key)
            if isinstance(value, str) and getattr(mark, "category", None) in TYPED and cards.taken_out(value) != value:
                setattr(row, attribute.key, cards.taken_out(value))


_engine: AsyncEngine | None = None


def engine() -> AsyncEngine:
    """Return this process's engine, made at first use (never before a fork)."""
    global _engine  # noqa: PLW0603 (one pool per process is the point)
    if _engine is None:
        _engine = create_async_engine(
            driver_url(settings().database_url),
            connect_args=connect_args(),
            pool_size=10,
            max_overflow=10,
            pool_pre_ping=True,
            hide_parameters=True,  # an error is logged, and what was asked for may say who somebody is
        )
        prepare(_engine.sync_engine)
    return _engine


async def dispose() -> None:
    """Close every pooled connection; the next use opens a new pool."""
    global _engine  # noqa: PLW0603
    if _engine is not None:
        await _engine.dispose()
    _engine = None


def driver_url(url: str) -> str:
    """Return `url` with the psycopg driver named, sync and async alike."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def connect_args() -> dict[str, Any]:
    """Return what every connection of ours is opened with.

    Prepared statements are off because a transaction pooler (Supabase's port 6543) would lose them. To a pooler no
    options are given: pgbouncer refuses them, and Supabase's misreads them (supavisor, issue 206). See `prepare`.
    """
    options = {"options": f"-csearch_path={SCHEMA} -ctimezone=UTC"} if settings().database_pooler == "none" else {}
    return {**options, "prepare_threshold": None}


def prepare(engine: Engine) -> None:
    """Have every connection see our schema and UTC where a pooler keeps us from opening it so.

    By session that is said once a connection; by transaction in each, since the next one may be on another connection.
    """
    pooler = settings().database_pooler
    if pooler == "session":
        event.listen(engine, "connect", _say_for_good)
    elif pooler == "transaction":
        event.listen(engine, "begin", _say_for_now)


def _say_for_good(connection: Any, _record: object) -> None:  # noqa: ANN401 (as SQLAlchemy hands it over)
    cursor = connection.cursor()
    cursor.execute(SAY.format(local="false"))
    cursor.close()
    connection.commit()


def _say_for_now(connection: Connection) -> None:
    connection.exec_driver_sql(SAY.format(local="true"))


async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
    """Do the same for a connection that SQLAlchemy does not open: the queue's, which needs it for good."""
    if settings().database_pooler != "none":
        await connection.execute(SAY.format(local="false"))
        await connection.commit()


@asynccontextmanager
async def transaction() -> AsyncIterator[Tx]:
    """Open a transaction; commit it at the end of the block, roll it back when the block raises."""
    async with Tx(engine(), expire_on_commit=False) as tx:
        async with tx.begin():
            yield tx
        for act in tx._afterwards:  # noqa: SLF001 (its own module)
            await act()


@asynccontextmanager
async def snapshot() -> AsyncIterator[Tx]:
    """Open a transaction that only reads, and sees everything as it is at one moment."""
    async with engine().connect() as connection:
        steady = await connection.execution_options(isolation_level="REPEATABLE READ")
        async with Tx(steady, expire_on_commit=False) as tx:
            await tx.sql(text("SET TRANSACTION READ ONLY"))
            yield tx
