"""The mock upstream: an OpenAI-shaped answer as fast as Python can give one, whole or as a stream of events.

    python upstream.py --port 9000 [--latency-ms 0] [--tokens 20] [--interval-ms 100]

It speaks just enough HTTP/1.1 for a benchmark on loopback and checks nothing; it must never be the bottleneck.
"""

import argparse
import asyncio
from typing import cast

import uvloop

HEAD = b'{"id":"chatcmpl-bench","object":"chat.completion%s","created":1700000000,"model":"assisters-chat-v1",'
USAGE = b'"usage":{"prompt_tokens":25,"completion_tokens":20,"total_tokens":45}'
WORD = b" word"


class Script:
    """What every answer is: made once, sent again and again."""

    def __init__(self, latency: float, tokens: int, interval: float) -> None:
        self.latency, self.interval = latency, interval  # seconds
        message = b'"choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],'
        whole = HEAD % b"" + message % (WORD * 20) + USAGE + b"}"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.whole = head % len(whole) + whole
        self.stream_head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        delta = b'"choices":[{"index":0,"delta":{"role":"assistant","content":"%s"},"finish_reason":null}]}'
        self.token = _event(HEAD % b".chunk" + delta % WORD)
        finish = _event(HEAD % b".chunk" + b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
        self.last = finish + _event(b"[DONE]") + b"0\r\n\r\n"
        self.last_with_usage = (
            finish + _event(HEAD % b".chunk" + b'"choices":[],' + USAGE + b"}") + _event(b"[DONE]") + b"0\r\n\r\n"
        )
        self.tokens = tokens


class Answering(asyncio.Protocol):
    """One connection from a gateway, kept alive between requests."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._pending = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _problem: Exception | None) -> None:
        """Stop speaking to nobody."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each request once its body is here."""
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[:end].lower()
            size = _body_size(head, self._pending, end + 4)
            if size is None or len(self._pending) < end + 4 + size:
                return
            body, self._pending = self._pending[end + 4 : end + 4 + size], self._pending[end + 4 + size :]
            self._after(self._script.latency, self._answer, body)

    def _answer(self, body: bytes) -> None:
        if b'"stream":true' not in body.replace(b" ", b""):
            self._transport.write(self._script.whole)
            return
        last = self._script.last_with_usage if b'"include_usage"' in body else self._script.last
        self._transport.write(self._script.stream_head + self._script.token)
        self._after(self._script.interval, self._speak, last, self._script.tokens - 1)

    def _speak(self, last: bytes, left: int) -> None:
        if not left:
            self._transport.write(last)
            return
        self._transport.write(self._script.token)
        self._after(self._script.interval, self._speak, last, left - 1)

    def _after(self, seconds: float, act, *given) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002
        if seconds:
            self._timer = asyncio.get_running_loop().call_later(seconds, act, *given)
        else:
            act(*given)


def _event(payload: bytes) -> bytes:
    """Return one server-sent event as one chunk of HTTP."""
    event = b"data: " + payload + b"\n\n"
    return b"%x\r\n" % len(event) + event + b"\r\n"


def _body_size(head: bytes, pending: bytes, start: int) -> int | None:
    """Return how many bytes the body is on the wire, None while that is not known."""
    at = head.find(b"content-length:")
    if at >= 0:
        return int(head[at + 15 :].split(b"\r\n", 1)[0])
    if b"transfer-encoding: chunked" in head:
        end = pending.find(b"0\r\n\r\n", start)
        return None if end < 0 else end + 5 - start
    return 0


async def _serve(port: int, script: Script) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Answering(script), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--interval-ms", type=float, default=100.0)
    chosen = parser.parse_args()
    uvloop.run(_serve(chosen.port, Script(chosen.latency_ms / 1000, chosen.tokens, chosen.interval_ms / 1000)))
