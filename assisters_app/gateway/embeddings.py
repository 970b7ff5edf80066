"""Embeddings, as floats or base64.

request(body, offer) -> Embeddings                    checks what we rely on; everything else passes through
complete(gate, call, offer, embeddings) -> Answer     raises Refused
"""

import time
from dataclasses import dataclass
from typing import Any

from assisters_app.base.errors import Refused
from assisters_app.gateway import answers, tokens
from assisters_app.gateway.answers import Answer
from assisters_app.gateway.calls import Call, Ending, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.chat import with_margin
from assisters_app.gateway.gate import Gate

PATH = "/embeddings"
MOST_INPUTS = 2_048
KNOWN = frozenset({"model", "input", "encoding_format"})


@dataclass(frozen=True, slots=True)
class Embeddings:
    """An embeddings request ready to be sent."""

    body: dict[str, Any]
    input_tokens: int
    most_input: int


def request(body: dict[str, Any], offer: Offer) -> Embeddings:
    """Check a request; raise Refused with the parameter at fault."""
    _check_input(body.get("input"))
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise _wrong("encoding_format", "must be `float` or `base64`")
    dimensions = body.get("dimensions")
    if dimensions is not None:
        most = offer.dimensions or 1
        if type(dimensions) is not int or not 1 <= dimensions <= most:
            raise _wrong("dimensions", f"must be a whole number from 1 to {most}")
    counted = tokens.of_embeddings(body["input"])
    return Embeddings(body, counted, with_margin(counted + tokens.of_the_rest(body, KNOWN)))


async def complete(gate: Gate, call: Call, offer: Offer, embeddings: Embeddings) -> Answer:
    """Answer; the record is durable when this returns."""
    await gate.admit(call, offer, embeddings.most_input, 0)
    async with gate.settled(call) as conclusion:
        reply = await gate.ask(call, offer, PATH, embeddings.body)
        started = time.perf_counter()
        answer = await answers.whole(reply, call.model)
        call.waited += time.perf_counter() - started
        counted = Usage(embeddings.input_tokens, estimated=True)
        usage = answers.usage_of(answer.get("usage")) or counted
        conclusion.ending = Ending("client_disconnected" if call.caller_gone else "completed", 200, usage)
    return Answer(answers.with_cost(answer, usage, conclusion.cost), conclusion.cost)


def _check_input(given: Any) -> None:  # noqa: ANN401 (any JSON)
    if not isinstance(given, str | list) or not given:
        raise _wrong("input", "must be a text, or a list of texts or tokens, and not empty")
    if isinstance(given, str):
        return
    kinds = {type(one) for one in given}
    sound = kinds in ({str}, {int}) or (kinds == {list} and all(_are_tokens(one) for one in given))
    if not sound or (kinds == {str} and not all(given)):
        raise _wrong("input", "must hold only texts or only tokens, none of them empty")
    if kinds != {int} and len(given) > MOST_INPUTS:
        raise _wrong("input", f"may hold at most {MOST_INPUTS} entries")


def _are_tokens(one: Any) -> bool:  # noqa: ANN401 (as above)
    return bool(one) and all(type(token) is int for token in one)


def _wrong(name: str, what: str) -> Refused:
    return Refused(f"`{name}` {what}.", code="invalid_value", field=name)
