"""A tab's state belongs to the session that opened it, by construction.

Reflex finds a tab's state by a token that the browser keeps and sends in the socket's address; whoever knows it could
read the tab. Here the token that Reflex sees is derived from the sent one and the live session, so a stolen token opens
a fresh state with any other cookie, with none, and with one that was revoked. The cookie itself goes no further: Reflex
keeps a socket's headers in the state, so it is given the cookie's fingerprint alone, and of its address a keyed hash.
"""

import asyncio
import logging
from collections import defaultdict
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from redis.exceptions import RedisError
from reflex.istate.manager.token import BaseStateToken
from reflex.state import BaseState, State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assisters_app.accounts import sessions
from assisters_app.base.crypto import fingerprint, keyed_hash
from assisters_app.base.valkey import listen, valkey
from assisters_app.ui.cookie import read_cookie
from assisters_app.ui.limits import place
from assisters_app.ui.tabs import tabs_of

HEADER = "session-fingerprint"  # the name, in the Cookie header that Reflex sees, of the cookie's fingerprint
PLACE = "place"  # in the same header, which Reflex tells no browser: where the socket comes from, as a keyed hash
KEPT = timedelta(days=90)  # as long as a session at most: which states to delete when it ends

_BOUND = ("/_event", "/_upload")
_PASSED_ON = (
    b"host",
    b"origin",
    b"upgrade",
    b"connection",
    b"content-type",
    b"content-length",
    b"reflex-event-handler",
)
_PATIENCE = 1.0  # seconds between attempts to hear of changes when Valkey is away
_IN_FLIGHT = 5.0  # seconds after which no handler that was running when its session ended saves its tab any more

log = logging.getLogger(__name__)


class Socket:
    """One open socket that can be ended from outside. Its server sends a goodbye only when nothing waits to receive."""

    def __init__(self, receive: Receive, send: Send, tokens: list[str]) -> None:
        self.tokens = tokens  # of the tabs that it was opened for
        self._receive, self._send = receive, send
        self._waiting: asyncio.Future[Message] | None = None
        self._ended = False

    def end(self) -> None:
        """Close the socket (4401) as soon as it is between two messages."""
        self._ended = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def receive(self) -> Message:
        """Wait for the next message, or for the end."""
        if not self._ended:
            self._waiting = asyncio.ensure_future(self._receive())
            try:
                return await self._waiting
            except asyncio.CancelledError:
                if not self._ended:
                    raise
        await self._send({"type": "websocket.close", "code": 4401, "reason": "signed out"})
        return {"type": "websocket.disconnect", "code": 4401}


_sockets: defaultdict[str, set[Socket]] = defaultdict(set)  # session fingerprint -> its open sockets in this process


class TokenBinder:
    """ASGI: stands before Reflex's socket and uploads."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the connection on with its token bound, and remember it for as long as it is open."""
        if scope["type"] not in ("websocket", "http") or not scope["path"].startswith(_BOUND):
            await self.app(scope, receive, send)
            return
        raw = read_cookie(scope["headers"])
        mark = fingerprint(raw) if await sessions.resolve(raw) else ""
        bound, tokens = _bound(scope, mark)
        if not mark or scope["type"] != "websocket":
            await self.app(bound, receive, send)
            return
        await _remember(mark, tokens)
        socket = Socket(receive, send, tokens)
        _sockets[mark].add(socket)
        try:
            await self.app(bound, socket.receive, send)
        finally:
            _let_go(mark, socket)


async def kick(mark: str) -> None:
    """Close every socket of a session in this process and delete what its tabs held.

    The browser opens a new socket at once, which belongs to nobody, and is led to the sign-in page. The transport is
    closed rather than the Socket.IO session: after a server's goodbye a client would not come back by itself.
    """
    sockets = _sockets.pop(mark, set())
    for socket in sockets:
        socket.end()
    known: set[str] = await valkey().smembers(tabs_of(mark))  # type: ignore[misc]  # (redis types sync and async as one)
    tokens = known.union(*(socket.tokens for socket in sockets))
    await _delete_states(mark, tokens)
    if tokens:
        once_more = asyncio.create_task(_delete_late(mark, tokens))
        _late.add(once_more)
        once_more.add_done_callback(_late.discard)


async def follow_sessions() -> None:
    """Act on every announced change of a session, for as long as the process runs: each process runs this once."""
    while True:
        try:
            async for topic, mark in listen():
                if topic == "session":
                    sessions.forget(mark)
                    if await sessions.resolve_fingerprint(mark) is None:
                        await kick(mark)
        except (RedisError, OSError):
            log.warning("cannot hear of ended sessions; sockets are still checked at every event")
        await asyncio.sleep(_PATIENCE)


def fingerprint_of(cookie_header: str) -> str:
    """Return the session fingerprint in the Cookie header that Reflex was given, "" when there is none."""
    return _told(cookie_header).get(HEADER, "")


def place_in(cookie_header: str) -> str:
    """Return where the socket comes from, as a keyed hash, from the same header."""
    return _told(cookie_header).get(PLACE, "")


def _told(cookie_header: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in cookie_header.split("; "))}


def _bound(scope: Scope, mark: str) -> tuple[dict[str, Any], list[str]]:
    tokens: list[str] = []

    def derived(token: str) -> str:
        tokens.append(keyed_hash("tab", f"{token}|{mark}")[:32])
        return tokens[-1]

    query = [
        (name, derived(value) if name == "token" else value)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    ]
    headers = [
        (name, derived(value.decode("latin-1")).encode() if name == b"reflex-client-token" else value)
        for name, value in scope["headers"]
        if name in (*_PASSED_ON, b"reflex-client-token") or name.startswith(b"sec-websocket-")
    ]
    told = [f"{HEADER}={mark}"] if mark else []
    headers.append((b"cookie", "; ".join([*told, f"{PLACE}={place(scope)}"]).encode()))
    return {**scope, "query_string": urlencode(query).encode(), "headers": headers, "client": ("", 0)}, tokens


def _let_go(mark: str, socket: Socket) -> None:
    _sockets[mark].discard(socket)
    if not _sockets[mark]:
        del _sockets[mark]


async def _remember(mark: str, tokens: list[str]) -> None:
    if tokens:
        async with valkey().pipeline(transaction=False) as pipe:
            pipe.sadd(tabs_of(mark), *tokens)
            pipe.expire(tabs_of(mark), KEPT)
            await pipe.execute()


_late: set[asyncio.Task[None]] = set()


async def _delete_late(mark: str, tokens: set[str]) -> None:
    """Delete what was saved after all: Reflex tells a tab what a handler did before it saves the tab's state."""
    await asyncio.sleep(_IN_FLIGHT)
    try:
        await _delete_states(mark, tokens)
    except (RedisError, OSError):
        log.warning("what a tab held when its session ended stays until it expires")


async def _delete_states(mark: str, tokens: set[str]) -> None:
    keys = [str(BaseStateToken(ident=token, cls=state)) for token in tokens for state in _tree(State)]
    await valkey().delete(tabs_of(mark), *keys)


def _tree(state: type[BaseState]) -> list[type[BaseState]]:
    return [state, *(deeper for sub in state.get_substates() for deeper in _tree(sub))]
