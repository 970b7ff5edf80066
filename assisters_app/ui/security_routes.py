"""What whoever looks into our security finds where the standards say: whom to tell (RFC 9116), and what we are made of.

`/.well-known/sbom` is the place that RFC 9472 registers for a bill of materials.
"""

from datetime import timedelta

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from assisters_app.base import contact
from assisters_app.base.clock import now
from assisters_app.base.settings import settings
from assisters_app.privacy.registers import ingredients
from assisters_app.ui.public_routes import open_to_all

WHOM_TO_TELL = "/.well-known/security.txt"
MADE_OF = "/.well-known/sbom"
HOLDS = timedelta(days=180)  # RFC 9116 recommends less than a year
BRIEFLY = {"cache-control": "public, max-age=3600"}


async def whom_to_tell(request: Request) -> Response:  # noqa: ARG001 (it answers everyone alike)
    """Say whom to tell of a hole, and until when that holds: RFC 9116, section 2.5."""
    here = settings().public_url
    until = (now() + HOLDS).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = (
        f"Contact: mailto:{contact.EMAIL}",
        f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {here}{WHOM_TO_TELL}",
        f"Policy: {here}/security",
    )
    return PlainTextResponse("".join(f"{line}\n" for line in lines), headers=BRIEFLY)


@open_to_all
async def made_of(request: Request) -> Response:  # noqa: ARG001 (it answers everyone alike)
    """Hand out the bill of materials."""
    said = orjson.dumps(ingredients.bill(), option=orjson.OPT_INDENT_2)
    return Response(said, media_type=ingredients.MEDIA_TYPE, headers=BRIEFLY)


ROUTES: list[BaseRoute] = [
    Route(WHOM_TO_TELL, whom_to_tell, methods=["GET"]),
    Route(MADE_OF, made_of, methods=["GET"]),
]
