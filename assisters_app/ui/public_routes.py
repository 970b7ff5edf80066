"""What programs read about privacy without signing in: the policy and what its checks found, what is stored, receipts.

    published(value) -> route     a JSON file of what `value()` returns; for everyone alike
    open_to_all(answer) -> route  counts what one address reads in a minute; too much is 429 with Retry-After

The pages of people stand beside them (`ui.pages`); where they used to be downloads, the old addresses lead to them.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.throttling import attempt
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy import activities, inventory, processors, proving
from assisters_app.privacy.choices import cookies, gpc
from assisters_app.privacy.erasing import receipts
from assisters_app.privacy.policies import policy, versions
from assisters_app.privacy.rights import export, procedure
from assisters_app.ui.limits import READING, place

JSON = "application/json"
BRIEFLY = {"cache-control": "public, max-age=60"}
A_WHILE = {"cache-control": "public, max-age=300"}
NOT_KEPT = {"cache-control": "no-store"}

Answer = Callable[[Request], Awaitable[Response]]


def open_to_all(answer: Answer) -> Answer:
    """Make a route for everyone of `answer`, which one address may ask for so many times in a minute."""

    @functools.wraps(answer)
    async def route(request: Request) -> Response:
        try:
            await attempt(READING, place(request.scope))
            return await answer(request)
        except Refused as refused:
            return _refusal(refused)

    return route


def published(value: Callable[[], Any]) -> Answer:
    """Make a public route of the JSON that `value` returns."""

    async def answer(request: Request) -> Response:  # noqa: ARG001 (it answers everyone alike)
        return Response(orjson.dumps(value()), media_type=JSON, headers=A_WHILE)

    return open_to_all(answer)


def moved(page: str) -> Answer:
    """Lead who comes by an old address to the page that is there now."""

    async def answer(request: Request) -> Response:  # noqa: ARG001 (as above)
        return RedirectResponse(page, 308, headers=A_WHILE)

    return answer


@open_to_all
async def policy_in_force(request: Request) -> Response:  # noqa: ARG001 (as above)
    """Return the version of the policy that counts now."""
    async with transaction() as tx:
        said = policy.as_json(await versions.in_force(tx))
    return Response(orjson.dumps(said), media_type=JSON, headers=BRIEFLY)


@open_to_all
async def promises_now(request: Request) -> Response:  # noqa: ARG001 (as above)
    """Return what each sentence of the policy is worth now: its checks, what they found, and the tests that prove it."""
    async with transaction() as tx:
        said = proving.as_json(await proving.standing(tx))
    return Response(orjson.dumps(said), media_type=JSON, headers=BRIEFLY)


@open_to_all
async def export_keys(request: Request) -> Response:  # noqa: ARG001 (as above)
    """Name the key that exports are signed with, and those that signed earlier ones."""
    async with transaction() as tx:
        said = await export.published_keys(tx)
    return Response(orjson.dumps(said), media_type=JSON, headers=A_WHILE)


@open_to_all
async def download_receipt(request: Request) -> Response:
    """Hand out a receipt with all that is needed to verify it elsewhere; raises NotFound."""
    async with transaction() as tx:
        receipt = await receipts.shown(tx, request.path_params["handle"])
    said = {"body": receipt.body, "signature": receipt.signature, "public_key": receipt.public_key}
    named = {"content-disposition": f'attachment; filename="{receipt.handle}.json"'}
    return Response(orjson.dumps(said, option=orjson.OPT_INDENT_2), media_type=JSON, headers=named)


def _refusal(refused: Refused) -> Response:
    """Say why not, to a program; when it was too much, with the seconds after which there is more (RFC 6585, 4)."""
    said = {"error": {"message": str(refused), "code": refused.code}}
    wait = {"retry-after": str(refused.retry_after)} if refused.retry_after else {}
    return Response(orjson.dumps(said), refused.status, {**NOT_KEPT, **wait}, JSON)


ROUTES: list[BaseRoute] = [
    Route("/download/receipts/{handle}", download_receipt, methods=["GET"]),
    Route("/download/inventory", moved("/privacy/inventory"), methods=["GET"]),
    Route("/download/record", moved("/privacy/record"), methods=["GET"]),
    Route("/download/record.json", published(activities.as_json), methods=["GET"]),
    Route("/download/inventory.json", published(inventory.as_json), methods=["GET"]),
    Route("/download/procedure.json", published(procedure.as_json), methods=["GET"]),
    Route("/download/cookies.json", published(cookies.as_json), methods=["GET"]),
    Route("/download/storage.json", published(cookies.listed), methods=["GET"]),
    Route("/download/processors.json", published(processors.as_json), methods=["GET"]),
    Route("/download/policy.json", policy_in_force, methods=["GET"]),
    Route("/download/promises.json", promises_now, methods=["GET"]),
    Route("/.well-known/export-key.json", export_keys, methods=["GET"]),
    Route("/.well-known/gpc.json", published(gpc.well_known), methods=["GET"]),
]
