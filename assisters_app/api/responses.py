"""POST /v1/responses, as a whole or as a stream of typed events."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer_as_asked
from assisters_app.gateway.families import responses

ENDPOINT = "/v1/responses"


async def create(exchange: Exchange) -> None:
    """Answer a request."""
    await answer_as_asked(exchange, "chat", responses.request)
