"""Chat completions, whole and streamed.

request(body, offer) -> Chat                          checks what we rely on; everything else passes through
complete(gate, call, offer, chat) -> Answer           raises Refused
stream(gate, call, offer, chat, send)                 raises Refused only before the first `send`
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from assisters_app.base.errors import Refused
from assisters_app.gateway import answers, tokens
from assisters_app.gateway.answers import Answer, Tally
from assisters_app.gateway.calls import Call, Ending, GoneError, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.upstream import broken

PATH = "/chat/completions"
MOST_CHOICES = 16
LIMITS = ("max_completion_tokens", "max_tokens")  # one of them is sent: an upstream that reads the other is bounded too
KNOWN = frozenset({"model", "messages", "stream_options", *tokens.COUNTED, *LIMITS})
TAKING_IN = 60.0  # seconds, altogether, that a caller may keep a stream waiting; then they are taken to have gone
Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat request ready to be sent: `body` as the upstream gets it, tokens as we count them."""

    body: dict[str, Any]
    stream: bool
    shows_usage: bool  # whether a stream ends with its usage, as the caller asked
    input_tokens: int
    most_input: int
    most_output: int


def request(body: dict[str, Any], offer: Offer) -> Chat:
    """Check a request and make it bounded; raise Refused with the parameter at fault.

    The most output is what the caller asked for, or the model's own most: a cap is a cap only for what is bounded.
    """
    _check_messages(body.get("messages"))
    stream = _flag(body, "stream")
    options = _object(body, "stream_options")
    if options is not None and not stream:
        raise _wrong("stream_options", "is only allowed when `stream` is true")
    for name, kind in (("tools", list), ("response_format", dict), ("functions", list)):
        if body.get(name) is not None and not isinstance(body[name], kind):
            raise _wrong(name, "has the wrong type")
    choices = _number(body, "n", MOST_CHOICES) or 1
    limit_name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    limit = min(_number(body, limit_name) or offer.max_output_tokens, offer.max_output_tokens)
    sent = {name: value for name, value in body.items() if name not in LIMITS} | {limit_name: limit}
    if stream:
        sent["stream_options"] = {**(options or {}), "include_usage": True}
    shows_usage = bool(options and options.get("include_usage"))
    counted = tokens.of_chat(body)
    most = with_margin(counted + tokens.of_the_rest(body, KNOWN))
    return Chat(sent, stream, shows_usage, counted, most, limit * choices)


def with_margin(counted: int) -> int:
    """Return the most tokens that an input may be for an upstream that counts otherwise than we do."""
    return math.ceil(counted * 1.25) + 16


async def complete(gate: Gate, call: Call, offer: Offer, chat: Chat) -> Answer:
    """Answer as a whole. The record is durable when this returns; a caller who hung up meanwhile is still charged."""
    await gate.admit(call, offer, chat.most_input, chat.most_output)
    async with gate.settled(call) as conclusion:
        reply = await gate.ask(call, offer, PATH, chat.body)
        started = time.perf_counter()
        answer = await answers.whole(reply, call.model)
        call.waited += time.perf_counter() - started
        usage = answers.usage_of(answer.get("usage")) or _estimate(chat, answer)
        conclusion.ending = Ending("client_disconnected" if call.caller_gone else "completed", 200, usage)
    return Answer(answers.with_cost(answer, usage, conclusion.cost), conclusion.cost)


async def stream(gate: Gate, call: Call, offer: Offer, chat: Chat, send: Send) -> None:
    """Send an answer event by event. The record is durable before the last event is sent.

    A stream that fails on the way ends with an event that holds an error, as OpenAI's clients expect, and is free.
    """
    await gate.admit(call, offer, chat.most_input, chat.most_output)
    begun = False
    try:
        async with gate.settled(call) as conclusion:
            reply = await gate.ask(call, offer, PATH, chat.body)
            await answers.require_success(reply)
            tally = Tally(call, chat.input_tokens, chat.shows_usage)
            conclusion.so_far = tally.so_far
            begun = True
            try:
                await _pass_on(call, tally, reply.content, _patiently(send))
            finally:
                reply.close()
            conclusion.ending = Ending("completed", 200, tally.so_far())
        last = tally.last_event(conclusion.cost)
    except Refused as refused:
        if not begun:
            raise
        last = _error_event(refused)
    await send(last)


async def _pass_on(call: Call, tally: Tally, content: AsyncIterator[bytes], send: Send) -> None:
    async for payload in answers.events(_timed(call, content)):
        shown = tally.take(payload)
        if shown is not None:
            await send(shown)
        if tally.done:
            return
    if not tally.finished:
        raise broken()


def _patiently(send: Send) -> Send:
    """Return `send`, but it raises GoneError once its waits add up to TAKING_IN.

    Otherwise a caller who reads slowly enough lets the upstream's patience run out, and what has failed is free.
    """
    waited = 0.0

    async def handing_over(data: bytes) -> None:
        nonlocal waited
        began = time.perf_counter()
        try:
            async with asyncio.timeout(TAKING_IN - waited):
                await send(data)
        except TimeoutError:
            raise GoneError from None
        waited += time.perf_counter() - began

    return handing_over


async def _timed(call: Call, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what arrives, and add the time that was spent waiting for it to the upstream's account."""
    asked = time.perf_counter()
    async for piece in content:
        call.waited += time.perf_counter() - asked
        yield piece
        asked = time.perf_counter()
    call.waited += time.perf_counter() - asked


def _estimate(chat: Chat, answer: dict[str, Any]) -> Usage:
    """Return what an answer without usage must have used, counted by us."""
    said = "".join(
        orjson.dumps(choice["message"]).decode() for choice in answer.get("choices") or () if choice.get("message")
    )
    return Usage(chat.input_tokens, 0, tokens.count(said), estimated=True) if said else Usage()


def _error_event(refused: Refused) -> bytes:
    error = {"message": str(refused), "type": "server_error", "param": None, "code": refused.code}
    return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def _check_messages(messages: Any) -> None:  # noqa: ANN401 (any JSON)
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "must be a list with at least one message")
    if not all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in messages):
        raise _wrong("messages", "must hold objects that each have a `role`")


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return bool(value)


def _object(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise _wrong(name, "must be an object")
    return value


def _number(body: dict[str, Any], name: str, most: int = 2**31) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise _wrong(name, f"must be a whole number from 1 to {most}")
    return value


def _wrong(name: str, what: str) -> Refused:
    return Refused(f"`{name}` {what}.", code="invalid_value", field=name)
