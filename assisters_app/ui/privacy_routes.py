"""What is asked for over HTTP about privacy: the export, the copy to read, closing an account, one-click opting out.

What everyone may read is in `public_routes`.
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
from assisters_app.privacy.rights import access, by_mail, export
from assisters_app.ui import signals
from assisters_app.ui.auth_routes import client, field_text, go_on, person, posted, required_person
from assisters_app.ui.cookie import clear_cookie
from assisters_app.ui.papers import paper, text
from assisters_app.ui.privacy.paper_copy import document
from assisters_app.ui.privacy.pdf_copy import pdf

BY_LINK = Limit("rights-by-link", 60, timedelta(minutes=10))  # as below
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
            return paper("That was asked for by another site", _said("Open the page yourself."), status=403)
        who = await person(request)
        here = quote(request.url.path, safe="/")
        if who is None:
            return RedirectResponse(f"/sign-in?next={here}", 303, headers=PRIVATE)
        try:
            return await answer(request, who)
        except Refused as refused:
            if refused.code == "reauthenticate":
                return RedirectResponse(f"/confirm?next={here}", 303, headers=PRIVATE)
            return paper("That did not work", _said(str(refused)), status=refused.status)

    return route


@guarded
async def download_export(request: Request, who: Person) -> Response:  # noqa: ARG001 (every answer gets its request)
    """Stream the person's export."""
    async with transaction() as tx:
        begun = await export.begin(tx, who)
    return _streamed(begun)


def _streamed(begun: export.Export) -> Response:
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
    return await _as_pdf(copy)


async def _as_pdf(copy: access.Copy) -> Response:
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
        return paper("That did not work", _said(str(refused)), status=refused.status)


def _may_unsubscribe(address: str) -> Response:
    return paper(
        "No more news from us?",
        _said(f"{address} will get no more news and offers. Mail about your account, such as invoices, still comes."),
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        '<p><button type="submit">Unsubscribe</button></p></form>',
    )


def _unsubscribed(address: str) -> Response:
    return paper(
        "You are unsubscribed",
        _said(f"{address} gets no more news and offers from us, now and for good, unless you ask for them again."),
        '<p class="small">You can change your mind in your <a href="/dashboard/privacy/consents">settings</a>.</p>',
    )


async def by_link(request: Request) -> Response:
    """Do what a person asked for by mail, once they press the button. Nobody has to be signed in: the link proves it."""
    token = request.query_params.get("token", "")[:200]
    try:
        await attempt(BY_LINK, client(request).place)
        if request.method == "GET":
            async with transaction() as tx:
                return _may_take(await by_mail.asked(tx, token))
        return await _taken(token, field_text(await request.form(max_files=0, max_fields=5), "do"))
    except Refused as refused:
        return paper("That did not work", _said(str(refused)), status=refused.status)


async def _taken(token: str, do: str) -> Response:
    if do == "export":
        async with transaction() as tx:
            begun = await by_mail.take_export(tx, token)
        return _streamed(begun)
    if do == "access":
        async with transaction() as tx:
            copy = await by_mail.take_copy(tx, token)
        return await _as_pdf(copy)
    if do not in ("later", "now"):
        raise Refused("Choose what is to be done.", code="no_choice")
    async with transaction() as tx:
        closing = await by_mail.erase(tx, token, later=do == "later")
    return RedirectResponse(f"/receipts/{closing.receipt}" if closing.now else "/closed", 303, headers=PRIVATE)


def _may_take(offer: by_mail.Offer) -> Response:
    if offer.right == "deletion":
        title, words = "Erase your account?", _ERASING
        buttons = [("now", "Erase everything now")]
        if not offer.suspended:
            buttons.insert(0, ("later", "Close it, with time to change my mind"))
    else:
        title, words = ("Your copy", _COPY) if offer.right == "access" else ("Your export", _EXPORT)
        buttons = [(offer.right, "Download it")]
    made = "".join(f'<button type="submit" name="do" value="{text(do)}">{text(said)}</button>' for do, said in buttons)
    shown = paper(title, _said(f"For the account of {offer.address}. {words}"), _ACTS.format(made))
    shown.headers["referrer-policy"] = "no-referrer"  # this page's address holds the token
    return shown


_ACTS = '<form method="post"><p class="acts">{}</p></form>'
_COPY = "Everything that we hold about you, to read and to print (PDF), with why, for how long and who receives it."
_EXPORT = "Everything that we hold about you, in files for programs (ZIP), with their descriptions and our signature."
_ERASING = (
    "Your API keys and sign-ins end at once, and what the law lets go of is erased. What it makes us keep stays without "
    "your name; the receipt, which we mail you, lists it table by table with its end."
)


def _said(sentence: str) -> str:
    return f'<p class="lead">{text(sentence)}</p>'


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
    Route("/rights", by_link, methods=["GET", "POST"]),
    Route("/download/gpc.json", signal, methods=["GET"]),
]
