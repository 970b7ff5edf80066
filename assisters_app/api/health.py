"""GET /healthz (this process answers) and /readyz (so does what it needs). Fast, for probes; neither says a secret."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from assisters_app.base import db
from assisters_app.base.settings import settings
from assisters_app.base.valkey import valkey

PATIENCE = 1.0  # seconds for each dependency
NO_STORE = {"Cache-Control": "no-store"}

logger = logging.getLogger(__name__)


async def alive(_request: Request) -> JSONResponse:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"}, headers=NO_STORE)


async def ready(_request: Request) -> JSONResponse:
    """Say of each dependency whether it answers; 503 when one does not."""
    checks = {"postgresql": _postgres, "valkey": _valkey}
    answers = await asyncio.gather(*(_answers(name, check) for name, check in checks.items()))
    found = {name: "ok" if fine else "down" for name, fine in zip(checks, answers, strict=True)}
    found["models"] = "upstream" if settings().upstreams else "sandbox"
    fine = all(answers)
    body = {"status": "ready" if fine else "not ready", "checks": found}
    return JSONResponse(body, status_code=200 if fine else 503, headers=NO_STORE)


async def _answers(name: str, check: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except Exception:  # noqa: BLE001 (whatever keeps it from answering, it does not answer)
        logger.warning("A dependency does not answer: %s.", name)
        return False
    return True


async def _postgres() -> None:
    async with db.engine().connect() as connection:
        await connection.execute(text("SELECT 1"))


async def _valkey() -> None:
    await valkey().set("probe", "1", ex=60)


ROUTES = [Route("/healthz", alive), Route("/readyz", ready)]
