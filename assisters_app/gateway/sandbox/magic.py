"""What all sandbox answers have in common: they say what they are, and fail when told to.

Words in the last thing that a caller says make the sandbox fail in each way that a client must be able to handle, as
test cards do for payments:

    sandbox:rate-limit      429 with Retry-After
    sandbox:error           500
    sandbox:slow            two seconds until the first byte
    sandbox:cut             a stream that ends in the middle
    sandbox:tool            a call of the first tool offered, with empty arguments (chat)
    sandbox:long            as many tokens as are allowed (chat)
    sandbox:flagged         a text that is found harmful (moderations)
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import orjson

from assisters_app.base.errors import Refused
from assisters_app.gateway.upstream import Reply

SLOW = 2.0  # seconds that sandbox:slow waits
ECHO = 400  # characters of what was said that an answer repeats
SAYS = "This is the Assisters sandbox: no model was asked, and nothing is charged."
Chunk = dict[str, Any]


async def fail_as_told(said: str) -> None:
    """Raise what the caller's words ask for, or wait as they ask."""
    if "sandbox:rate-limit" in said:
        sentence = "The sandbox was asked for a rate limit. Please retry after 1 seconds."
        raise Refused(sentence, code="rate_limit_exceeded", status=429, retry_after=1)
    if "sandbox:error" in said:
        raise Refused("The sandbox was asked for an error.", code="sandbox_error", status=500)
    if "sandbox:slow" in said:
        await asyncio.sleep(SLOW)


def id_of(given: Any, prefix: str) -> str:  # noqa: ANN401 (any JSON)
    """Return an id that depends on what was asked alone."""
    return prefix + hashlib.sha256(orjson.dumps(given)).hexdigest()[:29]


def share_of(given: Any) -> float:  # noqa: ANN401 (as above)
    """Return a number from 0 to 1 that depends on what was asked alone."""
    return int.from_bytes(hashlib.sha256(orjson.dumps(given)).digest()[:4]) / 2**32


def reply(body: Chunk) -> Reply:
    """Return a JSON object as an upstream's answer."""

    async def whole() -> AsyncIterator[bytes]:
        yield orjson.dumps(body)

    return streamed(whole())


def streamed(content: AsyncIterator[bytes]) -> Reply:
    """Return bytes as an upstream's answer."""
    return Reply(200, content, _nothing)


def _nothing() -> None:
    """Close what needs no closing."""
