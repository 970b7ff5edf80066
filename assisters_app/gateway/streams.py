"""Handing on what arrives piece by piece: to callers who may read slowly, from upstreams who may answer slowly."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from assisters_app.gateway.calls import Call, GoneError

TAKING_IN = 60.0  # seconds, altogether, that a caller may keep a stream waiting; then they are taken to have gone
Send = Callable[[bytes], Awaitable[None]]


def patiently(send: Send) -> Send:
    """Return `send`, but it raises GoneError once its waits add up to TAKING_IN.

    Otherwise a caller who reads slowly enough lets the upstream's patience run out, and what has failed is free.
    """
    waited = 0.0

    async def handing_over(data: bytes) -> None:
        nonlocal waited
        began = time.perf_counter()
        try:
            async with asyncio.timeout(TAKING_IN - waited):
                await send(data)
        except TimeoutError:
            raise GoneError from None
        waited += time.perf_counter() - began

    return handing_over


async def timed(call: Call, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what arrives, and add the time that was spent waiting for it to the upstream's account."""
    asked = time.perf_counter()
    async for piece in content:
        call.waited += time.perf_counter() - asked
        yield piece
        asked = time.perf_counter()
    call.waited += time.perf_counter() - asked
