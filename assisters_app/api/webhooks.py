"""What others tell us, read raw and with their signature checked: Stripe of payments, GitHub of leaked keys."""

import hashlib
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.client import client_of, forwarded_for
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.api import bodies
from assisters_app.base.db import transaction
from assisters_app.billing import inbox
from assisters_app.keys import leaks, reporters

ARRIVES_WITHIN = 20.0  # seconds for an event; anyone may knock here
LARGEST = 512 * 1024  # bytes; Stripe's events are far smaller, and a thousand leaked keys are no more
OFTEN = Limit("leak-reports", 120, timedelta(minutes=1))  # from one place, signed or not


async def stripe(request: Request) -> Response:
    """Take one event. 404 without a webhook secret, 400 for a signature that does not hold, 413 for too much."""
    body = await _body(request)
    async with transaction() as tx:
        await inbox.receive(tx, body, request.headers.get("stripe-signature"))
    return JSONResponse({"received": True})


async def leaked(request: Request) -> Response:
    """Take what GitHub's secret scanning has found; answer which of it is ours, as hashes.

    404 when it is not set up, 400 for a signature that does not hold, 413 for too much, 429 for too often.
    """
    reporters.require_set_up()
    peer = request.client.host if request.client else ""
    await attempt(OFTEN, client_of(peer, forwarded_for(request.scope["headers"])).place)
    body = await _body(request)
    signed_with = request.headers.get("github-public-key-identifier", "")
    await reporters.require_signed(body, signed_with, request.headers.get("github-public-key-signature", ""))
    found = leaks.findings(body)
    async with transaction() as tx:
        ours = await leaks.report(tx, found)
    return JSONResponse(
        [
            {
                "token_hash": hashlib.sha256(one.token.encode()).hexdigest(),
                "token_type": one.type,
                "label": "true_positive" if is_ours else "false_positive",
            }
            for one, is_ours in zip(found, ours, strict=True)
        ]
    )


async def _body(request: Request) -> bytes:
    return await bodies.whole(request.receive, LARGEST, request.headers.get("content-length", ""), ARRIVES_WITHIN)


ROUTES: list[BaseRoute] = [
    Route("/webhooks/stripe", stripe, methods=["POST"]),
    Route("/webhooks/github/secret-scanning", leaked, methods=["POST"]),
]
