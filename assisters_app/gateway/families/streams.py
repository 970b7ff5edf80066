"""Handing on what arrives piece by piece: to callers who may read slowly, from upstreams who may answer slowly."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from assisters_app.base.errors import Refused
from assisters_app.gateway.calls import Call, Ending, GoneError
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.ask import Ask, Follower
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.upstream import broken

TAKING_IN = 60.0  # seconds, altogether, that a caller may keep a stream waiting; then they are taken to have gone
Send = Callable[[bytes], Awaitable[None]]


async def stream(gate: Gate, call: Call, offer: Offer, ask: Ask, send: Send) -> None:
    """Send an answer event by event. The record is durable before the last event is sent.

    Raises Refused only before the first `send`. A stream that fails on the way ends with an event that holds an error,
    as OpenAI's clients expect, and is free.
    """
    assert ask.follower is not None  # or it is answered as a whole
    follower, begun = ask.follower(call), False
    await gate.admit(call, offer, ask.bound)
    try:
        async with gate.settled(call) as conclusion:
            reply = await gate.ask(call, offer, ask.path, ask.body)
            await answers.require_success(reply)
            conclusion.so_far, begun = follower.so_far, True
            try:
                await _pass_on(call, follower, reply.content, patiently(send))
            finally:
                reply.close()
            conclusion.ending = Ending("completed", 200, follower.so_far())
        last = follower.last_event(conclusion.usage, conclusion.cost)
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
