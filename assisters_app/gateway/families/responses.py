"""Responses, whole and streamed: OpenAI's newer way to ask a chat model.

request(body, offer) -> Ask                           checks what we rely on; everything else passes through

Nothing of a response is kept, here or (as far as it heeds `store`) upstream, so there is nothing to continue: who asks
sends the whole conversation. Tools that an upstream would run itself, and charge for, have no price.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

from assisters_app.base.errors import Refused
from assisters_app.gateway import checks, tokens
from assisters_app.gateway.calls import Bound, Call, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import unpriced, wrong
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.answers import Names
from assisters_app.gateway.families.ask import Ask
from assisters_app.gateway.upstream import broken

PATH = "/responses"
OWN_TOOLS = ("function", "custom")  # those that the caller runs
KEPT = ("previous_response_id", "conversation", "prompt")  # what leads to something that would have been kept
KNOWN = frozenset({"model", "input", "instructions", "tools", "text", "max_output_tokens"})
NAMES = Names("input_tokens", "output_tokens")
NO_TEXT = ("response.audio.delta", "response.output_audio.delta")  # whose `delta` is sound
LAST = ("response.completed", "response.incomplete")
FAILED = ("response.failed", "error")


def request(body: dict[str, Any], offer: Offer) -> Ask:
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
    follower = partial(Following, input_tokens=counted) if stream else None
    bound = Bound(expected + limit, most_input, limit)
    return Ask(PATH, sent, bound, partial(_used, counted), _written, follower)


@dataclass(slots=True)
class Following:
    """Follows one stream of typed events."""

    call: Call
    input_tokens: int  # as we counted them, should the upstream not tell
    usage: Usage | None = None
    said: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)  # the same once more, as whole items say it, and maybe more
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
        """Return what was used until now: as the upstream told at the end, or an estimate."""
        if self.done and self.usage is not None and self.usage.output_tokens:
            return self.usage
        given = self.usage or Usage(self.input_tokens)  # what is told on the way may be less than was said since
        counted = (tokens.count("".join(one)) for one in (self.said, self.items))
        return replace(given, output_tokens=max(given.output_tokens, *counted), estimated=True).produced

    def last_event(self, usage: Usage, cost_nano: int) -> bytes:
        """Return the event that ends the stream once it is settled: the whole response with its cost."""
        whole = self.closing.get("response")
        if isinstance(whole, dict):
            self.closing["response"] = _with_cost(whole, usage, cost_nano)
        return _event(self.closing)

    def error_event(self, refused: Refused) -> bytes:
        """Return what ends a stream that failed on the way: OpenAI's event, and what its clients raise."""
        error = {"message": str(refused), "type": "server_error", "param": None, "code": refused.code}
        event = {"type": "error", "message": str(refused), "param": None, "code": refused.code}
        return _event({**event, "sequence_number": self.number + 1, "error": error})

    def _listen(self, kind: str, event: dict[str, Any]) -> None:
        whole, delta = event.get("response"), answers.spoken(event.get("delta"))
        if isinstance(whole, dict):
            whole["model"] = self.call.model
            self.usage = answers.usage_of(whole.get("usage"), NAMES) or self.usage
            self.items = answers.spoken(whole.get("output")) or self.items
        if kind == "response.output_item.done":
            self.items += answers.spoken(event.get("item"))
        if kind.endswith(".delta") and kind not in NO_TEXT and delta:
            self.said += delta
            if self.call.first_token is None:
                self.call.first_token = self.call.elapsed()


def _used(counted: int, answer: dict[str, Any]) -> Usage:
    """Return what an answer has used: as the upstream told, or counted by us where it told of no output."""
    told = answers.usage_of(answer.get("usage"), NAMES)
    if told is not None and told.output_tokens:
        return told
    said = "".join(answers.spoken(answer.get("output")))
    return replace(told or Usage(counted), output_tokens=tokens.count(said), estimated=True).produced


def _with_cost(answer: dict[str, Any], usage: Usage, cost_nano: int) -> dict[str, Any]:
    shown = answers.charged(answer.get("usage"), usage, cost_nano, NAMES)
    wanted = {NAMES.details: {"cached_tokens": usage.cached_tokens}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {**answer, "usage": {**wanted, **shown}}


def _written(answer: dict[str, Any], usage: Usage, cost_nano: int) -> bytes:
    return orjson.dumps(_with_cost(answer, usage, cost_nano))


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
