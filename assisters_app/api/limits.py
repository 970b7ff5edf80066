"""GET /v1/rate-limit: what is left of this minute. Not billed, and not counted itself."""

import orjson

from assisters_app.api.exchange import Exchange
from assisters_app.gateway import admission


async def current(exchange: Exchange) -> None:
    """Send `limit`, `remaining` and `reset` (seconds until the oldest request is forgotten), and the same of tokens."""
    grant = await exchange.enter(None)
    standing, wait = await admission.standing(exchange.gate.scripts, grant)
    exchange.standing = standing
    body = {
        "object": "rate_limit",
        "limit": standing.requests_limit,
        "remaining": standing.requests_left,
        "reset": wait,
        "tokens": {"limit": standing.tokens_limit, "remaining": standing.tokens_left},
    }
    await exchange.reply(200, orjson.dumps(body))
