"""Transcriptions through the official client: a recording is handed on as it comes, and paid by the second."""

import asyncio
import io
import struct
import wave

import httpx
import openai
import pytest
from customers import key_of

from assisters_app.gateway import upload as uploads
from assisters_app.gateway.upload import Upload

MODEL = "assisters-whisper-v1"
PRICE = 100_000  # nano-USD per second
PATH = "/v1/audio/transcriptions"
SRT = "1\n00:00:00,000 --> 00:00:01,500\nHello from\n\n2\n00:00:01,500 --> 00:01:01,200\nthe upstream.\n"
VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello from\n\n00:00:01.500 --> 00:01:01.200\nthe upstream.\n"


def recording(seconds=2.5, rate=8_000):
    into = io.BytesIO()
    with wave.open(into, "wb") as written:
        written.setparams((1, 2, rate, 0, "NONE", ""))
        written.writeframes(bytes(2 * int(seconds * rate)))
    return into.getvalue()


def ask(client, content=None, name="hello.wav", **more):
    return client.audio.transcriptions.create(model=MODEL, file=(name, content or recording()), **more)


async def test_the_sandbox_says_how_long_a_recording_is(test_mode, records):
    found = await ask(test_mode)
    assert "sandbox" in found.text
    assert "3 seconds" in found.text
    assert found.usage.seconds == 3
    [event] = await records()
    assert (event.endpoint, event.model, event.units, event.unit, event.cost_nano) == (PATH, MODEL, 3, "second", 0)


async def test_the_sandbox_fails_when_the_prompt_says_so(test_mode):
    with pytest.raises(openai.InternalServerError):
        await ask(test_mode, prompt="sandbox:error")


async def test_a_recording_and_its_fields_reach_the_upstream_and_each_second_is_charged(upstream, live, records):
    sent = recording(3, 44_100)
    raw = await live.audio.transcriptions.with_raw_response.create(
        model=MODEL,
        file=("grüße.wav", sent, "audio/wav"),
        language="de",
        prompt="Grüße\r\n",
        temperature=0.5,
        timestamp_granularities=["word", "segment"],
    )
    assert raw.parse().text == "Hello from the upstream."
    assert raw.parse().usage.seconds == 4  # no longer than the file can be, whatever the upstream says
    assert raw.headers["x-cost-usd"] == f"0.{4 * PRICE:09d}"
    [form] = upstream.asked
    assert form["file"] == [sent]
    assert form["filename"] == "grüße.wav"
    assert (form["model"], form["response_format"], form["language"]) == ([MODEL], ["verbose_json"], ["de"])
    assert (form["prompt"], form["temperature"]) == (["Grüße\r\n"], ["0.5"])
    assert form["timestamp_granularities[]"] == ["word", "segment"]
    assert upstream.credentials == ["Bearer upstream-credential"]
    [event] = await records()
    assert (event.units, event.unit, event.estimated, event.outcome) == (4, "second", False, "completed")


@pytest.mark.parametrize(
    ("form", "expected"),
    [("text", "Hello from the upstream.\n"), ("srt", SRT), ("vtt", VTT)],
)
async def test_a_transcript_comes_in_the_form_that_was_asked_for(upstream, live, records, form, expected):
    assert await ask(live, recording(70), response_format=form) == expected
    assert (await records())[0].cost_nano == 62 * PRICE
    verbose = await ask(live, recording(70), response_format="verbose_json")
    assert (float(verbose.duration), len(verbose.segments)) == (61.2, 2)
    assert not hasattr(verbose, "model")


async def test_who_sends_the_recording_before_the_model_is_served_too(upstream, api, ada, records):
    sent = bytes(range(256)) * 8_000  # more than is kept in memory
    async with httpx.AsyncClient(headers=await bearer(ada)) as web:
        parts = [("file", ("a.mp3", sent)), ("language", (None, "en")), ("model", (None, MODEL))]
        answer = await web.post(f"{api}{PATH}", files=parts)
    assert answer.json()["text"] == "Hello from the upstream."
    [form] = upstream.asked
    assert (form["file"], form["language"], form["model"]) == ([sent], ["en"], [MODEL])
    assert [event.units for event in await records()] == [62]


