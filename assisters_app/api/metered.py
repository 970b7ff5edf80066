"""What all metered requests have in common: a key, a JSON object, a model; and whole answers with their cost."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from assisters_app.api.exchange import Exchange, watched, whether_gone
from assisters_app.gateway.calls import Call
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import streams, whole
from assisters_app.gateway.families.answers import Answer
from assisters_app.gateway.families.ask import Ask

LARGE = 2**16  # bytes of a body from which its tokens are counted in a thread, while others are answered

T = TypeVar("T")
Check = Callable[[dict[str, Any], Offer], T]  # a family's `request`: checks a body and says what it can use


async def asked(exchange: Exchange, family: str, check: Check[T], *, usual: bool = False) -> tuple[Call, Offer, T]:
    """Read a request to a model of `family` and check it; raise Refused with what is wrong.

    With `usual`, a caller who names no model gets the family's first, as OpenAI has it for some families.
    """
    call = await exchange.begin(exchange.scope["path"])
    body = await exchange.json()
    named = body.get("model")
    offer = exchange.gate.offer(exchange.gate.usual(family) if usual and named is None else named, family)
    call.model = offer.id
    checked = check(body, offer) if exchange.received < LARGE else await asyncio.to_thread(check, body, offer)
    return call, offer, checked


async def answer_as_asked(exchange: Exchange, family: str, check: Check[Ask], *, usual: bool = False) -> None:
    """Answer a request with one JSON object, or event by event where the caller asked for that."""
    call, offer, ask = await asked(exchange, family, check, usual=usual)
    call.stream = ask.follower is not None
    if call.stream:
        await until_gone(exchange, call, streams.stream(exchange.gate, call, offer, ask, exchange.stream))
    else:
        await answer(exchange, call, whole.complete(exchange.gate, call, offer, ask))


async def answer(exchange: Exchange, call: Call, work: Awaitable[Answer]) -> None:
    """Send what `work` answers, with its cost in dollars."""
    found: Answer = await watched(exchange, call, work)
    exchange.cost_nano = found.cost_nano
    await exchange.reply(200, found.body)


async def until_gone(exchange: Exchange, call: Call, work: Coroutine[Any, Any, None]) -> None:
    """Stream until it ends or the caller hangs up, whichever comes first."""
    streaming = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(whether_gone(exchange, call))
    try:
        await asyncio.wait({streaming, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not streaming.done():
            streaming.cancel()
            with suppress(asyncio.CancelledError):
                await streaming
    if not streaming.cancelled():
        await streaming
        await exchange.end()
