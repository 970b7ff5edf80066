"""The reaper: ends calls that nobody ended, because the process that answered them died.

    run_once() -> int          how many it ended
    end(name) -> bool          one of them, at once: the organization is being erased
    run_forever(stop)          until `stop` is set; what the worker runs

First it delivers what dead processes have left on this host's disk: that says more than it could. A call whose lease
has lapsed gets the record `interrupted` and costs nothing: nobody knows what was produced. Should
its own process know after all, and say so later, what it says takes the place of that record in the books.
"""

import asyncio
import logging
import math
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

import redis

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.valkey import valkey
from assisters_app.gateway import admission, spool, wallets
from assisters_app.gateway.scripts import OPEN, PARKED, Keys, Scripts
from assisters_app.usage.events import Event

EVERY = 5.0  # seconds
CONTACT = 10.0  # seconds that Valkey must have answered before a lease is lapsed: until then nobody could renew it
AT_ONCE = 200

logger = logging.getLogger(__name__)
_scripts = Scripts()


async def run_forever(stop: asyncio.Event) -> None:
    """Look for orphaned calls every few seconds until `stop` is set."""
    answers_since, looked = None, 0.0
    while not stop.is_set():
        if time.monotonic() - looked > CONTACT:  # we have been asleep ourselves
            answers_since = None
        looked = time.monotonic()
        try:
            await spool.deliver_orphans(_take)
            await valkey().set("probe", "1", ex=60)
            answers_since = answers_since or looked
            if looked - answers_since >= CONTACT:
                await run_once()
        except (redis.RedisError, Refused, OSError):
            logger.exception("The reaper stands still: Valkey is away.")
            answers_since = None
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)


async def _take(event: Event) -> None:
    await admission.record(_scripts, event)


async def run_once() -> int:
    """End every call whose hold has run out; return how many."""
    ended = 0
    while names := await _overdue():
        for name in names:
            ended += await end(name)
    return ended


async def _overdue() -> list[str]:
    latest = math.floor(now().timestamp() * 1000)
    return list(await valkey().zrangebyscore(OPEN, "-inf", latest, start=0, num=AT_ONCE))


async def end(name: str) -> bool:
    """End one open call by its name in `open`, whether or not its hold has run out; False when it was settled."""
    organization_id, _, request_id = name.partition("|")
    [held] = await _ask(valkey().hmget(Keys.of(UUID(organization_id)).holds, [request_id]))
    if held is None:  # settled between our two questions
        await valkey().zrem(OPEN, name)
        return False
    try:
        event = Event.from_json(held.split(":", 3)[3])
    except ValueError:
        await _park(UUID(organization_id), request_id, name, held)
        return False
    return await admission.record(_scripts, event, whose="reaper")


async def _park(organization_id: UUID, request_id: str, name: str, held: str) -> None:
    """Put aside a hold that another release wrote and we cannot read; a person looks at it, and the rest goes on."""
    logger.error("A hold could not be read and was parked.", extra={"handle": request_id})
    async with valkey().pipeline(transaction=True) as both:
        both.xadd(PARKED, {"record": held, "reason": "unreadable hold"})
        both.hdel(Keys.of(organization_id).holds, request_id)
        both.zrem(OPEN, name)
        await both.execute()
    await wallets.forget(organization_id)  # rebuilt without what it held


async def _ask(answer: Any) -> list[str | None]:  # noqa: ANN401 (the client's types mix its two ways of answering)
    found: list[str | None] = await answer
    return found