async def test_the_recording_is_handed_on_while_it_arrives(upstream, api, ada):
    going_on = asyncio.Event()

    async def slowly():
        yield form(model=MODEL, file=b"beginning" * 10_000, end=False)
        await asyncio.wait_for(going_on.wait(), 10)
        yield b"end" + form()

    head = {**await bearer(ada), "Content-Type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers=head) as web:
        answering = asyncio.ensure_future(web.post(f"{api}{PATH}", content=slowly()))
        await asyncio.wait_for(upstream.heard.wait(), 10)  # before the caller has sent the end
        going_on.set()
        assert (await answering).json()["text"] == "Hello from the upstream."
    assert upstream.asked[0]["file"] == [b"beginning" * 10_000 + b"end"]


def form(*, end=True, **parts):
    """Write a form by hand; without an end it stops in the middle of its last part."""
    written = b""
    for name, value in parts.items():
        of_file = '; filename="a.mp3"' if isinstance(value, bytes) else ""
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'.encode()
        written += head + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return written + b"\r\n--x--\r\n" if end else written.removesuffix(b"\r\n")


async def bearer(person):
    return {"Authorization": f"Bearer {(await key_of(person))[2]}"}


async def test_who_hangs_up_while_they_are_sending_pays_nothing(upstream, api, ada, records):
    async def breaking_off():
        yield form(model=MODEL, file=b"beginning" * 10_000, end=False)
        await asyncio.wait_for(upstream.heard.wait(), 10)
        raise ConnectionError

    head = {**await bearer(ada), "Content-Type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers=head) as web:
        with pytest.raises(ConnectionError):
            await web.post(f"{api}{PATH}", content=breaking_off())
    async with asyncio.timeout(10):
        while not (found := await records()):  # noqa: ASYNC110 (the record lies in Valkey; no event tells us)
            await asyncio.sleep(0.01)
    assert [(one.outcome, one.units, one.cost_nano) for one in found] == [("client_disconnected", 0, 0)]


async def test_a_recording_that_is_too_large_is_refused_announced_or_not(upstream, api, ada, records, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST_FILE", 50_000)

    async def unannounced():
        yield form(model=MODEL, file=bytes(40_000), end=False)
        await asyncio.wait_for(upstream.heard.wait(), 10)
        yield bytes(40_000) + form()

    head = {**await bearer(ada), "Content-Type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers=head) as web:
        for content in (form(model=MODEL, file=bytes(60_000)), unannounced()):
            answer = await web.post(f"{api}{PATH}", content=content)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert [one.cost_nano for one in await records()] == [0, 0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (form(model=MODEL), (400, "invalid_value", "file")),
        (form(model=MODEL, file="no file"), (400, "invalid_value", "file")),
        (form(file=b"a"), (400, "missing_model", "model")),
        (form(model="gpt-99", file=b"a"), (404, "model_not_found", "model")),
        (form(model="assisters-chat-v1", file=b"a"), (400, "wrong_model", "model")),
        (form(model=MODEL, response_format="pdf", file=b"a"), (400, "invalid_value", "response_format")),
        (form(model=MODEL, file=b"a", response_format="pdf"), (400, "invalid_value", "response_format")),
        (form(model=MODEL, stream="true", file=b"a"), (400, "invalid_value", "stream")),
        (form(model=MODEL, service_tier="priority", file=b"a"), (400, "unsupported_parameter", "service_tier")),
        (form(model=MODEL, other=b"a"), (400, "invalid_value", "other")),
        (form(model=MODEL, file=b"a", end=False), (400, "invalid_form", None)),
        (form(model=MODEL, file=b"a").replace(b"form-data", b"form-data" + b"x" * 9_000), (400, "invalid_form", None)),
        (form(model=MODEL, prompt="x" * 70_000, file=b"a"), (413, "body_too_large", None)),
        (form(model=MODEL, file=b"a") + b"more", (200, None, None)),
        (b"", (400, "invalid_form", None)),
        (b"{}", (400, "invalid_form", None)),
    ],
)
async def test_a_form_that_is_wrong_is_told_so_and_free(live, upstream, records, content, expected):
    head = {"Authorization": f"Bearer {live.api_key}", "Content-Type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers=head) as web:
        answer = await web.post(f"{live.base_url}audio/transcriptions", content=content)
    found = answer.json().get("error", {})
    assert (answer.status_code, found.get("code"), found.get("param")) == expected
    if answer.status_code != 200:
        assert [one.cost_nano for one in await records()] == [0]


async def test_what_is_no_form_at_all_is_refused(api, ada):
    async with httpx.AsyncClient(headers=await bearer(ada)) as web:
        answer = await web.post(f"{api}{PATH}", json={"model": MODEL})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form")


async def test_a_second_model_behind_the_recording_is_seen(api, ada, upstream, records):
    async def one_after_the_other():
        yield form(model=MODEL, file=b"a" * 100_000, end=False)
        await asyncio.wait_for(upstream.heard.wait(), 10)
        yield b"\r\n" + form(model="another")

    head = {**await bearer(ada), "Content-Type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers=head) as web:
        answer = await web.post(f"{api}{PATH}", content=one_after_the_other())
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert [one.cost_nano for one in await records()] == [0]


async def test_what_stands_behind_a_recording_is_looked_at_before_the_upstream_has_it_all(api, ada, upstream, records):
    async def wanting_a_stream():
        yield form(model=MODEL, file=b"beginning" * 10_000, end=False)
        await asyncio.wait_for(upstream.heard.wait(), 10)
        yield b"\r\n" + form(stream="true")

    head = {**await bearer(ada), "Content-Type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers=head) as web:
        answer = await web.post(f"{api}{PATH}", content=wanting_a_stream())
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")
    assert upstream.asked == []  # or it would have worked for nothing
    assert [one.cost_nano for one in await records()] == [0]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"text": "Hi", "usage": {"type": "duration", "seconds": 9}}, (9, False)),
        ({"text": "Hi", "duration": "7.01"}, (8, False)),
        ({"text": "Hi"}, (10, True)),
        ({"text": "Hi", "duration": -5}, (10, True)),
        ({"text": "Hi", "duration": 10**9}, (11, False)),
        ({"text": "Hi", "duration": "nan"}, (10, True)),
    ],
    ids=str,
)
async def test_a_length_that_cannot_be_is_not_believed(upstream, live, records, told, expected):
    upstream.transcript = told
    await ask(live, recording(10))
    [event] = await records()
    assert (event.units, event.estimated) == expected
    assert event.cost_nano == event.units * PRICE


@pytest.mark.parametrize("told", [{"text": 7}, {"words": []}, {"error": {"message": "No."}}], ids=str)
async def test_an_upstream_that_gives_no_transcript_is_free(upstream, live, records, told):
    upstream.transcript = told
    with pytest.raises(openai.InternalServerError):
        await ask(live)
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("failed", 0)]


async def test_an_upstream_that_fails_is_free(upstream, live, records):
    upstream.status = 500
    with pytest.raises(openai.InternalServerError):
        await ask(live)
    assert [(one.outcome, one.status, one.cost_nano) for one in await records()] == [("failed", 502, 0)]


async def longest(content, announced=None):
    async def chunks():
        yield form(model=MODEL, file=content)

    given = Upload(chunks(), "multipart/form-data; boundary=x")
    await given.begin()
    given.close()
    return given.most_seconds(announced)


async def test_what_is_held_is_the_longest_that_a_file_can_be():
    assert await longest(recording(60), len(recording(60)) + 200) == 61
    assert await longest(bytes(100_000), 100_000) == 100
    assert await longest(b"", 10**9) == uploads.MOST_SECONDS
    compressed = recording().replace(b"fmt " + struct.pack("<IH", 16, 1), b"fmt " + struct.pack("<IH", 16, 0x55))
    assert await longest(compressed, 10_000) == 10
    for way, expected in ((1, 1), (0x55, 10)):  # the wide form of a WAV's head says further on how it holds samples
        head = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8_000, 16_000, 2, 16, 22, 16, 0, way) + bytes(14)
        wide = b"RIFF" + struct.pack("<I", 10_000) + b"WAVEfmt " + struct.pack("<I", len(head)) + head
        assert await longest(wide + b"data" + bytes(9_000), 10_000) == expected
