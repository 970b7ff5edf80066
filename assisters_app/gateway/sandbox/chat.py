"""Chat in the sandbox: it streams, honours max_tokens, and calls a tool when asked to. See magic.py for the words."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from assisters_app.base.clock import now
from assisters_app.gateway import tokens
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import ECHO, SAYS, Chunk, fail_as_told, id_of, reply, streamed
from assisters_app.gateway.upstream import Reply, broken


async def answer(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer a chat request, whose shape has been checked, as an upstream would."""
    question = last_said(body)
    await fail_as_told(question)
    if body.get("stream"):
        return streamed(_stream(body, offer, question))
    return reply(_completion(body, offer, question))


def _completion(body: Mapping[str, Any], offer: Offer, question: str) -> Chunk:
    message, finish, used = message_of(body, offer, question)
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
        for index in range(body.get("n") or 1)
    ]
    usage = _usage(body, used * len(choices))
    return {**_head(body, offer, "chat.completion"), "choices": choices, "usage": usage}


async def _stream(body: Mapping[str, Any], offer: Offer, question: str) -> AsyncIterator[bytes]:
    message, finish, used = message_of(body, offer, question)
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


def message_of(body: Mapping[str, Any], offer: Offer, question: str) -> tuple[Chunk, str, int]:
    """Return the message, why it ends, and how many tokens it is."""
    tool = _tool(body) if "sandbox:tool" in question else None
    if tool is not None:
        call = {
            "id": id_of(body["messages"], "call_")[:29],
            "type": "function",
            "function": {"name": tool, "arguments": "{}"},
        }
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
    said = f"{SAYS} You said: {question[:ECHO]}"
    return said + " and so on" * most if "sandbox:long" in question else said


def _deltas(message: Chunk) -> list[Chunk]:
    if message["content"] is None:
        call = message["tool_calls"][0]
        start = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
        arguments = {"index": 0, "function": {"arguments": call["function"]["arguments"]}}
        return [{"role": "assistant", "content": None, "tool_calls": [start]}, {"tool_calls": [arguments]}]
    spoken = [{"content": piece} for piece in tokens.pieces(message["content"])]
    return [{"role": "assistant", "content": "", "refusal": None}, *spoken]


def last_said(body: Mapping[str, Any]) -> str:
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
        "id": id_of(body["messages"], "chatcmpl-"),
        "object": kind,
        "created": int(now().timestamp()),
        "model": offer.upstream_model,
        "system_fingerprint": "sandbox",
    }


def _choice(index: int, delta: Chunk, finish: str | None) -> Chunk:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _event(chunk: Chunk) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
