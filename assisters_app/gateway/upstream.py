"""The upstream: any OpenAI-compatible API, over pooled connections, its bytes handed on as they come.

    Upstream.send(path, body, kind) -> Reply    raises Refused (502, 504) when it cannot be reached or is silent
    read(reply) -> bytes                        a whole answer, never larger than LARGEST_ANSWER

The credential is ours and goes to the configured address only: no redirect is followed.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp

from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings

CONNECT = 5.0  # seconds until a connection must stand
SILENCE = 120.0  # seconds an upstream may say nothing
WHOLE = 600.0  # seconds for one request altogether; shorter than a hold
LARGEST_ANSWER = 64 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `content` yields the body as it arrives; `close` must be called when it is not wanted further."""

    status: int
    content: AsyncIterator[bytes]
    close: Callable[[], None]


class Upstream:
    """The pool of connections to the upstream of this process."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def send(self, path: str, body: bytes | AsyncIterator[bytes], kind: str = "application/json") -> Reply:
        """POST `body` to `path` below the upstream's base address and return its answer, whatever its status."""
        base, key = settings().upstream_base_url, settings().upstream_api_key
        headers = {"Content-Type": kind, "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            response = await self._pool().post(f"{base}{path}", data=body, headers=headers, allow_redirects=False)
        except TimeoutError as problem:
            raise silent() from problem
        except aiohttp.ClientError as problem:
            raise broken() from problem
        return Reply(response.status, _content(response), response.close)

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=WHOLE, sock_connect=CONNECT, sock_read=SILENCE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "assisters"},
                auto_decompress=False,
            )
        return self._session


async def _content(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except TimeoutError as problem:
        raise silent() from problem
    except aiohttp.ClientError as problem:
        raise broken() from problem


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
