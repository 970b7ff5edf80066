"""The Valkey (Redis protocol) connection of this process, and changes pushed between processes.

`announce` tells every process that something cached is no longer true; `listen` yields what was told. A change that
is lost on the way is caught by the caches' own age limit, so the channel is for speed, not for correctness.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from assisters_app.base.line import Line
from assisters_app.base.settings import settings

CHANNEL = "changes"
QUIET = 30.0  # seconds to wait for news before asking again

logger = logging.getLogger(__name__)

_clients: dict[asyncio.AbstractEventLoop, redis.Redis] = {}
_lines: dict[asyncio.AbstractEventLoop, Line] = {}


def valkey() -> redis.Redis:
    """Return this event loop's client (text in and out)."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = redis.from_url(
            settings().redis_url,
            decode_responses=True,
            socket_connect_timeout=2,
            socket_timeout=5,
            max_connections=64,
            retry=Retry(
                NoBackoff(), 1
            ),  # for a connection that was closed while it lay idle; callers do not wait longer
        )
        _clients[loop] = client
    return client


def line() -> Line:
    """Return the line that all of this event loop share, for what is asked on the way of every request."""
    loop = asyncio.get_running_loop()
    found = _lines.get(loop)
    if found is None:
        found = _lines[loop] = Line(settings().redis_url)
    return found


async def close() -> None:
    """Close this event loop's client and line."""
    loop = asyncio.get_running_loop()
    line = _lines.pop(loop, None)
    if line is not None:
        line.close()
    client = _clients.pop(loop, None)
    if client is not None:
        await client.aclose()


async def announce(topic: str, name: str) -> None:
    """Tell every process that `name` (a handle or fingerprint, never a secret) of `topic` has changed."""
    try:
        await valkey().publish(CHANNEL, f"{topic}:{name}")
    except redis.RedisError:  # the caches' own age limit brings the change home; what caused it has been committed
        logger.warning("A change could not be announced.")


async def listen() -> AsyncIterator[tuple[str, str]]:
    """Yield (topic, name) for each announced change, for as long as the caller iterates."""
    async with valkey().pubsub(ignore_subscribe_messages=True) as inbox:
        await inbox.subscribe(CHANNEL)
        while True:  # not `inbox.listen()`: it ends with the client's read timeout when nothing changes for a while
            message = await inbox.get_message(timeout=QUIET)
            if message is not None:
                topic, _, name = message["data"].partition(":")
                yield topic, name
