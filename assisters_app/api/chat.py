"""POST /v1/chat/completions, as a whole or as a stream of events."""

from assisters_app.api.exchange import Exchange
from assisters_app.api.metered import answer_as_asked
from assisters_app.gateway.families import chat

ENDPOINT = "/v1/chat/completions"


async def create(exchange: Exchange) -> None:
    """Answer a chat request."""
    await answer_as_asked(exchange, "chat", chat.request)
