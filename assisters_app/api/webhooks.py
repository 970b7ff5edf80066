"""Where Stripe tells us what happened: read raw, verified, stored once; a worker acts on it."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.billing import inbox

ARRIVES_WITHIN = 20.0  # seconds for an event; anyone may knock here
LARGEST = 512 * 1024  # bytes; Stripe's events are far smaller


async def stripe(request: Request) -> Response:
    """Take one event. 404 without a webhook secret, 400 for a signature that does not hold, 413 for too much."""
    body = await _body(request)
    async with transaction() as tx:
        await inbox.receive(tx, body, request.headers.get("stripe-signature"))
    return JSONResponse({"received": True})


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(ARRIVES_WITHIN):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST:
                    raise Refused("The event is larger than any that Stripe sends.", code="body_too_large", status=413)
    except TimeoutError:
        raise Refused("The event took too long to arrive.", code="request_timeout", status=408) from None
    except ClientDisconnect:
        raise Refused("The event did not arrive whole.", code="incomplete") from None
    return bytes(body)


ROUTES: list[BaseRoute] = [Route("/webhooks/stripe", stripe, methods=["POST"])]
