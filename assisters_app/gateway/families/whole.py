"""Requests that are answered by one JSON object.

complete(gate, call, offer, ask) -> Answer            raises Refused
"""

import time

from assisters_app.gateway.calls import Call, Ending
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.answers import Answer
from assisters_app.gateway.families.ask import Ask
from assisters_app.gateway.gate import Gate


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
    return Answer(ask.written(answer, conclusion.usage, conclusion.cost), conclusion.cost)
