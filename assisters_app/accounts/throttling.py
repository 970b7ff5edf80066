"""How often something may be tried, counted in Valkey, where a count ends by itself.

await attempt(LIMIT, "what", "is counted")    raises Refused(code="too_many", status=429, retry_after=seconds)
await within(LIMIT, "what", "is counted") -> bool
await forgive(LIMIT, "what", "is counted")
"""

import math
from dataclasses import dataclass
from datetime import timedelta

from assisters_app.base.crypto import keyed_hash
from assisters_app.base.errors import Refused
from assisters_app.base.valkey import valkey


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` attempts in `period`, which starts with the first of them."""

    name: str
    most: int
    period: timedelta


async def attempt(limit: Limit, *who: str) -> None:
    """Count one attempt by `who` before it is made; raise Refused when there were too many."""
    wait = await _count(limit, who)
    if wait:
        minutes = math.ceil(wait / 60)
        when = "a minute" if minutes == 1 else f"{minutes} minutes"
        raise Refused(f"Too many attempts. Try again in {when}.", code="too_many", status=429, retry_after=wait)


async def within(limit: Limit, *who: str) -> bool:
    """Count one attempt by `who`; return False, telling nobody, when there were too many."""
    return await _count(limit, who) == 0


async def forgive(limit: Limit, *who: str) -> None:
    """Forget the attempts of `who`, who has shown to be who they say."""
    await valkey().delete(_key(limit, who))


async def _count(limit: Limit, who: tuple[str, ...]) -> int:
    """Return 0, or the seconds to wait. Counting and ending are one step: no count can be left without an end."""
    key = _key(limit, who)
    async with valkey().pipeline(transaction=True) as together:
        together.set(key, 0, ex=limit.period, nx=True)
        together.incr(key)
        together.ttl(key)
        _, count, seconds = await together.execute()
    return max(int(seconds), 1) if int(count) > limit.most else 0


def _key(limit: Limit, who: tuple[str, ...]) -> str:
    """Name the count by a keyed hash: Valkey holds no addresses."""
    return f"throttle:{limit.name}:{keyed_hash('throttle', '|'.join(who))}"
