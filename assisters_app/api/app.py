"""The API as one ASGI application: the metered routes over bare ASGI, the rest over Starlette. It knows no Reflex.

`/v1/…` goes to HOT, which adds under half a millisecond of our own; a feature that is not metered adds its
`ROUTES` (Starlette's) to ROUTES below. What goes wrong is answered in OpenAI's shape, with no detail of ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

import redis
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route, Router

from assisters_app.api import (
    browsers,
    chat,
    embeddings,
    errors,
    health,
    idempotency,
    images,
    limits,
    models,
    moderations,
    openapi,
    rerank,
    responses,
    speech,
    transcriptions,
    usage,
    wallet,
    webhooks,
)
from assisters_app.api.bodies import Message, Receive
from assisters_app.api.exchange import Exchange, Scope, Send
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.gateway import admission
from assisters_app.gateway.calls import GoneError
from assisters_app.gateway.gate import Gate

Handler = Callable[[Exchange], Awaitable[None]]

HOT: dict[str, dict[str, Handler]] = {
    chat.ENDPOINT: {"POST": chat.create},
    responses.ENDPOINT: {"POST": responses.create},
    embeddings.ENDPOINT: {"POST": embeddings.create},
    moderations.ENDPOINT: {"POST": moderations.create},
    moderations.OWN_NAME: {"POST": moderations.create},
    rerank.ENDPOINT: {"POST": rerank.create},
    speech.ENDPOINT: {"POST": speech.create},
    transcriptions.ENDPOINT: {"POST": transcriptions.create},
    images.ENDPOINT: {"POST": images.create},
    "/v1/models": {"GET": models.listed},
    "/v1/rate-limit": {"GET": limits.current},
    "/v1/usage": {"GET": usage.buckets},
    "/v1/wallet/balance": {"GET": wallet.balance},
    "/v1/wallet/transactions": {"GET": wallet.transactions},
    "/v1/wallet/top-up": {"POST": wallet.top_up},
    openapi.PATH: {"GET": openapi.whole},
}
ONE_MODEL: dict[str, Handler] = {"GET": models.one}
ROUTES: list[BaseRoute] = [*health.ROUTES, *webhooks.ROUTES]

PROBES = frozenset(route.path for route in health.ROUTES)

DOWN = (redis.ConnectionError, redis.TimeoutError, OperationalError, InterfaceError, NoConnectionError)

logger = logging.getLogger(__name__)


class Api:
    """The application; it opens its gate with the server's lifespan, or at the first request without one."""

    def __init__(self) -> None:
        self.routes = ROUTES
        self._rest = Router(ROUTES)
        self._gate: Gate | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(Exchange(await self.gate(), scope, receive, send), receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def gate(self) -> Gate:
        """Return the gate of this process, opened."""
        if self._gate is None:
            async with self._opening:
                if self._gate is None:
                    gate = Gate()
                    await gate.open()
                    self._gate = gate
        return self._gate

    async def close(self) -> None:
        """Close the gate; the next request opens a new one."""
        gate, self._gate = self._gate, None
        if gate is not None:
            await gate.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.gate()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        try:
            if exchange.scope["path"].startswith("/v1/"):
                await _handle(exchange)
            else:
                await self._elsewhere(exchange, receive, send)
        except Refused as refused:
            await _refuse(exchange, refused)
        except GoneError:
            return
        except DOWN:
            logger.exception("What a request needs is down.", extra={"ref": exchange.handle})
            await _refuse(exchange, admission.Unavailable())
        except Exception:
            logger.exception("A request failed unexpectedly.", extra={"ref": exchange.handle})
            if not exchange.started:
                sentence = f"Something went wrong on our side. If it stays so, tell us this: {exchange.handle}"
                await exchange.reply(500, errors.body(sentence, "server_error", "internal_error"))
        finally:
            if exchange.witness is not None:
                exchange.witness.conclude()

    async def _elsewhere(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.started = True
                message["headers"] = [*message["headers"], (b"x-request-id", exchange.handle.encode())]
            await send(message)

        if settings().function and exchange.scope["path"] not in PROBES:
            raise _unknown(exchange)  # webhooks change what a host writes down outside the database
        exchange.scope["app"] = self  # makes Starlette raise what it does not know, rather than answer in plain text
        try:
            await self._rest(exchange.scope, receive, noting)
        except HTTPException as problem:
            raise _told(exchange, problem) from None


async def _handle(exchange: Exchange) -> None:
    if browsers.asked_first(exchange):
        await browsers.let_ask(exchange)
        return
    handler = _handler(exchange)
    if exchange.scope["method"] == "POST" and exchange.header(idempotency.HEADER):
        await idempotency.once(exchange, handler)
    else:
        await handler(exchange)


def served() -> set[tuple[str, str]]:
    """Return the method and path of every route, as the OpenAPI document has to name them."""
    rest = {route.path: route.methods or () for route in ROUTES if isinstance(route, Route)}
    every: dict[str, Iterable[str]] = {**HOT, models.PREFIX + "{model}": ONE_MODEL, **rest}
    return {(method, path) for path, methods in every.items() for method in methods if method != "HEAD"}


def _handler(exchange: Exchange) -> Handler:
    path, method = exchange.scope["path"], exchange.scope["method"]
    methods = HOT.get(path)
    if methods is None and path.startswith(models.PREFIX) and len(path) > len(models.PREFIX):
        methods = ONE_MODEL
    if methods is None:
        raise _unknown(exchange)
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise errors.WrongMethod(path, method, ", ".join(methods))
    return handler


async def _refuse(exchange: Exchange, refused: Refused) -> None:
    """Tell the caller, and leave a record when a known key's call was not admitted."""
    call = exchange.call
    if call is not None and not call.admitted:
        await exchange.gate.keeper.refuse(call, refused.status, refused.code)
    if not exchange.started:
        await exchange.reply(refused.status, errors.body_of(refused), errors.headers_of(refused))


def _unknown(exchange: Exchange) -> Refused:
    path = exchange.scope["path"][:200]
    return Refused(f"Unknown request URL: {exchange.scope['method']} {path}.", code="unknown_url", status=404)


def _told(exchange: Exchange, problem: HTTPException) -> Refused:
    """Return Starlette's word in ours."""
    if problem.status_code == 404:  # noqa: PLR2004 (not found)
        return _unknown(exchange)
    allowed = (problem.headers or {}).get("Allow")
    if allowed:
        return errors.WrongMethod(exchange.scope["path"], exchange.scope["method"], allowed)
    return Refused(str(problem.detail), code="http_error", status=problem.status_code)


app = Api()
