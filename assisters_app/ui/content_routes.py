"""What was said in one call, over HTTP: read from a document of the server's own, and in no State."""

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import transaction
from assisters_app.gateway.content import contents
from assisters_app.gateway.content.contents import Said, Side
from assisters_app.ui.papers import paper, text
from assisters_app.ui.privacy_routes import guarded
from assisters_app.usage import events


@guarded
async def read(request: Request, who: Person) -> Response:
    """Show what was said in one request of the person's."""
    request_id = events.request_id(request.path_params["handle"])
    async with transaction() as tx:
        said = await contents.read(tx, who, request_id)
        until = await contents.kept(tx, who, request_id)
    return _document(said, f"{until.until:%d %B %Y, %H:%M} UTC" if until else "")


def _document(said: Said, until: str) -> Response:
    handle = events.handle(said.request_id)
    return paper(
        "What was said",
        f'<p class="lead">Request {text(handle)} of {said.at:%d %B %Y, %H:%M:%S} UTC. '
        f"Nobody can read this any more after {until}, and nobody but you can now.</p>",
        f'<p class="acts" data-noprint><a href="/dashboard/requests/{text(handle)}">Back to the request</a></p>',
        _side("What you sent", said.sent),
        _side("What you got", said.got),
    )


def _side(title: str, side: Side) -> str:
    cut = " Only the beginning is kept." if side.cut else ""
    size = f'<p class="small">{side.size:,} bytes of {text(side.kind or "unknown kind")}.{cut}</p>'
    return f"<h2>{title}</h2>{size}" + (f"<pre>{text(_pretty(side))}</pre>" if side.text else "")


def _pretty(side: Side) -> str:
    if side.kind != "application/json" or side.cut:
        return side.text
    try:
        return json.dumps(json.loads(side.text), indent=2, ensure_ascii=False)
    except ValueError:
        return side.text


ROUTES: list[BaseRoute] = [Route("/download/request-content/{handle}", read, methods=["GET"])]
