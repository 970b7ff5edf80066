"""One request and its answer over bare ASGI: no middleware stands between the socket and the gateway."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson

from assisters_app.accounts.client import Client, client_of, forwarded_for
from assisters_app.api import bodies, browsers, numbers
from assisters_app.api.bodies import Body, Message, Receive
from assisters_app.api.errors import Header
from assisters_app.api.witness import HEADER, Witness
from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.ids import new_id
from assisters_app.base.money import NANO
from assisters_app.base.settings import settings
from assisters_app.gateway import admission
from assisters_app.gateway.calls import Call, Standing
from assisters_app.gateway.gate import Gate, in_sandbox
from assisters_app.gateway.grants import Grant
from assisters_app.keys import terms
from assisters_app.usage.events import handle

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 20 * 2**20  # bytes; room for a few images
UNCACHED = b"no-store"
WINDOW = b"60"  # seconds after which, with no further request, a limit is whole again
JSON = (b"content-type", b"application/json")
EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class Exchange:
    """A request being answered. `call` is set once its key is known and it may cost something."""

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate = gate
        self.scope = scope
        self.call: Call | None = None
        self.started = False
        self.request_id: UUID = new_id()
        self.began = time.perf_counter()
        self.received = 0  # bytes of the body
        self.cost_nano = 0  # what a whole answer says that it cost: nothing, unless a model gave it
        self.witness: Witness | None = None  # where the key wants to have kept what is said
        self.grant: Grant | None = None  # set once the key is known
        self.standing: Standing | None = None  # of its limits, where nothing is counted
        self.page = ""  # the origin of the page that calls, once the key was found to name its domain
        self._at = now()
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of several, the first
        self._receive = receive
        self._send = send

    @property
    def handle(self) -> str:
        """Return the request's id as callers see it."""
        return handle(self.request_id)

    def header(self, name: bytes) -> str:
        """Return a header by its lower-case name, '' when it is missing."""
        return self._headers.get(name, b"").decode("latin-1")

    async def enter(self, needs: terms.Scope | None) -> Grant:
        """Return what the presented key may do; raise Refused (401, 403) without one that works, here and for this.

        `needs` is the scope that the request takes, None where any key will do.
        """
        scheme, _, presented = self.header(b"authorization").partition(" ")
        if scheme.lower() != "bearer" or not presented.strip():
            raise Refused(
                "You didn't provide an API key. Send it in the Authorization header: Bearer ask_…",
                code="missing_api_key",
                status=401,
            )
        grant = self.grant = await self.gate.enter(presented.strip())
        grant.require_scope(needs)
        if not grant.anywhere:
            origin = self._only(b"origin")
            grant.require_place(self._client().ip, origin, self._only(b"referer"))
            self.page = origin if grant.domains else ""
        return grant

    async def begin(self, endpoint: str) -> Call:
        """Let in a call of a model, which will be recorded; raise Refused (401, 403) without a key that may."""
        grant = await self.enter("chat")
        client = self._client()
        self.call = Call(
            grant,
            endpoint,
            ip=client.ip,
            user_agent=client.user_agent,
            request_id=self.request_id,
            at=self._at,
            began=self.began,
        )
        if grant.keeps_content and not settings().function and self.header(HEADER).lower() != "false":
            self._have_witnessed(self.call)
        return self.call

    def _have_witnessed(self, call: Call) -> None:
        """Have all that passes from here on noted, untouched."""
        witness = self.witness = Witness(self.gate.writer, call, self.header(b"content-type"))

        def wrap(receive: Receive, send: Send) -> tuple[Receive, Send]:
            async def taking() -> Message:
                message = await receive()
                witness.sent.take(message.get("body", b""))
                return message

            async def giving(message: Message) -> None:
                await send(message)
                if message["type"] == "http.response.start":
                    witness.got.kind = dict(message["headers"]).get(b"content-type", b"").decode()
                else:
                    witness.got.take(message.get("body", b""))

            return taking, giving

        self.between(wrap)

    def _client(self) -> Client:
        peer = (self.scope.get("client") or ("", 0))[0]
        return client_of(peer, forwarded_for(self.scope["headers"]), self.header(b"user-agent"))

    def _only(self, name: bytes) -> str:
        """Return a header that may come once; several together are none that a browser sends."""
        return ",".join(value.decode("latin-1") for found, value in self.scope["headers"] if found == name)

    async def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; raise Refused (400, 408, 413) when it is not one, or GoneError."""
        sent = await bodies.whole(self._receive, _most(LARGEST_BODY), self.header(b"content-length"))
        self.received = len(sent)
        try:
            body = orjson.loads(sent)
        except orjson.JSONDecodeError:
            raise Refused("We could not parse the JSON body of your request.", code="invalid_json") from None
        numbers.require_whole(sent)
        if not isinstance(body, dict):
            raise Refused("The body of your request must be a JSON object.", code="invalid_json")
        if self.witness is not None and body.get("store") is False:
            self.witness.declined = True
        return body

    async def chunks(self, most: int) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes; raise Refused (408, 413) when it is too slow or too large, or GoneError."""
        body = Body(self._receive, _most(most), self.header(b"content-length"))
        while body.more:
            yield await body.piece()

    def between(self, wrap: Callable[[Receive, Send], tuple[Receive, Send]]) -> None:
        """Put something between this exchange and its caller, which sees what they send and get."""
        self._receive, self._send = wrap(self._receive, self._send)

    async def until_gone(self) -> None:
        """Return when the caller has hung up; the whole body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def reply(
        self,
        status: int,
        body: bytes,
        headers: Iterable[Header] = (),
        *,
        kind: Header = JSON,
        caching: bytes = UNCACHED,
    ) -> None:
        """Send a whole answer, JSON unless `kind` says otherwise, which nobody may keep unless `caching` says so."""
        await self._learn_standing()
        size = (b"content-length", str(len(body)).encode())
        await self._start(status, [kind, size, *headers, cost_header(self.cost_nano)], caching)
        await self._send({"type": "http.response.body", "body": body if self.scope["method"] != "HEAD" else b""})

    async def stream(self, data: bytes, headers: Iterable[Header] = EVENTS) -> None:
        """Send a piece of an answer (events unless `headers` say otherwise), after its head when it is the first."""
        if not self.started:
            await self._start(200, [*headers, NO_BUFFER])
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End a stream."""
        await self._send({"type": "http.response.body", "body": b""})

    async def nothing(self, headers: Iterable[Header]) -> None:
        """Send an answer without a body."""
        await self._start(204, headers)
        await self.end()

    async def _learn_standing(self) -> None:
        """Read what is left of the limits where nothing was counted: every answer to a known key tells."""
        known = self.standing if self.call is None else self.call.standing
        if known is not None or self.grant is None or self.gate.keeper.away:
            return
        with suppress(Refused):
            self.standing, _ = await admission.standing(self.gate.scripts, self.grant)

    async def _start(self, status: int, headers: Iterable[Header], caching: bytes = UNCACHED) -> None:
        self.started = True
        every = [*headers, (b"cache-control", caching), *self._facts()]
        await self._send({"type": "http.response.start", "status": status, "headers": every})

    def _facts(self) -> list[Header]:
        elapsed = time.perf_counter() - self.began
        facts = [
            (b"x-request-id", self.handle.encode()),
            (b"x-processing-time-ms", str(round(elapsed * 1000)).encode()),
        ]
        if self.page:
            facts += browsers.shown_to(self.page)
        call, standing = self.call, self.standing
        overhead = max(0.0, elapsed - (call.waited if call is not None else 0.0)) * 1000
        facts.append((b"x-overhead-ms", f"{overhead:.3f}".encode()))
        if call is not None:
            standing = call.standing or standing
            if in_sandbox(call):
                facts.append(SANDBOX)
        return facts if standing is None else facts + limits(standing)


