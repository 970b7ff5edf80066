"""A line to Valkey that all callers of an event loop share: what they ask at the same moment travels together.

    line = Line(url);  answer = await line.ask("EVALSHA", …);  line.close()

redis-py reads the address (TLS and all); hiredis, which is also redis-py's parser, packs and parses. What is left out
is redis-py's pipeline, which cost a metered call a quarter of its time and let only one batch travel at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis
import redis.asyncio as redis
from redis.exceptions import BusyLoadingError, NoScriptError, ReadOnlyError, ResponseError

ANSWERS_WITHIN = 2.0  # seconds; then the one who asked is told, and the line is taken to be dead
CONNECTS_WITHIN = 2.0  # seconds
ERRORS = {"NOSCRIPT": NoScriptError, "LOADING": BusyLoadingError, "READONLY": ReadOnlyError}


@dataclass(slots=True)
class _Asked:
    packed: bytes
    answer: asyncio.Future[Any]
    until: float  # the loop's time at which patience ends
    again: bool = False  # whether it was sent before, on a connection that broke


class Line:
    """A connection that is made when something is asked, and made again when it broke.

    What was under way on a connection that broke is asked once more on the next one, so only what may be repeated may
    be asked. When Valkey cannot be reached, everybody who waits is told at once.
    """

    def __init__(self, url: str) -> None:
        pool = redis.ConnectionPool.from_url(url)
        self._address: Any = pool.make_connection()  # type: ignore[no-untyped-call]  # never connected: it reads the URL
        self._tls = self._address.ssl_context.get() if isinstance(self._address, redis.SSLConnection) else None
        self._loop = asyncio.get_running_loop()
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: list[_Asked] = []  # asked, and not sent yet
        self._flushing = False
        self._watching: asyncio.TimerHandle | None = None

    def ask(self, *command: str | int) -> asyncio.Future[Any]:
        """Send a command, and return its answer to be awaited; strings come back as text.

        The answer raises redis.RedisError when Valkey refuses, cannot be reached, or is silent for ANSWERS_WITHIN
        seconds. The command travels even when nobody awaits the answer any more.
        """
        asked = self._asked(command)
        self._waiting.append(asked)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return asked.answer

    def close(self) -> None:
        """Hang up; whoever still waits is told."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._watching is not None:
            self._watching.cancel()
        _tell(self._all(), redis.ConnectionError, "The line to Valkey was closed.")
        self._waiting = []
        if self._wire is not None:
            self._wire.transport.abort()

    def _asked(self, command: tuple[str | int, ...], *, again: bool = False) -> _Asked:
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # it takes any length
        return _Asked(packed, self._loop.create_future(), self._loop.time() + ANSWERS_WITHIN, again)

    def _all(self) -> list[_Asked]:
        return [*(self._wire.under_way if self._wire else ()), *self._waiting]

    def _flush(self) -> None:
        self._flushing = False
        if self._watching is None and self._waiting:
            self._watching = self._loop.call_at(self._waiting[0].until, self._watch)
        if self._wire is not None:
            self._wire.send(self._waiting)
            self._waiting = []
        elif self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECTS_WITHIN):
                _, wire = await self._loop.create_connection(
                    lambda: _Wire(self._broke), self._address.host, self._address.port, ssl=self._tls
                )
                await self._introduce(wire)
        except (redis.RedisError, OSError, TimeoutError) as problem:
            given_up, self._waiting = self._waiting, []
            _tell(given_up, redis.ConnectionError, f"Valkey cannot be reached: {type(problem).__name__}.")
        else:
            self._wire = wire
            self._flush()
        finally:
            self._connecting = None

    async def _introduce(self, wire: "_Wire") -> None:
        """Say who we are and which database we mean; raise redis.RedisError when we are not let in."""
        address = self._address
        steps: list[tuple[str | int, ...]] = [("SELECT", address.db)]
        if address.password:
            steps.insert(0, ("AUTH", *filter(None, (address.username,)), address.password))
        try:
            for step in steps:
                asked = self._asked(step, again=True)
                wire.send([asked])
                await asked.answer
        except BaseException:
            wire.transport.abort()
            raise

    def _broke(self, wire: "_Wire") -> None:
        """Ask what was under way once more, on a new connection."""
        if wire is self._wire:
            self._wire = None
        _tell([asked for asked in wire.under_way if asked.again], redis.ConnectionError, "The line to Valkey broke.")
        again = [asked for asked in wire.under_way if not asked.answer.done()]
        for asked in again:
            asked.again = True
        self._waiting = [*again, *self._waiting]
        if self._waiting:
            self._flush()

    def _watch(self) -> None:
        """Tell those whose patience is over; a connection on which that happens is dead."""
        self._watching, moment = None, self._loop.time()
        _tell([asked for asked in self._all() if asked.until <= moment], redis.TimeoutError, "Valkey did not answer.")
        self._waiting = [asked for asked in self._waiting if asked.until > moment]
        if self._wire is not None and self._wire.under_way and self._wire.under_way[0].until <= moment:
            self._wire.transport.abort()
        left = [asked.until for asked in self._all() if asked.until > moment]
        if left:
            self._watching = self._loop.call_at(min(left), self._watch)


class _Wire(asyncio.Protocol):
    """One connection: what was asked first is answered first."""

    transport: asyncio.Transport

    def __init__(self, broke: Callable[["_Wire"], None]) -> None:
        self.under_way: deque[_Asked] = deque()
        self._broke = broke
        self._reader = hiredis.Reader(encoding="utf-8", replyError=_error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _problem: Exception | None) -> None:
        self._broke(self)

    def send(self, those: Sequence[_Asked]) -> None:
        """Send it all at once."""
        self.under_way.extend(those)
        self.transport.writelines([asked.packed for asked in those])

    def data_received(self, data: bytes) -> None:
        """Hand out answers."""
        self._reader.feed(data)
        while (told := self._reader.gets()) is not False:
            answer = self.under_way.popleft().answer
            if answer.done():  # nobody waits for it any more
                continue
            if isinstance(told, Exception):
                answer.set_exception(told)
            else:
                answer.set_result(told)


def _tell(those: Iterable[_Asked], kind: type[redis.RedisError], sentence: str) -> None:
    for asked in those:
        if not asked.answer.done():
            asked.answer.set_exception(kind(sentence))


def _error(sentence: str) -> Exception:
    """Return Valkey's refusal as redis-py's kind of error."""
    return ERRORS.get(sentence.partition(" ")[0], ResponseError)(sentence)
