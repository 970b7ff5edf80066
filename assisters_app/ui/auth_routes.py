"""Signing in and out over HTTP: native forms, because only an answer over HTTP can set a cookie that scripts cannot read.

Each route refuses what another site sent, calls one function of `accounts`, and answers the page's script with JSON
(`{"next": …}` or `{"refused": …, "field": …}`) or, when the browser sent the form by itself, with a redirect or a page.
"""

import functools
import html
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from assisters_app.accounts import (
    moving,
    oauth,
    passwords,
    reauthentication,
    recovering,
    resetting,
    sessions,
    signing_in,
    signing_up,
    verifying,
)
from assisters_app.accounts.client import Client, client_of, forwarded_for
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.billing import customers
from assisters_app.privacy.rights import by_mail
from assisters_app.ui.cookie import LINK, OAUTH, SESSION, clear_cookie, read_cookie, set_cookie
from assisters_app.ui.serving import HOME

# What a browser gets that sent a form by itself, or came back from a provider: a page that needs nothing else.
REFUSAL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>That did not work · Assisters</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>:root{{color-scheme:light dark}}
body{{font:15px/1.6 system-ui,sans-serif;max-width:28rem;margin:18vh auto 0;padding:0 1.25rem}}h1{{font-size:1.4rem}}</style>
</head><body><h1>That did not work</h1><p>{sentence}</p><p><a href="/sign-in">Go to the sign-in page</a></p></body></html>"""
METER = Limit("password-meter", 240, timedelta(minutes=10))
INTENTS: dict[str, oauth.Intent] = {"link": "link", "reauthenticate": "reauthenticate"}
LARGEST = 16_384  # bytes of a form: an address, a password, a path

Act = Callable[[Request, FormData], Awaitable[Response]]


def posted(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """Make a route of `act`: refuse other sites and oversized forms, and answer a refusal in the form's own way."""

    @functools.wraps(act)
    async def route(request: Request) -> Response:
        try:
            require_ours(request)
            response = await act(request, await request.form(max_files=0, max_fields=20))
        except Refused as refused:
            response = refusal(request, refused)
        response.headers["cache-control"] = "no-store"
        return response

    return route


@posted
async def sign_up(request: Request, form: FormData) -> Response:
    """Open an account; the answer is the same whether the address had one."""
    async with transaction() as tx:
        await signing_up.sign_up(tx, field_text(form, "email"), field_text(form, "password"), client(request))
    return go_on(request, "/check-mail")


@posted
async def sign_in(request: Request, form: FormData) -> Response:
    """Open a session and set its cookie."""
    async with transaction() as tx:
        session = await signing_in.sign_in(tx, field_text(form, "email"), field_text(form, "password"), client(request))
    response = go_on(request, _next(form))
    set_cookie(response, SESSION, session, sessions.AT_MOST)
    return response


@posted
async def sign_out(request: Request, form: FormData) -> Response:  # noqa: ARG001 (every act gets its form)
    """End this browser's session."""
    who = await person(request)
    if who:
        async with transaction() as tx:
            await sessions.sign_out(tx, who)
    return _signed_out(request)


@posted
async def sign_out_everywhere(request: Request, form: FormData) -> Response:  # noqa: ARG001 (as above)
    """End every session of this person."""
    who = await required_person(request)
    async with transaction() as tx:
        await sessions.sign_out_everywhere(tx, who)
    return _signed_out(request)


@posted
async def verify(request: Request, form: FormData) -> Response:  # noqa: ARG001 (as above)
    """Use up a verification link."""
    async with transaction() as tx:
        await verifying.verify(tx, link_token(request))
    return forget_link(go_on(request, "/sign-in"))


@posted
async def verify_again(request: Request, form: FormData) -> Response:
    """Send another verification link, to whoever waits for one."""
    async with transaction() as tx:
        await signing_up.send_verification_again(tx, field_text(form, "email"), client(request))
    return go_on(request, "/check-mail")