SANDBOX = (b"x-sandbox", b"true")  # no model was asked, whatever the answer looks like
NO_BUFFER = (b"x-accel-buffering", b"no")  # a proxy in between hands events on as they come


def cost_header(cost_nano: int) -> Header:
    """Return what a call cost in US dollars, to the billionth."""
    return b"x-cost-usd", f"{cost_nano // NANO}.{cost_nano % NANO:09d}".encode()


def _most(bytes_: int) -> int:
    """Return how large a body may be, here."""
    return min(bytes_, settings().largest_body or bytes_)


def limits(standing: Standing) -> list[Header]:
    """Return what is left of the limits. Reset is in seconds, until all of it is back if nothing more is sent."""
    return [
        (b"x-ratelimit-limit-rpm", str(standing.requests_limit).encode()),
        (b"x-ratelimit-remaining-rpm", str(standing.requests_left).encode()),
        (b"x-ratelimit-reset-rpm", WINDOW if standing.requests_used else b"0"),
        (b"x-ratelimit-limit-tpm", str(standing.tokens_limit).encode()),
        (b"x-ratelimit-remaining-tpm", str(standing.tokens_left).encode()),
        (b"x-ratelimit-reset-tpm", WINDOW if standing.tokens_used else b"0"),
    ]


async def whether_gone(exchange: Exchange, call: Call) -> None:
    """Note on `call` when its caller hangs up; cancelled once it is answered."""
    await exchange.until_gone()
    call.caller_gone = True


async def watched(exchange: Exchange, call: Call, work: Awaitable[Any]) -> Any:  # noqa: ANN401 (what the work returns)
    """Return what `work` returns, while `call` learns whether its caller is still there."""
    watch = asyncio.ensure_future(whether_gone(exchange, call))
    try:
        return await work
    finally:
        watch.cancel()
