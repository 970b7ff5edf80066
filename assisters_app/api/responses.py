"""POST /v1/responses, as a whole or as a stream of typed events."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer, asked, until_gone
from assisters_app.gateway.families import responses

ENDPOINT = "/v1/responses"


async def create(exchange: Exchange) -> None:
    """Answer a request."""
    call, offer, ask = await asked(exchange, "chat", responses.request)
    call.stream = ask.stream
    if ask.stream:
        await until_gone(exchange, call, responses.stream(exchange.gate, call, offer, ask, exchange.stream))
    else:
        await answer(exchange, call, responses.complete(exchange.gate, call, offer, ask))
