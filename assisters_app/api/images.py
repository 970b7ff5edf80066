"""POST /v1/images/generations."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer_as_asked
from assisters_app.gateway.families import images

ENDPOINT = "/v1/images/generations"


async def create(exchange: Exchange) -> None:
    """Answer a request for images; it need not name a model."""
    await answer_as_asked(exchange, "images", images.request, usual=True)
