"""The stand-in as an ASGI application: Stripe's API, the hosted pages, and the control endpoint."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from assisters_app.doubles.stripe import catalog, checkout, customers, pages, payments, plans, portal, redaction
from assisters_app.doubles.stripe.books import API_VERSION, Books, new_id, seen, timestamp
from assisters_app.doubles.stripe.calls import Call
from assisters_app.doubles.stripe.control import obey
from assisters_app.doubles.stripe.courier import Courier
from assisters_app.doubles.stripe.wire import Thing, WrongError, parameters

CALLS = (
    *customers.CALLS,
    *catalog.CALLS,
    *checkout.CALLS,
    *payments.CALLS,
    *plans.CALLS,
    *portal.CALLS,
    *redaction.CALLS,
)
Endpoint = Callable[[Request], Awaitable[Response]]


def application(books: Books, courier: Courier) -> Starlette:
    """Return the application that serves `books` and delivers its events through `courier`."""
    hosted = [
        Route("/", _overview(books, courier)),
        Route("/c/pay/{name}", _paying(books, courier), methods=["GET", "POST"]),
        Route("/p/session/{name}", _managing(books, courier), methods=["GET", "POST"]),
        Route("/_control", _controlling(books, courier), methods=["GET", "POST"]),
    ]
    api = [Route(call.path, _answering(books, courier, call), methods=[call.method]) for call in CALLS]
    return Starlette(routes=[*hosted, *api, Route("/{path:path}", _unknown, methods=["GET", "POST", "DELETE"])])


def _answering(books: Books, courier: Courier, call: Call) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        raw = (await request.body()).decode() if call.method == "POST" else request.url.query
        try:
            status, answer, replayed = _once(books, call, request, raw)
        except WrongError as wrong:
            status, answer, replayed = wrong.status, {"error": wrong.error}, False
        books.save()
        courier.wake()
        return _sent(books, request, status, answer, replayed=replayed)

    return endpoint


def _once(books: Books, call: Call, request: Request, raw: str) -> tuple[int, Thing, bool]:
    account = _authorized(request)
    name = request.headers.get("Idempotency-Key") if call.method == "POST" else None
    if not name:
        return *_carried_out(books, call, request, raw), False
    key, print_ = f"{account}:{name}", _fingerprint(request, raw)
    books.forget_old_answers()
    kept = books.answers.get(key)
    if kept is not None:
        if kept["print"] != print_:
            raise WrongError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{name}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return kept["status"], kept["answer"], True
    status, answer = _carried_out(books, call, request, raw)
    books.answers[key] = {"print": print_, "status": status, "answer": answer, "at": timestamp()}
    return status, answer, False


def _carried_out(books: Books, call: Call, request: Request, raw: str) -> tuple[int, Thing]:
    params = parameters(raw, call.params)
    expand = params.pop("expand", None)
    first = len(books.waiting)
    try:
        made = call.act(books, params, **request.path_params)
    except WrongError as wrong:
        if wrong.status != 402:  # noqa: PLR2004 (a refused card is an outcome; the rest never began)
            raise
        return wrong.status, {"error": wrong.error}
    for delivery in books.waiting[first:]:
        books.objects[delivery["event"]]["request"]["idempotency_key"] = request.headers.get("Idempotency-Key")
    return 200, seen(made, expand, books)


def _fingerprint(request: Request, raw: str) -> str:
    return hashlib.sha256(f"{request.method} {request.url.path}\n{raw}".encode()).hexdigest()


def _authorized(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise WrongError("You did not provide an API key.", status=401)
    if not key.startswith(("sk_test_", "rk_test_")):
        raise WrongError("Invalid API Key provided: this is a test stand-in and takes test keys only.", status=401)
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _sent(books: Books, request: Request, status: int, answer: Thing, *, replayed: bool) -> Response:
    if books.faults.lost_answers and request.method == "POST" and status < 400:  # noqa: PLR2004 (it went well)
        books.faults.lost_answers -= 1
        status = 500
        answer = {"error": {"type": "api_error", "message": "The answer was lost on the way (asked for at /_control)."}}
    headers = {"Request-Id": new_id("req", 14), "Stripe-Version": request.headers.get("Stripe-Version", API_VERSION)}
    if "Idempotency-Key" in request.headers:
        headers["Idempotency-Key"] = request.headers["Idempotency-Key"]
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(answer, status, headers)


async def _unknown(request: Request) -> Response:
    message = f"Unrecognized request URL ({request.method}: {request.url.path}). The test stand-in does not know it."
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, 404)


def _overview(books: Books, courier: Courier) -> Endpoint:
    async def endpoint(_request: Request) -> Response:
        return HTMLResponse(pages.overview(books, courier.log))

    return endpoint


def _paying(books: Books, courier: Courier) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            session = checkout.retrieve(books, {}, request.path_params["name"])
        except WrongError:
            return HTMLResponse(pages.missing(), 404)
        if session["status"] != "open":
            page = pages.closed(session, checkout.after(session, paid=session["status"] == "complete"))
            return HTMLResponse(page, 410 if request.method == "POST" else 200)
        if request.method == "GET":
            return HTMLResponse(pages.checkout(books, session))
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
        answer = _pressed(books, session, form.get("act", ""), form.get("email", ""))
        books.save()
        courier.wake()
        return answer

    return endpoint


def _pressed(books: Books, session: Thing, button: str, email: str) -> Response:
    if button == "cancel":
        return RedirectResponse(checkout.after(session, paid=False), 303)
    if button == "decline":
        return HTMLResponse(pages.checkout(books, session, str(checkout.decline(books, session, email))), 402)
    try:
        (checkout.pay_later if button == "later" else checkout.pay)(books, session, email)
    except WrongError as wrong:
        return HTMLResponse(pages.checkout(books, session, str(wrong)), 402)
    return RedirectResponse(checkout.after(session, paid=True), 303)


def _managing(books: Books, courier: Courier) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        session = books.objects.get(request.path_params["name"])
        if session is None or session["object"] != "billing_portal.session":
            return HTMLResponse(pages.missing(), 404)
        if request.method == "POST":
            form = parse_qs((await request.body()).decode())
            plans.change(books, {"cancel_at_period_end": True}, form["cancel"][0])
            books.save()
            courier.wake()
            return RedirectResponse(session["url"], 303)
        return HTMLResponse(pages.portal(books, session))

    return endpoint


def _controlling(books: Books, courier: Courier) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            orders = json.loads(await request.body() or b"{}")
            state = await obey(books, courier, orders)
        except WrongError as wrong:
            return JSONResponse({"error": wrong.error}, wrong.status)
        books.save()
        courier.wake()
        return JSONResponse(state)

    return endpoint