@posted
async def forgot(request: Request, form: FormData) -> Response:
    """Send a link to choose a new password."""
    async with transaction() as tx:
        await resetting.request_reset(tx, field_text(form, "email"), client(request))
    return go_on(request, "/check-mail")


@posted
async def reset(request: Request, form: FormData) -> Response:
    """Replace a forgotten password."""
    async with transaction() as tx:
        await resetting.reset(tx, link_token(request), field_text(form, "password"), client(request))
    return forget_link(go_on(request, "/sign-in"))


@posted
async def reauthenticate(request: Request, form: FormData) -> Response:
    """Let a signed-in person prove again who they are."""
    who = await required_person(request)
    async with transaction() as tx:
        await reauthentication.reauthenticate(tx, who, field_text(form, "password"), client(request))
    return go_on(request, _next(form))


@posted
async def judge(request: Request, form: FormData) -> Response:
    """Say how good a password would be, for the meter beside its field."""
    await attempt(METER, client(request).place)
    verdict = await passwords.judge(field_text(form, "password")[:200], field_text(form, "email")[:254])
    return JSONResponse({"score": verdict.score, "problem": verdict.problem})


@posted
async def confirm_email(request: Request, form: FormData) -> Response:  # noqa: ARG001 (as above)
    """Take one address's yes to a change; the new one counts once both have said it."""
    async with transaction() as tx:
        moved = await moving.confirm(tx, link_token(request))
        if moved:
            await by_mail.moved(tx, moved.account_id)
            await recovering.end(tx, moved.account_id, moved.account_id)
            await customers.tell_stripe(tx, moved.account_id)
    return forget_link(go_on(request, HOME if moved else "/one-more-mailbox"))


@posted
async def new_mailbox(request: Request, form: FormData) -> Response:  # noqa: ARG001 (as above)
    """Say that a mailbox is one's own, for an account whose old one is lost."""
    async with transaction() as tx:
        await recovering.confirm(tx, link_token(request))
    return forget_link(go_on(request, "/mailbox-noted"))


@posted
async def keep_mailbox(request: Request, form: FormData) -> Response:  # noqa: ARG001 (as above)
    """Stop such a change, from the mailbox that was said to be lost."""
    async with transaction() as tx:
        await recovering.stop_by_link(tx, link_token(request))
    return forget_link(go_on(request, "/mailbox-noted"))


@posted
async def oauth_begin(request: Request, form: FormData) -> Response:
    """Leave for a provider: to sign in, to link it, or to prove again who one is."""
    who = await person(request)
    wanted = field_text(form, "intent")
    intent = INTENTS.get(wanted, "sign-in")
    if intent != "sign-in" and who is None:
        raise Refused("You are signed out. Sign in again to go on.", code="signed_out", status=401)
    start = await oauth.begin(request.path_params["name"], intent, who, _next(form))
    response = go_on(request, start.url)
    set_cookie(response, OAUTH, start.cookie, oauth.LASTING)
    return response


async def oauth_callback(request: Request) -> Response:
    """Come back from a provider."""
    try:
        browser = read_cookie(request.scope["headers"], OAUTH)
        proof = await oauth.prove(request.path_params["name"], dict(request.query_params), browser)
        async with transaction() as tx:
            finished = await oauth.finish(tx, proof, client(request), await person(request))
    except Refused as refused:
        return refusal(request, refused)
    response: Response = RedirectResponse(finished.return_to, 303)
    if finished.cookie is not None:
        set_cookie(response, SESSION, finished.cookie, sessions.AT_MOST)
    clear_cookie(response, OAUTH)
    response.headers["cache-control"] = "no-store"
    return response


def client(request: Request) -> Client:
    """Return where a request comes from."""
    peer = request.client.host if request.client else ""
    return client_of(peer, forwarded_for(request.scope["headers"]), request.headers.get("user-agent", ""))


async def person(request: Request) -> Person | None:
    """Return who sent a request, by its cookie."""
    return await sessions.resolve(read_cookie(request.scope["headers"]))


