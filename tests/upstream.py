"""A stand-in for an OpenAI-compatible upstream: it answers as told, remembers what it is asked, fails on request."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser

WORDS = ("Hello", " from", " the", " upstream", ".")


@dataclass
class Upstream:
    """What the next answers are like. Usage is what it says it is, whatever was asked."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # set once anything was asked
    credentials: list[str] = field(default_factory=list)
    status: int = 200
    error: dict[str, Any] | bytes = field(default_factory=lambda: {"error": {"message": "No.", "code": "no"}})
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    )
    continuous: bool = False  # cumulative usage on every chunk, though nobody asked for it
    can_count: bool = False  # the same for who asks, as vLLM sends it
    cut_after: int | None = None  # hang up after so many words
    gate: asyncio.Event | None = None  # wait for it before the first word
    pause_after: int | None = None  # wait for `gate` after so many words instead
    words: tuple[str, ...] = WORDS
    transcript: dict[str, Any] = field(
        default_factory=lambda: {
            "text": "Hello from the upstream.",
            "duration": 61.2,
            "language": "english",
            "segments": [
                {"start": 0.0, "end": 1.5, "text": " Hello from"},
                {"start": 1.5, "end": 61.2, "text": " the upstream."},
            ],
        }
    )
    own: dict[str, Any] = field(default_factory=dict)  # what the message holds besides its content
    ends_as: str = "completed"  # how a streamed response ends: completed, incomplete or failed
    drawn: int | None = None  # give so many images, not as many as asked for
    model: str = "the-upstreams-own-name"
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)  # set when our client went away

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._heard(request)
        if self.status != 200:
            return self._failing()
        if self.gate is not None and self.pause_after is None:
            await self.gate.wait()
        if body.get("stream"):
            return await self._stream(request, body)
        message = {"role": "assistant", "content": "".join(self.words), **self.own}
        if body.get("tools"):
            call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response(self._with_usage({**self._head("chat.completion"), "choices": [choice]}))

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._speak(response, body)
        except (ConnectionResetError, asyncio.CancelledError):
            self.hung_up.set()
            raise
        return response

    async def _speak(self, response: web.StreamResponse, body: dict[str, Any]) -> None:
        head = self._head("chat.completion.chunk")
        asked = bool((body.get("stream_options") or {}).get("continuous_usage_stats"))
        counting = self.continuous or (self.can_count and asked)
        for number, word in enumerate(self.words):
            if number == self.cut_after:
                assert response._req.transport is not None
                response._req.transport.abort()
                return
            if number == self.pause_after and self.gate is not None:
                await self.gate.wait()
            chunk = {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            if counting:
                chunk["usage"] = {"prompt_tokens": 11, "completion_tokens": number + 1, "total_tokens": number + 12}
            await self._event(response, chunk)
        if self.own:
            await self._event(response, {**head, "choices": [{"index": 0, "delta": self.own, "finish_reason": None}]})
        await self._event(response, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (body.get("stream_options") or {}).get("include_usage") and self.usage is not None:
            await self._event(response, {**head, "choices": [], "usage": self.usage})
        await response.write(b"data: [DONE]\n\n")

    async def responses(self, request: web.Request) -> web.StreamResponse:
        body = await self._heard(request)
        if self.status != 200:
            return self._failing()
        if not body.get("stream"):
            return web.json_response(self._response("completed", self._spoken()))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._respond(response)
        except (ConnectionResetError, asyncio.CancelledError):
            self.hung_up.set()
            raise
        return response

    async def _respond(self, response: web.StreamResponse) -> None:
        await self._typed(response, 0, "response.created", response=self._response("in_progress", []))
        for number, word in enumerate(self.words):
            if number == self.cut_after:
                assert response._req.transport is not None
                response._req.transport.abort()
                return
            if number == self.pause_after and self.gate is not None:
                await self.gate.wait()
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            await self._typed(response, number + 1, "response.output_text.delta", **place, delta=word, logprobs=[])
        whole = self._response(self.ends_as, self._spoken())
        await self._typed(response, len(self.words) + 1, f"response.{self.ends_as}", response=whole)

    def _spoken(self) -> list[dict[str, Any]]:
        said = {"type": "output_text", "text": "".join(self.words), "annotations": []}
        return [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]} | self.own
        ]

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        answer = {"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": self.model}
        answer |= {"status": status, "output": output, "error": {"message": "No."} if status == "failed" else None}
        answer |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        return self._with_usage(answer) if output else answer

    @staticmethod
    async def _typed(into: web.StreamResponse, number: int, kind: str, /, **more: Any) -> None:
        event = orjson.dumps({"type": kind, "sequence_number": number, **more})
        await into.write(b"event: " + kind.encode() + b"\ndata: " + event + b"\n\n")

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await self._heard(request)
        if self.status != 200:
            return self._failing()
        vector = [0.6, 0.8]
        packed = base64.b64encode(struct.pack("<2f", *vector)).decode()
        as_text = body.get("encoding_format") == "base64"
        count = 1 if isinstance(body["input"], str) else len(body["input"])
        data = [
            {"object": "embedding", "index": index, "embedding": packed if as_text else vector}
            for index in range(count)
        ]
        return web.json_response({"object": "list", "data": data, "model": self.model, "usage": self.usage})

    async def moderations(self, request: web.Request) -> web.Response:
        body = await self._heard(request)
        if self.status != 200:
            return self._failing()
        given = body["input"] if isinstance(body["input"], list) else [body["input"]]
        result = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
        return web.json_response(
            self._with_usage({"id": "modr-1", "model": self.model, "results": [result] * len(given)})
        )

    async def rerank(self, request: web.Request) -> web.Response:
        body = await self._heard(request)
        if self.status != 200:
            return self._failing()
        results = [{"index": index, "relevance_score": 0.5} for index in range(len(body["documents"]))]
        return web.json_response(self._with_usage({"id": "rerank-1", "model": self.model, "results": results}))

    async def images(self, request: web.Request) -> web.Response:
        body = await self._heard(request)
        if self.status != 200:
            return self._failing()
        drawn = body.get("n", 1) if self.drawn is None else self.drawn
        return web.json_response({"created": 1_700_000_000, "data": [{"url": "https://example.com/1.png"}] * drawn})

    async def speech(self, request: web.Request) -> web.StreamResponse:
        await self._heard(request)
        if self.status != 200:
            return self._failing()
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        try:
            await self._sound(response)
        except (ConnectionResetError, asyncio.CancelledError):
            self.hung_up.set()
            raise
        return response

    async def _sound(self, response: web.StreamResponse) -> None:
        for number, word in enumerate(self.words):
            if number == self.cut_after:
                assert response._req.transport is not None
                response._req.transport.abort()
                return
            if number == self.pause_after and self.gate is not None:
                await self.gate.wait()
            await response.write(word.encode())

    async def transcriptions(self, request: web.Request) -> web.Response:
        self.credentials.append(request.headers.get("Authorization", ""))
        self.heard.set()
        form: dict[str, Any] = {}
        parts = await MultiPartParser(Headers(dict(request.headers)), request.content.iter_any()).parse()
        for name, value in parts.multi_items():
            form.setdefault(name, []).append(value if isinstance(value, str) else await value.read())
            if not isinstance(value, str):
                form["filename"] = value.filename
        await parts.close()
        self.asked.append(form)
        if self.status != 200:
            return self._failing()
        if self.gate is not None:
            await self.gate.wait()
        return web.json_response(self.transcript)

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def _heard(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(await request.read())
        self.asked.append(body)
        self.heard.set()
        self.credentials.append(request.headers.get("Authorization", ""))
        return body

    def _failing(self) -> web.Response:
        body = self.error if isinstance(self.error, bytes) else orjson.dumps(self.error)
        return web.Response(status=self.status, body=body, content_type="application/json")

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": self.model}

    def _with_usage(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer if self.usage is None else {**answer, "usage": self.usage}

    @staticmethod
    async def _event(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")


@asynccontextmanager
async def running() -> AsyncIterator[Upstream]:
    """Serve on a free loopback port; `url` ends in /v1."""
    upstream = Upstream()
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", upstream.chat)
    app.router.add_post("/v1/responses", upstream.responses)
    app.router.add_post("/v1/embeddings", upstream.embeddings)
    app.router.add_post("/v1/moderations", upstream.moderations)
    app.router.add_post("/v1/rerank", upstream.rerank)
    app.router.add_post("/v1/images/generations", upstream.images)
    app.router.add_post("/v1/audio/speech", upstream.speech)
    app.router.add_post("/v1/audio/transcriptions", upstream.transcriptions)
    app.router.add_get("/v1/models", upstream.models)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()
