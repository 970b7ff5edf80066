"""POST /v1/audio/speech: sound, as it is made."""

from assisters_app.api.exchange import Exchange, cost_header
from assisters_app.api.metered import asked, until_gone
from assisters_app.gateway.calls import Usage
from assisters_app.gateway.families import speech

ENDPOINT = "/v1/audio/speech"


async def create(exchange: Exchange) -> None:
    """Answer with sound, and what it costs in front of it: that follows from the request alone."""
    call, offer, ask = await asked(exchange, "speech", speech.request)

    async def send(piece: bytes) -> None:
        price = cost_header(call.cost(Usage(units=ask.characters)))
        await exchange.stream(piece, ((b"content-type", ask.kind.encode()), price))

    await until_gone(exchange, call, speech.stream(exchange.gate, call, offer, ask, send))
