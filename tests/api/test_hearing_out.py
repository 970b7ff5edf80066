"""Ada's program is answered, whatever it is still sending: nobody hangs up on it before it has read the answer."""

import asyncio
from urllib.parse import urlsplit

import pytest

from assisters_app import hearing_out
from assisters_app.hearing_out import HeardOut

LARGE = 4 * 2**20  # bytes: more than the buffers between two programs hold


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/chat/completions", 401),
        ("GET", "/v1/models", 401),
        ("PUT", "/v1/nothing", 404),
        ("POST", "/", 404),
    ],
)
async def test_an_answer_that_needs_no_body_is_read_and_the_connection_goes_on(api, method, path, status):
    reader, writer = await asyncio.open_connection(urlsplit(api).hostname, urlsplit(api).port)
    head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {LARGE}\r\n\r\n"
    for _ in range(2):  # the second one on the same connection
        writer.write(head.encode() + b" " * LARGE)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        assert int(answer.split()[1]) == status
        (length,) = [int(line.split()[1]) for line in answer.lower().splitlines() if line.startswith(b"content-length")]
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()


async def through(pieces, headers, *, reads=0):
    """Send `pieces` to an application that reads so many of them and answers; return how many were left unread."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting[-1]["more_body"] = False
    left = None

    async def receive():
        return waiting.pop(0)

    async def send(message):
        nonlocal left
        if message["type"] == "http.response.start":
            left = len(waiting)

    async def inside(scope, receive, send):
        for _ in range(reads):
            await receive()
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await HeardOut(inside)({"type": "http", "headers": headers}, receive, send)
    return left


SENDS = [(b"transfer-encoding", b"chunked")]


async def test_what_is_left_of_a_body_is_read_before_the_answer_begins():
    for reads in range(4):
        assert await through([b"a", b"b", b"c"], SENDS, reads=reads) == 0


async def test_who_asks_first_or_sends_no_body_is_answered_at_once():
    assert await through([b"a", b"b"], [*SENDS, (b"expect", b"100-continue")]) == 2
    assert await through([b""], []) == 1


async def test_who_asked_first_and_was_told_to_go_on_is_heard_out_like_everybody():
    assert await through([b"a", b"b", b"c"], [*SENDS, (b"expect", b"100-continue")], reads=1) == 0


async def test_nobody_is_heard_out_for_ever(monkeypatch):
    monkeypatch.setattr(hearing_out, "AT_MOST", 3)
    assert await through([b"ab"] * 5, SENDS) == 3
    monkeypatch.setattr(hearing_out, "AT_LONGEST", 0)

    async def silent():
        await asyncio.Event().wait()

    answered = []

    async def send(message):
        answered.append(message["type"])

    async def inside(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": []})

    await HeardOut(inside)({"type": "http", "headers": SENDS}, silent, send)
    assert answered == ["http.response.start"]