async def required_person(request: Request) -> Person:
    """Return who is signed in; raise Refused (401) when nobody is."""
    who = await person(request)
    if who is None:
        raise Refused("You are signed out. Sign in again to go on.", code="signed_out", status=401)
    return who


def require_ours(request: Request) -> None:
    """Raise Refused unless a page of ours sent this form, and it is no larger than one can be.

    Browsers say where a POST comes from; silence is not a browser.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "").partition("://")[2]
    ours = {settings().public_url.partition("://")[2], request.headers.get("host", "")} - {""}
    if not (site == "same-origin" or (site is None and origin in ours)):
        raise Refused("This form was sent from another site.", code="cross_site", status=403)
    _require_small(request)


def _require_small(request: Request) -> None:
    size = request.headers.get("content-length", "")
    if not size.isdigit() or int(size) > LARGEST:
        raise Refused("This form is larger than it can be.", code="too_large", status=413)


def field_text(form: FormData, name: str) -> str:
    """Return what was typed into a field, '' when it is missing or a file."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _next(form: FormData) -> str:
    """Return the page to go on to: one of ours, whatever was asked for."""
    wanted = field_text(form, "next")
    outside = not wanted.startswith("/") or wanted.startswith(("//", "/\\", "/auth/"))
    return HOME if outside or not wanted.isprintable() or "\\" in wanted else wanted


def link_token(request: Request) -> str:
    """Return the token of the mailed link that this browser follows; raise Refused (bad_link) when it has none."""
    token = read_cookie(request.scope["headers"], LINK)
    if not token:
        raise Refused("Follow the link in the mail again; this page has forgotten it.", code="bad_link")
    return token


def forget_link(response: Response) -> Response:
    """Have the browser forget the link that it followed."""
    clear_cookie(response, LINK)
    return response


def _signed_out(request: Request) -> Response:
    response = go_on(request, "/sign-in")
    clear_cookie(response)
    return response


def _by_script(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def go_on(request: Request, to: str) -> Response:
    """Lead to a page: as JSON for our own script, else by a 303."""
    return JSONResponse({"next": to}) if _by_script(request) else RedirectResponse(to, 303)


def refusal(request: Request, refused: Refused) -> Response:
    """Answer with a refusal in its own words: as JSON for our own script, else as a page."""
    if _by_script(request):
        told = {"refused": str(refused), "code": refused.code, "field": refused.field}
        return JSONResponse(told, refused.status, headers=_headers(refused))
    policy = {
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    }
    page = REFUSAL.format(sentence=html.escape(str(refused)))
    return HTMLResponse(page, refused.status, headers={**policy, **_headers(refused)})


def _headers(refused: Refused) -> dict[str, str]:
    wait = getattr(refused, "retry_after", None)
    return {"retry-after": str(wait)} if wait else {}


routes = [
    Route("/auth/sign-up", sign_up, methods=["POST"]),
    Route("/auth/sign-in", sign_in, methods=["POST"]),
    Route("/auth/sign-out", sign_out, methods=["POST"]),
    Route("/auth/sign-out-everywhere", sign_out_everywhere, methods=["POST"]),
    Route("/auth/verify", verify, methods=["POST"]),
    Route("/auth/verify/again", verify_again, methods=["POST"]),
    Route("/auth/forgot", forgot, methods=["POST"]),
    Route("/auth/reset", reset, methods=["POST"]),
    Route("/auth/reauthenticate", reauthenticate, methods=["POST"]),
    Route("/auth/judge", judge, methods=["POST"]),
    Route("/auth/confirm-email", confirm_email, methods=["POST"]),
    Route("/auth/new-mailbox", new_mailbox, methods=["POST"]),
    Route("/auth/keep-mailbox", keep_mailbox, methods=["POST"]),
    Route("/auth/oauth/{name}", oauth_begin, methods=["POST"]),
    Route("/auth/oauth/{name}/callback", oauth_callback, methods=["GET"]),
]
