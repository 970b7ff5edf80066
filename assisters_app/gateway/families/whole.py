"""Requests that are answered by one JSON object.

complete(gate, call, offer, ask) -> Answer            raises Refused
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assisters_app.gateway.calls import Bound, Call, Ending, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.answers import Answer
from assisters_app.gateway.gate import Gate


@dataclass(frozen=True, slots=True)
class Ask:
    """A request ready to be sent: `body` to `path` upstream. `used` says what an answer to it has used."""

    path: str
    body: dict[str, Any]
    bound: Bound
    used: Callable[[dict[str, Any]], Usage]


async def complete(gate: Gate, call: Call, offer: Offer, ask: Ask) -> Answer:
    """Answer. The record is durable when this returns; a caller who hung up meanwhile is still charged."""
    await gate.admit(call, offer, ask.bound)
    async with gate.settled(call) as conclusion:
        reply = await gate.ask(call, offer, ask.path, ask.body, whole=True)
        started = time.perf_counter()
        answer = await answers.whole(reply, call.model)
        call.waited += time.perf_counter() - started
        usage = ask.used(answer)
        conclusion.ending = Ending("client_disconnected" if call.caller_gone else "completed", 200, usage)
    return Answer(answers.with_cost(answer, usage, conclusion.cost), conclusion.cost)
