"""Responses in the sandbox: what its chat says, in the newer shape, whole or as typed events."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import orjson

from assisters_app.base.clock import now
from assisters_app.gateway import tokens
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox import chat
from assisters_app.gateway.sandbox.magic import Chunk, fail_as_told, id_of, reply, streamed
from assisters_app.gateway.upstream import Reply, broken

CUT = 6  # events after which sandbox:cut ends a stream


async def answer(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer a request, whose shape has been checked."""
    question = chat.last_said(_as_chat(body))
    await fail_as_told(question)
    whole = _response(body, offer, question)
    return streamed(_stream(whole, cut="sandbox:cut" in question)) if body.get("stream") else reply(whole)


def _as_chat(body: Mapping[str, Any]) -> Chunk:
    given = body["input"]
    functions = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    form = (body.get("text") or {}).get("format")
    return {
        "messages": [{"role": "user", "content": given}] if isinstance(given, str) else given,
        "tools": [{"function": tool} for tool in functions],
        "max_tokens": body["max_output_tokens"],
        "response_format": form if isinstance(form, dict) else {},
    }


def _response(body: Mapping[str, Any], offer: Offer, question: str) -> Chunk:
    message, finish, used = chat.message_of(_as_chat(body), offer, question)
    cut = finish == "length"
    given = tokens.of_response(body)
    usage = {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": used,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + used,
    }
    return {
        "id": id_of(body["input"], "resp_"),
        "object": "response",
        "created_at": int(now().timestamp()),
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body["max_output_tokens"],
        "metadata": body.get("metadata") or {},
        "model": offer.upstream_model,
        "output": [_item(message, body)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
    }


def _item(message: Chunk, body: Mapping[str, Any]) -> Chunk:
    if message["content"] is None:
        [call] = message["tool_calls"]
        ids = {"id": id_of(body["input"], "fc_"), "call_id": call["id"]}
        return {"type": "function_call", **ids, **call["function"], "status": "completed"}
    said = {"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []}
    head = {"type": "message", "id": id_of(body["input"], "msg_"), "role": "assistant"}
    return {**head, "status": "completed", "content": [said]}


async def _stream(whole: Chunk, *, cut: bool) -> AsyncIterator[bytes]:
    for number, event in enumerate(_events(whole)):
        if cut and number == CUT:
            raise broken()
        kind = event["type"]
        yield b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({**event, "sequence_number": number}) + b"\n\n"
        await asyncio.sleep(0)  # let others in between two tokens


def _events(whole: Chunk) -> Iterator[Chunk]:
    """Yield the events of a response in OpenAI's order; their numbers are added by whoever sends them."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    [item] = whole["output"]
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    yield from _text(item) if item["type"] == "message" else _call(item)
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _text(item: Chunk) -> Iterator[Chunk]:
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    [part] = item["content"]
    yield {"type": "response.output_item.added", "output_index": 0, "item": _opened(item, content=[])}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in tokens.pieces(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _call(item: Chunk) -> Iterator[Chunk]:
    place, given = {"item_id": item["id"], "output_index": 0}, item["arguments"]
    yield {"type": "response.output_item.added", "output_index": 0, "item": _opened(item, arguments="")}
    yield {"type": "response.function_call_arguments.delta", **place, "delta": given}
    yield {"type": "response.function_call_arguments.done", **place, "name": item["name"], "arguments": given}


def _opened(item: Chunk, **empty: Any) -> Chunk:  # noqa: ANN401 (what of it is not there yet)
    return {**item, "status": "in_progress", **empty}
