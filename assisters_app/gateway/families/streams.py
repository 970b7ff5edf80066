"""Handing on what arrives piece by piece: to callers who may read slowly, from upstreams who may answer slowly."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from assisters_app.base.errors import Refused
from assisters_app.gateway.calls import Call, Ending, GoneError, Usage
from assisters_app.gateway.families import answers
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.upstream import Reply, broken

TAKING_IN = 60.0  # seconds, altogether, that a caller may keep a stream waiting; then they are taken to have gone
Send = Callable[[bytes], Awaitable[None]]


class Follower(Protocol):
    """Follows a stream of events: what the caller gets to see of it, and what it has used so far."""

    done: bool  # it has ended as it should; nothing more is wanted
    finished: bool  # it may end now

    def take(self, payload: bytes) -> bytes | None:
        """Return the event that the caller gets for an upstream's payload, None for none; raise Refused at an error."""

    def so_far(self) -> Usage:
        """Return what was used until now."""

    def last_event(self, cost_nano: int) -> bytes:
        """Return what ends the stream once it is settled."""

    def error_event(self, refused: Refused) -> bytes:
        """Return what ends a stream that failed on the way."""


async def follow(gate: Gate, call: Call, follower: Follower, ask: Callable[[], Awaitable[Reply]], send: Send) -> None:
    """Send the events of an admitted call. Raises Refused only before the first is sent; then an event says it."""
    begun = False
    try:
        async with gate.settled(call) as conclusion:
            reply = await ask()
            await answers.require_success(reply)
            conclusion.so_far, begun = follower.so_far, True
            try:
                await _pass_on(call, follower, reply.content, patiently(send))
            finally:
                reply.close()
            conclusion.ending = Ending("completed", 200, follower.so_far())
        last = follower.last_event(conclusion.cost)
    except Refused as refused:
        if not begun:
            raise
        last = follower.error_event(refused)
    await send(last)


async def _pass_on(call: Call, follower: Follower, content: AsyncIterator[bytes], send: Send) -> None:
    async for payload in answers.events(timed(call, content)):
        shown = follower.take(payload)
        if shown is not None:
            await send(shown)
        if follower.done:
            return
    if not follower.finished:
        raise broken()


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
