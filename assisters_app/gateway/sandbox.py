"""The sandbox: answers in process when a key is a test key or no upstream is configured. Deterministic and free.

It streams, counts tokens with a real tokenizer, honours max_tokens, calls a tool when asked to, and says what it is.
Words in the last user message make it fail in each way that a client must be able to handle, as test cards do for
payments:

    sandbox:rate-limit      429 with Retry-After
    sandbox:error           500
    sandbox:slow            two seconds until the first token
    sandbox:cut             a stream that ends in the middle
    sandbox:tool            a call of the first tool offered, with empty arguments
    sandbox:long            as many tokens as max_tokens allows
"""

import asyncio
import base64
import hashlib
import math
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.gateway import tokens
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.upstream import Reply, broken

SLOW = 2.0  # seconds that sandbox:slow waits
ECHO = 400  # characters of the question that the answer repeats
Chunk = dict[str, Any]


async def chat(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer a chat request, whose shape has been checked, as an upstream would."""
    question = _question(body)
    if "sandbox:rate-limit" in question:
        sentence = "The sandbox was asked for a rate limit. Please retry after 1 seconds."
        raise Refused(sentence, code="rate_limit_exceeded", status=429, retry_after=1)
    if "sandbox:error" in question:
        raise Refused("The sandbox was asked for an error.", code="sandbox_error", status=500)
    if "sandbox:slow" in question:
        await asyncio.sleep(SLOW)
    if body.get("stream"):
        return Reply(200, _stream(body, offer, question), _nothing)
    return _reply(_completion(body, offer, question))


async def embeddings(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer an embeddings request with unit vectors that depend on the input alone."""
    size = body.get("dimensions") or offer.dimensions or 1
    as_text = body.get("encoding_format") == "base64"
    vectors = [_vector(one, size) for one in tokens.inputs(body["input"])]
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if as_text else vector}
        for index, vector in enumerate(vectors)
    ]
    used = tokens.of_embeddings(body["input"])
    usage = {"prompt_tokens": used, "total_tokens": used}
    return _reply({"object": "list", "data": data, "model": offer.upstream_model, "usage": usage})


def _completion(body: Mapping[str, Any], offer: Offer, question: str) -> Chunk:
    message, finish, used = _answer(body, offer, question)
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
        for index in range(body.get("n") or 1)
    ]
    usage = _usage(body, used * len(choices))
    return {**_head(body, offer, "chat.completion"), "choices": choices, "usage": usage}


async def _stream(body: Mapping[str, Any], offer: Offer, question: str) -> AsyncIterator[bytes]:
    message, finish, used = _answer(body, offer, question)
    head = _head(body, offer, "chat.completion.chunk")
    count = body.get("n") or 1
    for index in range(count):
        for number, delta in enumerate(_deltas(message)):
            if "sandbox:cut" in question and number > 2:  # noqa: PLR2004 (in the middle)
                raise broken()
            yield _event({**head, "choices": [_choice(index, delta, None)]})
            await asyncio.sleep(0)  # let others in between two tokens
        yield _event({**head, "choices": [_choice(index, {}, finish)]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": _usage(body, used * count)})
    yield b"data: [DONE]\n\n"


def _answer(body: Mapping[str, Any], offer: Offer, question: str) -> tuple[Chunk, str, int]:
    """Return the message, why it ends, and how many tokens it is."""
    tool = _tool(body) if "sandbox:tool" in question else None
    if tool is not None:
        call = {"id": _id(body, "call_")[:29], "type": "function", "function": {"name": tool, "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
        return message, "tool_calls", tokens.count(tool) + 1
    most = body.get("max_completion_tokens") or body.get("max_tokens") or offer.max_output_tokens
    text = _text(body, question, most)
    said = tokens.first(text, most)
    finish = "stop" if said == text else "length"
    return {"role": "assistant", "content": said, "refusal": None}, finish, min(most, tokens.count(said))


def _text(body: Mapping[str, Any], question: str, most: int) -> str:
    if (body.get("response_format") or {}).get("type") in ("json_object", "json_schema"):
        return orjson.dumps({"sandbox": True, "you_said": question[:ECHO]}).decode()
    said = f"This is the Assisters sandbox: no model was asked, and nothing is charged. You said: {question[:ECHO]}"
    return said + " and so on" * most if "sandbox:long" in question else said


def _deltas(message: Chunk) -> list[Chunk]:
    if message["content"] is None:
        call = message["tool_calls"][0]
        start = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
        arguments = {"index": 0, "function": {"arguments": call["function"]["arguments"]}}
        return [{"role": "assistant", "content": None, "tool_calls": [start]}, {"tool_calls": [arguments]}]
    spoken = [{"content": piece} for piece in tokens.pieces(message["content"])]
    return [{"role": "assistant", "content": "", "refusal": None}, *spoken]


def _question(body: Mapping[str, Any]) -> str:
    """Return the text of the last user message."""
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = content if isinstance(content, list) else []
            return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and part.get("text"))
    return ""


def _tool(body: Mapping[str, Any]) -> str | None:
    for tool in body.get("tools") or []:
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict):
            return str(tool["function"].get("name", "")) or None
    return None


def _usage(body: Mapping[str, Any], output: int) -> Chunk:
    used = tokens.of_chat(body)
    return {
        "prompt_tokens": used,
        "completion_tokens": output,
        "total_tokens": used + output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _head(body: Mapping[str, Any], offer: Offer, kind: str) -> Chunk:
    return {
        "id": _id(body, "chatcmpl-"),
        "object": kind,
        "created": int(now().timestamp()),
        "model": offer.upstream_model,
        "system_fingerprint": "sandbox",
    }


def _id(body: Mapping[str, Any], prefix: str) -> str:
    return prefix + hashlib.sha256(orjson.dumps(body["messages"])).hexdigest()[:29]


def _choice(index: int, delta: Chunk, finish: str | None) -> Chunk:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _vector(given: Any, size: int) -> list[float]:  # noqa: ANN401 (a text or a list of tokens)
    seed = orjson.dumps(given)
    numbers_ = struct.unpack(f">{size}I", hashlib.shake_256(seed).digest(4 * size))
    raw = [number / 2**31 - 1 for number in numbers_]
    length = math.hypot(*raw) or 1.0
    return [value / length for value in raw]


def _packed(vector: Sequence[float]) -> str:
    """Return a vector as OpenAI packs it: little-endian 32-bit floats in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _reply(body: Chunk) -> Reply:
    async def whole() -> AsyncIterator[bytes]:
        yield orjson.dumps(body)

    return Reply(200, whole(), _nothing)


def _event(chunk: Chunk) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _nothing() -> None:
    """Close what needs no closing."""
