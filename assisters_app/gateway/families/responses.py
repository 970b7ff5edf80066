"""Responses, whole and streamed: OpenAI's newer way to ask a chat model.

request(body, offer) -> Response                      checks what we rely on; everything else passes through
complete(gate, call, offer, response) -> Answer       raises Refused
stream(gate, call, offer, response, send)             raises Refused only before the first `send`

Nothing of a response is kept, here or (as far as it heeds `store`) upstream, so there is nothing to continue: who asks
sends the whole conversation. Tools that an upstream would run itself, and charge for, have no price.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from assisters_app.base.errors import Refused
from assisters_app.base.money import NANO
from assisters_app.gateway import checks, tokens
from assisters_app.gateway.calls import Bound, Call, Ending, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import unpriced, wrong
from assisters_app.gateway.families import answers, streams
from assisters_app.gateway.families.answers import Answer
from assisters_app.gateway.families.streams import Send
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.upstream import broken

PATH = "/responses"
OWN_TOOLS = ("function", "custom")  # those that the caller runs
KEPT = ("previous_response_id", "conversation", "prompt")  # what leads to something that would have been kept
KNOWN = frozenset({"model", "input", "instructions", "tools", "text", "max_output_tokens"})
SPOKEN = ("text", "refusal", "name", "arguments", "input")  # where the items of an answer hold what was produced
LAST = ("response.completed", "response.incomplete")
FAILED = ("response.failed", "error")


@dataclass(frozen=True, slots=True)
class Response:
    """A request ready to be sent: `body` as the upstream gets it, tokens as we count them."""

    body: dict[str, Any]
    stream: bool
    input_tokens: int
    bound: Bound


def request(body: dict[str, Any], offer: Offer) -> Response:
    """Check a request and make it bounded; raise Refused with the parameter at fault."""
    body = checks.at_list_price(body)
    for name in KEPT:
        if body.get(name) is not None:
            raise unpriced(name, "nothing is kept here, so send the whole conversation as `input`")
    if checks.flag(body, "background"):
        raise unpriced("background", "wait for the answer, or stream it")
    _check_input(body)
    _check_tools(body.get("tools"))
    checks.thing(body, "text")
    stream = checks.flag(body, "stream")
    limit = min(checks.number(body, "max_output_tokens") or offer.max_output_tokens, offer.max_output_tokens)
    sent = {**body, "max_output_tokens": limit, "store": False}
    bound_by_bytes, counted = checks.weight(sent), tokens.of_response(body)
    expected = checks.with_margin(counted + tokens.of_the_rest(body, KNOWN))
    media = tokens.holds_media(body["input"])
    most_input = offer.context_tokens if media else min(bound_by_bytes, offer.context_tokens)
    return Response(sent, stream, counted, Bound(expected + limit, most_input, limit))


async def complete(gate: Gate, call: Call, offer: Offer, response: Response) -> Answer:
    """Answer as a whole. The record is durable when this returns; a caller who hung up meanwhile is still charged."""
    await gate.admit(call, offer, response.bound)
    async with gate.settled(call) as conclusion:
        reply = await gate.ask(call, offer, PATH, response.body, whole=True)
        started = time.perf_counter()
        answer = await answers.whole(reply, call.model)
        call.waited += time.perf_counter() - started
        usage = _used(response, answer)
        conclusion.ending = Ending("client_disconnected" if call.caller_gone else "completed", 200, usage)
    return Answer(orjson.dumps(_with_cost(answer, usage, conclusion.cost)), conclusion.cost)


async def stream(gate: Gate, call: Call, offer: Offer, response: Response, send: Send) -> None:
    """Send an answer event by event. The record is durable before the last event, which says what it cost, is sent.

    A stream that fails on the way ends with an `error` event, and is free.
    """
    follower = Following(call, response.input_tokens)
    await gate.admit(call, offer, response.bound)
    await streams.follow(gate, call, follower, lambda: gate.ask(call, offer, PATH, response.body), send)


@dataclass(slots=True)
class Following:
    """Follows one stream of typed events."""

    call: Call
    input_tokens: int  # as we counted them, should the upstream not tell
    usage: Usage | None = None
    said: list[str] = field(default_factory=list)
    done: bool = False
    finished: bool = False  # never before the last event
    closing: dict[str, Any] = field(default_factory=dict)  # the last event, held back until its cost is known
    number: int = 0  # of the last event

    def take(self, payload: bytes) -> bytes | None:
        """Return the event that the caller gets for an upstream's payload, None for none."""
        if payload == b"[DONE]":
            return None
        event = _json(payload)
        kind = event.get("type")
        if kind in FAILED or not isinstance(kind, str) or event.get("error"):
            raise broken()
        if type(event.get("sequence_number")) is int:
            self.number = event["sequence_number"]
        self._listen(kind, event)
        if kind in LAST:
            self.closing, self.done = event, True
            return None
        return _event(event) if isinstance(event.get("response"), dict) else _as_it_came(kind, payload)

    def so_far(self) -> Usage:
        """Return what was used until now: as the upstream told, or an estimate."""
        if self.usage is not None and self.usage.output_tokens:
            return self.usage
        given = self.usage or Usage(self.input_tokens)
        return replace(given, output_tokens=tokens.count("".join(self.said)), estimated=True).produced

    def last_event(self, cost_nano: int) -> bytes:
        """Return the event that ends the stream once it is settled: the whole response with its cost."""
        whole = self.closing.get("response")
        if isinstance(whole, dict):
            self.closing["response"] = _with_cost(whole, self.so_far(), cost_nano)
        return _event(self.closing)

    def error_event(self, refused: Refused) -> bytes:
        """Return what ends a stream that failed on the way: OpenAI's event, and what its clients raise."""
        error = {"message": str(refused), "type": "server_error", "param": None, "code": refused.code}
        event = {"type": "error", "message": str(refused), "param": None, "code": refused.code}
        return _event({**event, "sequence_number": self.number + 1, "error": error})

    def _listen(self, kind: str, event: dict[str, Any]) -> None:
        whole, delta = event.get("response"), event.get("delta")
        if isinstance(whole, dict):
            whole["model"] = self.call.model
            self.usage = usage_of(whole.get("usage")) or self.usage
        if kind.endswith(".delta") and isinstance(delta, str) and delta:
            self.said.append(delta)
            if self.call.first_token is None:
                self.call.first_token = self.call.elapsed()


