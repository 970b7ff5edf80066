"""Upstreams: any OpenAI-compatible API, over pooled connections, its bytes handed on as they come.

    Upstream.send(to, path, body, kind) -> Reply    raises Refused (502, 504) when it cannot be reached or is silent
    read(reply) -> bytes                        a whole answer, never larger than LARGEST_ANSWER

A credential is ours and goes to the address that it was configured with only: no redirect is followed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from assisters_app.base.errors import Refused
from assisters_app.base.settings import UpstreamPlace, settings

CONNECT = timedelta(seconds=5)  # until a connection must stand
SILENCE = timedelta(seconds=120)  # how long an upstream may say nothing
WHOLE = timedelta(seconds=600)  # for one request altogether; shorter than a hold
KEPT = timedelta(seconds=60)  # how long a connection waits for the next request
LARGEST_ANSWER = 64 * 2**20  # bytes
AHEAD = 2**18  # bytes of a whole answer that are waited for together: one wake-up of ours, not one for each piece
ENDING = 0.05  # seconds in which an answer that is not wanted further may still end, so that its connection is kept


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `content` yields the body as it arrives; `close` must be called when it is not wanted further."""

    status: int
    content: AsyncIterator[bytes]
    close: Callable[[], None]


class Upstream:
    """The pool of connections to the upstreams of this process."""

    def __init__(self) -> None:
        self._client: Client | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
        self._client = None

    async def send(
        self,
        to: UpstreamPlace,
        path: str,
        body: bytes | AsyncIterator[bytes],
        kind: str = "application/json",
        *,
        ahead: int = 0,
    ) -> Reply:
        """POST `body` to `path` below an upstream's base address and return its answer, whatever its status.

        It returns when up to `ahead` bytes of the answer's body are here; with 0 as soon as its head is.
        """
        asked = self._pool().post(f"{to.base_url}{path}").headers(_headers(kind, to.api_key))
        asked = asked.body_bytes(body) if isinstance(body, bytes) else asked.body_stream(body)
        request = asked.streamed_read_buffer_limit(ahead).build_streamed()
        try:
            answer = await request.__aenter__()
        except RequestError as problem:
            raise _as_told(problem) from problem
        content = _Content(request, answer)
        return Reply(answer.status, content, content.close)

    def _pool(self) -> Client:
        if self._client is None:
            builder = ClientBuilder().user_agent("assisters").no_proxy().follow_redirects(False).referer(False)
            builder = builder.gzip(False).brotli(False).deflate(False).zstd(False).default_cookie_store(False)
            builder = (
                builder.connect_timeout(CONNECT)
                .read_timeout(SILENCE)
                .timeout(settings().longest_call or WHOLE)
                .pool_idle_timeout(KEPT)
            )
            self._client = builder.build()
        return self._client


def _headers(kind: str, key: str | None) -> dict[str, str]:
    headers = {"Content-Type": kind, "Accept-Encoding": "identity"}
    return headers if key is None else headers | {"Authorization": f"Bearer {key}"}


class _Content:
    """The body of an answer, as it arrives."""

    def __init__(self, request: StreamRequest, answer: Response) -> None:
        self._request = request
        self._reader = answer.body_reader
        self._closing: asyncio.Task[None] | None = None
        self._over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._reader.read_chunk()
        except RequestError as problem:
            self.close()
            raise _as_told(problem) from problem
        except asyncio.CancelledError:
            self.close()
            raise
        if piece is None:
            self._over = True
            raise StopAsyncIteration
        return bytes(piece)

    def close(self) -> None:
        """Let go of the answer: the upstream need not go on."""
        if not self._over and self._closing is None:
            self._closing = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        with suppress(RequestError, TimeoutError):
            async with asyncio.timeout(ENDING):
                await self._reader.read_chunk()
        await self._request.__aexit__(None, None, None)


def _as_told(problem: RequestError) -> Refused:
    return silent() if isinstance(problem, TimeoutError) else broken()


async def read(reply: Reply) -> bytes:
    """Return the whole body of an answer; raise Refused when it is cut off or too large."""
    parts, size = [], 0
    async for chunk in reply.content:
        parts.append(chunk)
        size += len(chunk)
        if size > LARGEST_ANSWER:
            reply.close()
            raise broken()
    return b"".join(parts)


def broken() -> Refused:
    """Return what a caller is told when the upstream cannot be reached, fails, or hangs up."""
    return Refused(
        "The model did not answer. Nothing was charged; please try again.", code="upstream_error", status=502
    )


def silent() -> Refused:
    """Return what a caller is told when the upstream takes too long."""
    return Refused(
        "The model took too long to answer. Nothing was charged; please try again.",
        code="upstream_timeout",
        status=504,
    )


def overloaded() -> Refused:
    """Return what a caller is told when the upstream has no capacity left."""
    return Refused(
        "The model is overloaded right now. Nothing was charged; please try again shortly.",
        code="upstream_overloaded",
        status=503,
    )
