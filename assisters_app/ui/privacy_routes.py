"""What is asked for over HTTP about privacy: the export, the copy to read, closing an account, one-click opting out.

What everyone may read is in `public_routes`, what is done by a mailed link in `rights_routes`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy.choices import consent_receipts, opting_out
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.rights import access, export
from assisters_app.ui import signals
from assisters_app.ui.auth_routes import client, field_text, go_on, person, posted, required_person
from assisters_app.ui.cookie import clear_cookie
from assisters_app.ui.papers import paper, refused_paper, said
from assisters_app.ui.privacy.paper_copy import document
from assisters_app.ui.privacy.pdf_copy import pdf

UNSUBSCRIBING = Limit("unsubscribe", 60, timedelta(minutes=10))  # by one address on the net
PRIVATE = {"cache-control": "no-store"}
CLOSING_PAGE = "/dashboard/privacy/delete"

Answer = Callable[[Request, Person], Awaitable[Response]]


def guarded(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Make a route of `answer`: for who is signed in, asked for by a page of ours or by hand.

    Who must prove again who they are is led to where that is done, and back.
    """

    async def route(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return paper("That was asked for by another site", said("Open the page yourself."), status=403)
        who = await person(request)
        here = quote(request.url.path, safe="/")
        if who is None:
            return RedirectResponse(f"/sign-in?next={here}", 303, headers=PRIVATE)
        try:
            return await answer(request, who)
        except Refused as refused:
            if refused.code == "reauthenticate":
                return RedirectResponse(f"/confirm?next={here}", 303, headers=PRIVATE)
            return refused_paper(refused)

    return route


@guarded
async def download_export(request: Request, who: Person) -> Response:  # noqa: ARG001 (every answer gets its request)
    """Stream the person's export."""
    async with transaction() as tx:
        begun = await export.begin(tx, who)
    return streamed(begun)


def streamed(begun: export.Export) -> Response:
    """Answer with an export as it is made."""
    named = {"content-disposition": f'attachment; filename="{begun.file_name}"'}
    return StreamingResponse(export.stream(begun), media_type=export.MEDIA_TYPE, headers={**PRIVATE, **named})


@guarded
async def read_copy(request: Request, who: Person) -> Response:  # noqa: ARG001 (as above)
    """Show the person's data as a document."""
    async with transaction() as tx:
        copy = await access.copy(tx, who)
    return document(copy)


@guarded
async def download_copy(request: Request, who: Person) -> Response:  # noqa: ARG001 (as above)
    """Hand out the same as a PDF."""
    async with transaction() as tx:
        copy = await access.copy(tx, who, outcome="Downloaded as PDF")
    return await as_pdf(copy)


async def as_pdf(copy: access.Copy) -> Response:
    """Answer with a copy that can be printed."""
    named = {"content-disposition": f'attachment; filename="assisters-copy-{copy.made_at:%Y-%m-%d}.pdf"'}
    return Response(await pdf(copy), media_type="application/pdf", headers={**PRIVATE, **named})


@posted
async def close_account(request: Request, form: FormData) -> Response:
    """Close the account, or erase it now; either way this browser is signed out when the answer arrives."""
    who = await required_person(request)
    if field_text(form, "email").strip().lower() != who.email:
        raise Refused("Type the e-mail address of this account, to be sure.", code="not_confirmed", field="email")
    how = {"later": erasure.close, "now": erasure.erase_now}.get(field_text(form, "how"))
    if how is None:
        raise Refused("Choose when your data is to be erased.", code="no_choice", field="how")
    try:
        async with transaction() as tx:
            closing = await how(tx, who)
    except Refused as refused:
        if refused.code != "reauthenticate":
            raise
        return go_on(request, f"/confirm?next={CLOSING_PAGE}")
    response = go_on(request, f"/receipts/{closing.receipt}" if closing.now else "/closed")
    clear_cookie(response)
    return response


@guarded
async def download_consents(request: Request, who: Person) -> Response:  # noqa: ARG001 (as above)
    """Hand out the receipts of all that the person ever chose."""
    async with transaction() as tx:
        said = await consent_receipts.receipts(tx, who)
    return _attached("consent-receipts.json", consent_receipts.signed(said))


@guarded
async def download_consent(request: Request, who: Person) -> Response:
    """Hand out the receipt of one choice."""
    async with transaction() as tx:
        said = await consent_receipts.receipt(tx, who, request.path_params["record"])
    return _attached("consent-receipt.json", consent_receipts.signed(said))


def _attached(name: str, said: dict[str, Any]) -> Response:
    headers = {**PRIVATE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(orjson.dumps(said, option=orjson.OPT_INDENT_2), media_type="application/json", headers=headers)


async def unsubscribe(request: Request) -> Response:
    """Opt out whoever the link was made for. GET shows a button only: programs follow links in mail (RFC 8058)."""
    try:
        await attempt(UNSUBSCRIBING, client(request).place)
        token = request.path_params["token"]
        if request.method == "POST":
            async with transaction() as tx:
                return _unsubscribed(await opting_out.opt_out(tx, token))
        return _may_unsubscribe(opting_out.shortened(opting_out.address_in(token)))
    except Refused as refused:
        return refused_paper(refused)


def _may_unsubscribe(address: str) -> Response:
    return paper(
        "No more news from us?",
        said(f"{address} will get no more news and offers. Mail about your account, such as invoices, still comes."),
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        '<p><button type="submit">Unsubscribe</button></p></form>',
    )


def _unsubscribed(address: str) -> Response:
    return paper(
        "You are unsubscribed",
        said(f"{address} gets no more news and offers from us, now and for good, unless you ask for them again."),
        '<p class="small">You can change your mind in your <a href="/dashboard/privacy/consents">settings</a>.</p>',
    )


async def signal(request: Request) -> Response:
    """Say whether this browser sends Global Privacy Control, as the server reads it, and whether an account heeds it."""
    who = await person(request)
    if who:
        await signals.heed(request.scope["headers"], who)
    said = {"signalled": signals.sent(request.scope["headers"]), "recorded": who is not None}
    return JSONResponse(said, headers=PRIVATE)


ROUTES: list[BaseRoute] = [
    Route("/download/export", download_export, methods=["GET"]),
    Route("/download/copy", read_copy, methods=["GET"]),
    Route("/download/copy.pdf", download_copy, methods=["GET"]),
    Route("/download/consents.json", download_consents, methods=["GET"]),
    Route("/download/consents/{record:uuid}.json", download_consent, methods=["GET"]),
    Route("/privacy/close", close_account, methods=["POST"]),
    Route(opting_out.PATH + "{token}", unsubscribe, methods=["GET", "POST"]),
    Route("/download/gpc.json", signal, methods=["GET"]),
]