def usage_of(told: Any) -> Usage | None:  # noqa: ANN401 (whatever an upstream sends)
    """Return what a response's `usage` says, None when it says nothing usable."""
    if not isinstance(told, dict):
        return None
    as_in_chat = {
        "prompt_tokens": told.get("input_tokens"),
        "prompt_tokens_details": told.get("input_tokens_details"),
        "completion_tokens": told.get("output_tokens"),
    }
    return answers.usage_of(as_in_chat)


def _used(response: Response, answer: Mapping[str, Any]) -> Usage:
    """Return what an answer has used: as the upstream told, or counted by us where it told of no output."""
    told = usage_of(answer.get("usage"))
    if told is not None and told.output_tokens:
        return told
    said = "".join(_spoken(answer.get("output")))
    return replace(told or Usage(response.input_tokens), output_tokens=tokens.count(said), estimated=True).produced


def _spoken(output: Any) -> list[str]:  # noqa: ANN401 (whatever an upstream sends)
    """Return the texts in the items of an answer, however deep: what a model has produced of it."""
    if isinstance(output, list):
        return [text for one in output for text in _spoken(one)]
    if not isinstance(output, dict):
        return []
    own = [output[name] for name in SPOKEN if isinstance(output.get(name), str)]
    return own + [text for one in output.values() for text in _spoken(one)]


def _with_cost(answer: dict[str, Any], usage: Usage, cost_nano: int) -> dict[str, Any]:
    told = answer.get("usage")
    ours = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.tokens,
    }
    return {**answer, "usage": {**(told if isinstance(told, dict) and told else ours), "cost": cost_nano / NANO}}


def _check_input(body: dict[str, Any]) -> None:
    given = body.get("input")
    if not isinstance(given, str | list) or not given:
        raise wrong("input", "must be a text, or a list of items, and not empty")
    if isinstance(given, list) and not all(isinstance(item, dict) for item in given):
        raise wrong("input", "must hold objects only")
    if isinstance(given, list) and any(item.get("type") == "item_reference" for item in given):
        raise wrong("input", "may not refer to items: nothing is kept here, so send them whole")
    if body.get("instructions") is not None and not isinstance(body["instructions"], str):
        raise wrong("instructions", "must be a text")


def _check_tools(tools: Any) -> None:  # noqa: ANN401 (any JSON)
    if tools is None:
        return
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise wrong("tools", "must be a list of objects")
    if not all(tool.get("type") in OWN_TOOLS for tool in tools):
        raise unpriced("tools", f"offer {' and '.join(OWN_TOOLS)} tools, which you run yourself")


def _json(payload: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise broken() from None
    if not isinstance(event, dict):
        raise broken()
    return event


def _event(event: Mapping[str, Any]) -> bytes:
    return _as_it_came(str(event["type"]), orjson.dumps(event))


def _as_it_came(kind: str, payload: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + payload + b"\n\n"
