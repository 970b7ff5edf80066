"""Who sends a request is heard out before it is answered: hung up on while sending, they would never read the answer.

An answer that needs no body (no key, an unknown address, a body too large) is there before the body has arrived. A
server that sends it and closes has the system reset the connection under the caller's next byte, and what had arrived
of the answer is thrown away with it (RFC 9112, 9.6). So the rest of a body is read first, and thrown away, within
bounds; the connection can then be used again. So an application reads what it wants to know before it answers:
afterwards there is nothing left to read.
"""

import asyncio
from contextlib import suppress

from assisters_app.doors import Application, Message, Receive, Scope, Send

AT_MOST = 32 * 2**20  # bytes that are read and thrown away: room for the largest body that any address takes
AT_LONGEST = 5.0  # seconds
BODIES = frozenset({b"content-length", b"transfer-encoding"})  # a request with neither has none (RFC 9112, 6.3)
ASKS_FIRST = b"expect"  # who waits for our "100 Continue" sends nothing before somebody reads, which asks for it


class HeardOut:
    """ASGI: stands before an application, and reads what it leaves of a request's body before its answer begins."""

    def __init__(self, inside: Application) -> None:
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the connection on."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        more, receiving, asked = True, False, False

        async def hearing() -> Message:
            nonlocal more, receiving, asked
            receiving = asked = True
            try:
                message = await receive()
            finally:
                receiving = False
            more = message.get("more_body", False)
            return message

        async def telling(message: Message) -> None:
            nonlocal more
            if (
                more
                and not receiving
                and message["type"] == "http.response.start"
                and _sends_a_body(scope, asked=asked)
            ):
                await _hear_out(receive)
                more = False
            await send(message)

        await self._inside(scope, hearing, telling)


def _sends_a_body(scope: Scope, *, asked: bool) -> bool:
    names = {name for name, _ in scope["headers"]}
    return not names.isdisjoint(BODIES) and (asked or ASKS_FIRST not in names)


async def _hear_out(receive: Receive) -> None:
    heard, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(AT_LONGEST):
            while more and heard < AT_MOST:
                message = await receive()
                more = message.get("more_body", False)
                heard += len(message.get("body", b""))
