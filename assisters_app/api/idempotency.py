"""Idempotency-Key: a POST that is repeated under the same key gets the same answer and is done, and charged, once.

As in the IETF draft: the header's value is any text of up to 255 characters that its sender has not used within a day.
What was refused or failed is free and may be tried again under its key. Who hangs up does not end such a request: it
is finished, so that its repetition finds the answer. Streams are replayed as the same events, all at once.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

import redis

from assisters_app.api import bodies
from assisters_app.api.bodies import Message, Receive
from assisters_app.api.exchange import Exchange, Send
from assisters_app.base.errors import Refused
from assisters_app.gateway import replays
from assisters_app.gateway.replays import Attempt, Kept
from assisters_app.openapi.operations import operation

HEADER = b"idempotency-key"
LONGEST = 255  # characters of a key
LARGEST_REQUEST = 32 * 2**20  # bytes; more than any address takes
REPLAYED = (b"idempotent-replayed", b"true")

logger = logging.getLogger(__name__)


async def once(exchange: Exchange, handler: Callable[[Exchange], Awaitable[None]]) -> None:
    """Have `handler` answer, unless the same request was answered before under the same key."""
    key = exchange.header(HEADER)
    if len(key) > LONGEST or not (key.isascii() and key.isprintable()):
        raise Refused(
            f"An Idempotency-Key is at most {LONGEST} printable ASCII characters.", code="invalid_idempotency_key"
        )
    grant = await exchange.enter(operation("POST", exchange.scope["path"]).scope)
    secret = exchange.header(b"authorization").partition(" ")[2].strip()
    between = _Between(exchange)
    request = _request(exchange, await between.take_in())
    of = functools.partial(replays.attempt, grant, secret, key, request, exchange.handle)
    attempt = of() if len(request) < replays.LARGE else await asyncio.to_thread(of)
    kept = await replays.begin(attempt)
    if kept is not None:
        await _replay(exchange, kept)
        return
    between.attempt = attempt
    try:
        await handler(exchange)
    finally:
        await between.conclude()


async def _replay(exchange: Exchange, kept: Kept) -> None:
    headers = [REPLAYED, (b"original-request-id", kept.handle.encode())]
    await exchange.reply(kept.status, kept.body, headers, kind=(b"content-type", kept.kind.encode()))


class _Between:
    """Stands between a handler and its caller: hands the body over, sees the answer, and keeps it before it has ended.

    `attempt` is set once its answer is to be kept.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.attempt: Attempt | None = None
        self._exchange = exchange
        self._body: bytes | None = None
        self._status = 0
        self._kind = ""
        self._parts: list[bytes] = []
        self._size = 0
        exchange.between(self._wrap)

    def _wrap(self, receive: Receive, send: Send) -> tuple[Receive, Send]:
        self._receive, self._send = receive, send
        return self._hand_over, self._see

    async def take_in(self) -> bytes:
        """Return the body; raise Refused (408, 413) when it does not come or is larger than anything we take."""
        self._body = await bodies.whole(self._receive, LARGEST_REQUEST, self._exchange.header(b"content-length"))
        return self._body

    async def _hand_over(self) -> Message:
        """Hand the body over, and then nothing: that the caller has gone does not end what they can ask for again."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _see(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._kind = dict(message["headers"]).get(b"content-type", b"").decode()
        else:
            self._take(message.get("body", b""))
            if not message.get("more_body", False):
                await self.conclude(whole=True)
        await self._send(message)

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= replays.LARGEST:
            self._parts.append(piece)
        else:
            self._parts.clear()

    async def conclude(self, *, whole: bool = False) -> None:
        """Note what became of the attempt; once. Should Valkey be down, it stays as begun: nothing is done twice."""
        attempt, self.attempt = self.attempt, None
        if attempt is None:
            return
        try:
            await self._note(attempt, whole)
        except (redis.RedisError, OSError):
            logger.warning("What became of a repeatable request was not noted.", extra={"handle": attempt.handle})

    async def _note(self, attempt: Attempt, whole: bool) -> None:
        call = self._exchange.call
        ended = call.ended.status if call is not None and call.ended is not None else self._status
        answered = whole and max(self._status, ended) < 400  # noqa: PLR2004 (a stream may begin well and end badly)
        if answered and self._size <= replays.LARGEST:
            await replays.keep(attempt, Kept(self._status, self._kind, b"".join(self._parts), attempt.handle))
        elif answered or (call is not None and call.charged):
            await replays.lose(attempt)
        else:
            await replays.release(attempt)


def _request(exchange: Exchange, body: bytes) -> bytes:
    """Return what makes a request the same: its address, its kind, its body.

    The boundary of a form is drawn anew each time it is sent, so it is taken out.
    """
    kind, _, boundary = exchange.header(b"content-type").partition("boundary=")
    if boundary:
        body = body.replace(boundary.strip('"').encode("latin-1"), b"")
    head = "\n".join((exchange.scope["path"], exchange.scope["query_string"].decode("latin-1"), kind))
    return head.encode() + b"\n\n" + body
