"""POST /v1/audio/transcriptions: a recording as text, handed to the model while it arrives."""

import asyncio
from contextlib import aclosing

from assisters_app.api.exchange import Exchange
from assisters_app.gateway import upload
from assisters_app.gateway.calls import Call
from assisters_app.gateway.families import transcriptions
from assisters_app.gateway.upload import Upload

ENDPOINT = "/v1/audio/transcriptions"


async def create(exchange: Exchange) -> None:
    """Answer a recording."""
    call = await exchange.begin(ENDPOINT)
    announced = exchange.header(b"content-length")
    async with aclosing(exchange.chunks(upload.LARGEST_FORM)) as chunks:
        given = Upload(chunks, exchange.header(b"content-type"))
        try:
            await given.begin()
            offer = exchange.gate.offer(given.value("model"), "transcriptions")
            call.model = offer.id
            watch = asyncio.ensure_future(_whether_gone(exchange, call, given))
            try:
                size = int(announced) if announced.isdigit() else None
                found = await transcriptions.answer(exchange.gate, call, offer, given, size)
            finally:
                watch.cancel()
        finally:
            given.close()
    exchange.cost_nano = found.cost_nano
    await exchange.reply(200, found.body, kind=(b"content-type", found.kind))


async def _whether_gone(exchange: Exchange, call: Call, given: Upload) -> None:
    """Note on `call` when its caller hangs up, once all they send has arrived."""
    await given.arrived.wait()
    await exchange.until_gone()
    call.caller_gone = True
