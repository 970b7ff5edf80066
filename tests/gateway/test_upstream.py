"""The way to the upstream: one connection for many requests, and the credential goes nowhere else."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from assisters_app.base import settings
from assisters_app.base.errors import Refused
from assisters_app.gateway import upstream
from assisters_app.gateway.upstream import Upstream, read

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"
END = b"0\r\n\r\n"


def usual():
    return settings.settings().upstreams[""]


class Wire:
    """What a server on loopback saw: connections made, requests on them, connections that ended."""

    def __init__(self):
        self.made, self.heard, self.ended = 0, [], asyncio.Event()
        self.writer = None


@asynccontextmanager
async def answering(monkeypatch, answers):
    """Serve `answers` by path below /v1, and be the upstream of the block."""
    wire = Wire()

    async def connected(reader, writer):
        wire.made, wire.writer = wire.made + 1, writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:"))
                await reader.readexactly(size)
                wire.heard.append(head)
                writer.write(answers[head.split(b" ")[1].decode().removeprefix("/v1")])
        except asyncio.IncompleteReadError:
            wire.ended.set()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    monkeypatch.setenv("UPSTREAM_BASE_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    monkeypatch.setenv("UPSTREAM_API_KEY", "sk-ours")
    settings.settings.cache_clear()
    ours = Upstream()
    try:
        yield ours, wire
    finally:
        await ours.close()
        server.close()


async def test_answers_whole_and_streamed_share_one_connection(house, monkeypatch):
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole"
    async with answering(monkeypatch, {"/whole": whole, "/stream": CHUNKED}) as (ours, wire):
        for _ in range(3):
            assert await read(await ours.send(usual(), "/whole", b"{}")) == b"whole"
            reply = await ours.send(usual(), "/stream", b"{}")
            assert await anext(reply.content) == b"first"
            reply.close()  # as at [DONE], which comes just before the end
            wire.writer.write(END)
            await reply.content._closing
        assert (wire.made, len(wire.heard)) == (1, 6)
        assert b"bearer sk-ours" in wire.heard[0].lower()


async def test_an_upstream_hears_at_once_that_its_answer_is_not_wanted_further(house, monkeypatch):
    async with answering(monkeypatch, {"/stream": CHUNKED}) as (ours, wire):
        reply = await ours.send(usual(), "/stream", b"{}")
        assert await anext(reply.content) == b"first"
        reply.close()
        await asyncio.wait_for(wire.ended.wait(), 5)
        reading = asyncio.ensure_future(read(await ours.send(usual(), "/stream", b"{}")))
        wire.ended.clear()
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait_for(wire.ended.wait(), 5)


async def test_a_credential_follows_no_redirect_and_passes_no_proxy(house, monkeypatch):
    elsewhere = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /v1/whole\r\ncontent-length: 0\r\n\r\n"
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with answering(monkeypatch, {"/moved": elsewhere}) as (ours, wire):
        assert (await ours.send(usual(), "/moved", b"{}")).status == 307
        assert len(wire.heard) == 1


@pytest.mark.parametrize(("answer", "code"), [(CHUNKED, "upstream_timeout"), (b"nonsense\r\n\r\n", "upstream_error")])
async def test_a_silent_upstream_and_a_broken_one_are_told_apart(house, monkeypatch, answer, code):
    monkeypatch.setattr(upstream, "SILENCE", upstream.SILENCE / 1_000)
    async with answering(monkeypatch, {"/it": answer}) as (ours, _):
        with pytest.raises(Refused) as refused:
            await read(await ours.send(usual(), "/it", b"{}"))
        assert refused.value.code == code
