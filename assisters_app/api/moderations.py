"""POST /v1/moderations, and the same under its Assisters name, /v1/moderate."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer_as_asked
from assisters_app.gateway.families import moderations

ENDPOINT = "/v1/moderations"
OWN_NAME = "/v1/moderate"


async def create(exchange: Exchange) -> None:
    """Answer a moderation request; it need not name a model."""
    await answer_as_asked(exchange, "moderations", moderations.request, usual=True)
