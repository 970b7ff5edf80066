"""Receipts of requests over HTTP: one, a whole month, and the keys that anyone verifies them with."""

from collections.abc import AsyncIterator
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base.db import transaction
from assisters_app.billing import months, receipts
from assisters_app.privacy.erasing import receipts as erasures
from assisters_app.privacy.registers import signing
from assisters_app.ui.privacy_routes import PRIVATE, guarded
from assisters_app.ui.public_routes import open_to_all
from assisters_app.usage import events

OFTEN = Limit("month-of-receipts", 30, timedelta(hours=1))  # by one person: each reads a month from the database


@guarded
async def download_one(request: Request, who: Person) -> Response:
    """Hand out the receipt of one request of the person's."""
    request_id = events.request_id(request.path_params["handle"])
    async with transaction() as tx:
        receipt = await receipts.of(tx, who.organization_id, request_id)
    named = _file(f"{events.handle(request_id)}.json")
    return Response(receipt.file(), media_type="application/json", headers=named)


@guarded
async def download_month(request: Request, who: Person) -> Response:
    """Stream a month of the person's receipts, with the invoice they come to."""
    month = months.named(request.path_params["month"])
    await attempt(OFTEN, str(who.account_id))
    parts = receipts.month(who.organization_id, month)
    first = await anext(parts)  # whether there is such a month is known before anything is sent
    return StreamingResponse(
        _all(first, parts), media_type="application/jsonl", headers=_file(f"assisters-receipts-{month}.jsonl")
    )


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


@open_to_all
async def published_keys(request: Request) -> Response:  # noqa: ARG001 (it answers everyone alike)
    """Name every key that receipts were ever signed with."""
    async with transaction() as tx:
        ours, theirs = await receipts.keys(tx), await erasures.keys(tx)
        consents = await signing.keys(tx, "consent-receipts")
    told = {
        "algorithm": "Ed25519",
        "requests": [
            {"id": key.id, "public_key": key.public_key, "since": key.since.isoformat(), "imported": key.imported}
            for key in ours
        ],
        "erasures": [{"public_key": key.public_key, "since": key.since.isoformat()} for key in theirs],
        "consents": [{"public_key": key.public_key, "since": key.since.isoformat()} for key in consents],
    }
    return JSONResponse(told, headers={"cache-control": "public, max-age=300", "access-control-allow-origin": "*"})


def _file(name: str) -> dict[str, str]:
    return {**PRIVATE, "content-disposition": f'attachment; filename="{name}"'}


ROUTES: list[BaseRoute] = [
    Route("/download/request-receipts/{handle}", download_one, methods=["GET"]),
    Route("/download/receipt-months/{month}", download_month, methods=["GET"]),
    Route("/.well-known/receipt-keys.json", published_keys, methods=["GET"]),
]
