"""Reading what a caller sends: within a time, and up to a size.

    body = Body(receive, most, announced);  while body.more: piece = await body.piece()
    whole(receive, most, announced, within) -> bytes

Both raise Refused (408, 413) for a body that is too slow or too large, and GoneError when the caller hangs up.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.gateway.calls import GoneError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

ARRIVES_WITHIN = 120.0  # seconds for a body; who sends a byte now and then would hold its place for ever
ARRIVES_QUICKLY = 30.0  # on a function: together with the longest call it is less than what a function has


class Body:
    """A body that is arriving. `announced` is its Content-Length, '' when none was told; `within` is in seconds."""

    def __init__(self, receive: Receive, most: int, announced: str = "", within: float | None = None) -> None:
        self.more = True
        self._size = 0
        self._receive = receive
        self._most = most
        usual = ARRIVES_QUICKLY if settings().function else ARRIVES_WITHIN
        self._until = asyncio.get_running_loop().time() + (within or usual)
        self._announced_too_much = announced.isdigit() and int(announced) > most

    async def piece(self) -> bytes:
        """Return what comes next; afterwards `more` says whether there is anything left."""
        if self._announced_too_much:
            raise too_large(self._most)
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise Refused("Your request took too long to arrive.", code="request_timeout", status=408) from None
        if message["type"] == "http.disconnect":
            raise GoneError
        piece: bytes = message.get("body", b"")
        self.more = message.get("more_body", False)
        self._size += len(piece)
        if self._size > self._most:
            raise too_large(self._most)
        return piece


async def whole(receive: Receive, most: int, announced: str = "", within: float | None = None) -> bytes:
    """Return a body of at most so many bytes."""
    body = Body(receive, most, announced, within)
    parts = [await body.piece()]
    while body.more:
        parts.append(await body.piece())
    return b"".join(parts)


def too_large(most: int) -> Refused:
    """Return what a caller is told whose body is larger than `most` bytes."""
    shown = f"{most // 2**20} MB" if most >= 2**20 else f"{most // 2**10} KB"
    return Refused(f"The body of your request is larger than {shown}.", code="body_too_large", status=413)
