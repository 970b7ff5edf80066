"""POST /v1/chat/completions, as a whole or as a stream of events."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer, asked, until_gone
from assisters_app.gateway.families import chat

ENDPOINT = "/v1/chat/completions"


async def create(exchange: Exchange) -> None:
    """Answer a chat request."""
    call, offer, ask = await asked(exchange, "chat", chat.request)
    call.stream = ask.stream
    if ask.stream:
        await until_gone(exchange, call, chat.stream(exchange.gate, call, offer, ask, exchange.stream))
    else:
        await answer(exchange, call, chat.complete(exchange.gate, call, offer, ask))
