"""The doors of the product: shut while the database may hold somebody who was erased, until it was looked through.

Every process that serves people or programs stands behind them. It looks every few seconds whether the database is
still the one that was held against the erasure ledger (`privacy.erasing.stamp`); a restored one is not, and until the
worker has erased again whoever was erased since, nothing is answered but the probe that says the process is alive. A
database that does not answer changes nothing: what is served without it, or refused without it, stays as it was.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from assisters_app.base.db import transaction
from assisters_app.privacy.erasing import stamp

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOK = 5.0  # seconds between looks
LOOK_WHILE_SHUT = 0.5
SLEPT = 3 * LOOK  # who has not looked for so long was paused, as functions are between requests
PATIENCE = 3.0  # seconds for the database to answer a look
COMES_BACK = "10"  # seconds after which asking again makes sense
ALIVE = "/healthz"
GOING_AWAY = 1012  # RFC 6455's registry: the service is restarting
SENTENCE = "The service is coming back from a backup: first, whoever was erased since is erased again. Try again soon."
ERROR = {"error": {"message": SENTENCE, "type": "server_error", "param": None, "code": "reopening"}}
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="10"><title>Back soon</title>'
    '<body style="font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem">'
    f"<h1 style='font-size:1.5rem'>Back soon</h1><p>{SENTENCE}</p>"
)

logger = logging.getLogger(__name__)


async def unlocked() -> bool:
    """Look once whether people may be let in; raises what the database raises when it does not answer."""
    async with transaction() as tx:
        return await stamp.is_open(tx)


async def until_shut() -> None:
    """Return once the database is no longer the one that was held against the ledger."""
    while True:
        await asyncio.sleep(LOOK)
        try:
            if not await unlocked():
                return
        except Exception:  # noqa: BLE001 (as below)
            logger.warning("Whether the database was restored cannot be seen.")


class Doors:
    """ASGI: stands before an application, and lets nobody through while the doors are shut."""

    def __init__(self, inside: Application) -> None:
        self._inside = inside
        self._open: bool | None = None  # None: never looked
        self._watching: asyncio.Task[None] | None = None
        self._looked_at = 0.0  # by the wall's clock: it goes on while a machine sleeps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the connection on, or say that we are shut."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if self._open is None or time.time() - self._looked_at > SLEPT:
            await self._look()
        if scope["type"] == "websocket":
            await self._talk(scope, receive, send)
        elif self._open or scope["path"] == ALIVE:
            await self._inside(scope, receive, send)
        else:
            await _say(scope, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._look()
        self._watching = asyncio.create_task(self._watch())
        try:
            await self._inside(scope, receive, send)
        finally:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK if self._open else LOOK_WHILE_SHUT)
            await self._look()

    async def _look(self) -> None:
        self._looked_at = time.time()
        try:
            async with asyncio.timeout(PATIENCE):
                found = await unlocked()
        except Exception:  # noqa: BLE001 (whatever keeps it from answering, what was seen last holds)
            logger.warning("Whether the database was restored cannot be seen.")
            return
        if found is not self._open and (self._open is not None or not found):
            logger.warning("The doors are %s.", "open again" if found else "shut: the database was restored")
        self._open = found

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak through a socket for as long as the doors are open; a word that comes later is not heard."""

        async def heard() -> Message:
            message = await receive()
            if self._open or message["type"] == "websocket.disconnect":
                return message
            await send({"type": "websocket.close", "code": GOING_AWAY})
            return {"type": "websocket.disconnect", "code": GOING_AWAY}

        if self._open:
            await self._inside(scope, heard, send)
        else:
            await send({"type": "websocket.close", "code": GOING_AWAY})


async def _say(scope: Scope, send: Send) -> None:
    wants_page = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
    kind, body = ("text/html", PAGE) if wants_page else ("application/json", json.dumps(ERROR))
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", COMES_BACK.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
