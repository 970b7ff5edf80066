"""POST /v1/chat/completions, as a whole or as a stream of events."""

import asyncio
from contextlib import suppress

from assisters_app.api.exchange import Exchange, whether_gone
from assisters_app.api.metered import answer
from assisters_app.gateway import chat
from assisters_app.gateway.calls import Call
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.chat import Chat

ENDPOINT = "/v1/chat/completions"


async def create(exchange: Exchange) -> None:
    """Answer a chat request."""
    call = await exchange.begin(ENDPOINT)
    body = await exchange.json()
    offer = exchange.gate.offer(body.get("model"), "chat")
    call.model = offer.id
    asked = chat.request(body, offer)
    call.stream = asked.stream
    if asked.stream:
        await _stream(exchange, call, offer, asked)
    else:
        await answer(exchange, call, chat.complete(exchange.gate, call, offer, asked))


async def _stream(exchange: Exchange, call: Call, offer: Offer, asked: Chat) -> None:
    """Stream until it ends or the caller hangs up, whichever comes first."""
    streaming = asyncio.ensure_future(chat.stream(exchange.gate, call, offer, asked, exchange.stream))
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
