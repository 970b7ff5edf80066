"""Waiting for a change that every process of the API knows of within the bound that is published, and no later."""

import asyncio
import time

from assisters_app.gateway.known import STALENESS


async def once(right, ask, bound=STALENESS):
    """Ask until an answer is right, and return it; fail on a wrong one that was asked for after the bound.

    What counts is when a question was put, not when it was answered: a slow machine is no stale one.
    """
    changed = asked = time.monotonic()
    while not right(answer := await ask()):
        assert asked - changed <= bound.total_seconds(), answer
        await asyncio.sleep(0.01)
        asked = time.monotonic()
    return answer
