"""POST /v1/rerank."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer_as_asked
from assisters_app.gateway.families import rerank

ENDPOINT = "/v1/rerank"


async def create(exchange: Exchange) -> None:
    """Answer a rerank request."""
    await answer_as_asked(exchange, "rerank", rerank.request)
