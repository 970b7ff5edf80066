"""How the playground gets a ticket: with it the browser calls the API itself, and what is said never reaches the State."""

from datetime import timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base.crypto import fingerprint
from assisters_app.base.db import transaction
from assisters_app.gateway import tickets
from assisters_app.ui.auth_routes import field_text, posted, required_person
from assisters_app.ui.cookie import read_cookie

OFTEN = Limit("playground", 120, timedelta(minutes=10))  # tickets for one person; the calls have the plan's own limits


@posted
async def ticket(request: Request, form: FormData) -> Response:
    """Answer with a ticket for one of the person's own live keys, named by its handle, and the seconds that it lasts."""
    who = await required_person(request)
    await attempt(OFTEN, str(who.account_id))
    mark = fingerprint(read_cookie(request.scope["headers"]))
    async with transaction() as tx:
        issued = await tickets.issue(tx, who, mark, field_text(form, "key"))
    return JSONResponse({"ticket": issued.reveal(), "seconds": int(tickets.LASTS.total_seconds())})


ROUTES: list[BaseRoute] = [Route("/playground/ticket", ticket, methods=["POST"])]
