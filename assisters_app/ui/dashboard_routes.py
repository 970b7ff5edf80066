"""What the dashboard asks for over HTTP: a download, a new password, and the ways out to where money is paid."""

import csv
import io
from collections.abc import AsyncIterator

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from assisters_app.accounts import moving, resetting
from assisters_app.accounts.sessions import Person
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.billing import topups
from assisters_app.ui.asked import Question, question, whose_zone
from assisters_app.ui.auth_routes import client, field_text, go_on, person, posted, refusal, required_person
from assisters_app.usage import reports

SETTINGS_PAGE = "/dashboard/settings"


@posted
async def top_up(request: Request, form: FormData) -> Response:
    """Order credit and lead to the page where it is paid."""
    who = await required_person(request)
    async with transaction() as tx:
        ordered = await topups.order(tx, who, _cents(field_text(form, "amount")))
    return go_on(request, ordered.url)


@posted
async def portal(request: Request, form: FormData) -> Response:  # noqa: ARG001 (every act gets its form)
    """Lead to the payment provider's pages with cards and receipts."""
    who = await required_person(request)
    async with transaction() as tx:
        url = await topups.portal_link(tx, who)
    return go_on(request, url)


@posted
async def change_password(request: Request, form: FormData) -> Response:
    """Replace the password of somebody who has just proven who they are."""
    who = await required_person(request)
    try:
        async with transaction() as tx:
            await resetting.change_password(tx, who, field_text(form, "password"), client(request))
    except Refused as refused:
        return _confirm_first(request, refused)
    return go_on(request, f"{SETTINGS_PAGE}?done=password")


@posted
async def change_email(request: Request, form: FormData) -> Response:
    """Send a link to the address that an account shall have, and to the one it has."""
    who = await required_person(request)
    try:
        async with transaction() as tx:
            await moving.ask(tx, who, field_text(form, "email"), client(request))
    except Refused as refused:
        return _confirm_first(request, refused)
    return go_on(request, f"{SETTINGS_PAGE}?done=email")


async def usage_csv(request: Request) -> Response:
    """Stream the table behind the usage charts, as the page asked for it."""
    who = await person(request)
    if who is None:
        return RedirectResponse("/sign-in?next=/dashboard/usage", 303)
    try:
        zone = whose_zone(who.time_zone, request.query_params.get("zone", "UTC"))
        asked = question(request.query_params, zone)
    except Refused as refused:
        return refusal(request, refused)
    name = f"usage-{now():%Y-%m-%d}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(_lines(who, asked), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(who: Person, asked: Question) -> AsyncIterator[str]:
    async with transaction() as tx:
        async for row in reports.csv_rows(tx, reports.own(who), asked.period, asked.only):
            line = io.StringIO()
            csv.writer(line).writerow([_harmless(cell) for cell in row])
            yield line.getvalue()


def _harmless(cell: str | int) -> str | int:
    """Keep a spreadsheet from taking a name that begins like a formula for one."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _cents(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004 (more than anyone pays)
        raise Refused("Choose an amount.", code="bad_amount", field="amount")
    return int(text)


def _confirm_first(request: Request, refused: Refused) -> Response:
    if refused.code != "reauthenticate":
        raise refused
    return go_on(request, f"/confirm?next={SETTINGS_PAGE}")


ROUTES: list[BaseRoute] = [
    Route("/billing/top-up", top_up, methods=["POST"]),
    Route("/billing/portal", portal, methods=["POST"]),
    Route("/auth/change-password", change_password, methods=["POST"]),
    Route("/auth/change-email", change_email, methods=["POST"]),
    Route("/download/usage.csv", usage_csv, methods=["GET"]),
]
