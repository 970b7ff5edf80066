"""One origin: the API's own routes to the API, everything else to the pages. The API never passes through Reflex.

granian --interface asgi --factory assisters_app.asgi:create      one container serves it all
granian --interface asgi --factory assisters_app.asgi:api_alone   the metered API, to be scaled by itself
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from assisters_app.base import log, memory
from assisters_app.base.settings import SettingsError, settings
from assisters_app.doors import Application, Doors, Message, Receive, Scope, Send
from assisters_app.hearing_out import HeardOut

# How Reflex is told that pages are compiled already and that it serves them. The last two are internal to the pinned
# version; tests/browser holds us to them.
REFLEX = {
    "REFLEX_ENV_MODE": "prod",
    "__REFLEX_SKIP_COMPILE": "1",
    "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "1",
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "0",
    "REFLEX_IGNORE_REDIS_CONFIG_ERROR": "true",  # a hosted Redis lets nobody configure it (Upstash has no CONFIG)
}


def create() -> Application:
    """Return the whole product as one ASGI application. Raises SettingsError on a function, which has no disk to keep.

    An erasure is written into a ledger outside the database before the first row goes (decision 16).
    """
    log.configure()
    if settings().function:
        raise SettingsError("The pages need a host: a function keeps no erasure ledger. It serves the API alone.")
    os.environ.update(REFLEX, REFLEX_REDIS_URL=settings().redis_url)  # before Reflex is imported
    from starlette.routing import Match

    from assisters_app.api.app import app as api
    from assisters_app.assisters_app import app as pages

    served = pages()

    async def product(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live((api, served), scope, receive, send)
        elif scope["type"] == "http" and (
            scope["path"].startswith("/v1/") or any(route.matches(scope)[0] is not Match.NONE for route in api.routes)
        ):
            await api(scope, receive, send)
        else:
            await served(scope, receive, send)

    memory.settle()
    return HeardOut(Doors(product))


def api_alone() -> Application:
    """Return the API without the pages, and without importing Reflex."""
    log.configure()
    from assisters_app.api.app import app

    memory.settle()
    return HeardOut(Doors(app))


async def live(parts: tuple[Application, ...], scope: Scope, receive: Receive, send: Send) -> None:
    """Speak the lifespan protocol for several applications: start them in order, end them in reverse."""
    await receive()
    async with AsyncExitStack() as living:
        try:
            for part in parts:
                await living.enter_async_context(_alive(part, scope))
        except Exception as problem:
            await send({"type": "lifespan.startup.failed", "message": str(problem)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def _alive(part: Application, scope: Scope) -> AsyncIterator[None]:
    """Start one application, end it after the block; raise RuntimeError when it says that it could not."""
    asked: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(part(scope, asked.get, said.put))

    async def ask(what: str) -> None:
        await asked.put({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(said.get())
        await asyncio.wait([answer, task], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await task
            raise RuntimeError(f"A part of the product ended during {what}.")
        if answer.result()["type"].endswith("failed"):
            raise RuntimeError(answer.result().get("message", f"A part of the product failed during {what}."))

    await ask("startup")
    try:
        yield
    finally:
        await ask("shutdown")
        await task
