"""POST /v1/embeddings."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer_as_asked
from assisters_app.gateway.families import embeddings

ENDPOINT = "/v1/embeddings"


async def create(exchange: Exchange) -> None:
    """Answer an embeddings request."""
    await answer_as_asked(exchange, "embeddings", embeddings.request)
