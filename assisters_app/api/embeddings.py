"""POST /v1/embeddings."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer
from assisters_app.gateway import embeddings

ENDPOINT = "/v1/embeddings"


async def create(exchange: Exchange) -> None:
    """Answer an embeddings request."""
    call = await exchange.begin(ENDPOINT)
    body = await exchange.json()
    offer = exchange.gate.offer(body.get("model"), "embeddings")
    call.model = offer.id
    asked = embeddings.request(body, offer)
    await answer(exchange, call, embeddings.complete(exchange.gate, call, offer, asked))
