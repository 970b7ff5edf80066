"""Speech through the official client: sound as it is made, paid by the character."""

import asyncio
import io
import wave

import httpx
import openai
import pytest
from customers import key_of

ASK = {"model": "assisters-tts-v1", "voice": "alloy", "input": "Hello, world."}
PRICE = 10_000  # nano-USD per character


async def test_the_sandbox_gives_a_real_recording_as_long_as_the_text(test_mode, records):
    found = await test_mode.audio.speech.create(**ASK, response_format="wav")
    assert found.response.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(found.content)) as recording:
        assert (recording.getnchannels(), recording.getsampwidth(), recording.getframerate()) == (1, 2, 24_000)
        assert recording.getnframes() == 1_200 * len(ASK["input"])
        tone = recording.readframes(recording.getnframes())
    assert any(tone)
    bare = await test_mode.audio.speech.create(**ASK, response_format="pcm")
    assert (bare.response.headers["content-type"], bare.content) == ("audio/pcm", tone)
    [event, _] = await records()
    assert (event.endpoint, event.units, event.unit, event.cost_nano) == ("/v1/audio/speech", 13, "character", 0)


async def test_who_names_no_kind_gets_mp3_and_what_only_a_model_can_make_is_refused(test_mode):
    found = await test_mode.audio.speech.create(**ASK)
    assert found.response.headers["content-type"] == "audio/mpeg"
    frames = [found.content[at : at + 192] for at in range(0, len(found.content), 192)]
    assert {frame[:4] for frame in frames} == {b"\xff\xf3\x84\xc4"}
    assert len(frames) == -(-13 * 1_200 // 576)
    with pytest.raises(openai.BadRequestError, match="needs a live key") as refused:
        await test_mode.audio.speech.create(**ASK, response_format="flac")
    assert refused.value.param == "response_format"


async def test_an_upstreams_sound_passes_through_and_the_characters_are_charged(upstream, live, records):
    said = {**ASK, "input": "Grüße 👋"}
    async with live.audio.speech.with_streaming_response.create(
        **said, response_format="opus", speed=1.5, instructions="Softly."
    ) as found:
        assert found.headers["content-type"] == "audio/ogg"
        assert found.headers["x-cost-usd"] == f"0.{7 * PRICE:09d}"
        assert b"".join([piece async for piece in found.iter_bytes()]) == b"Hello from the upstream."
    [asked] = upstream.asked
    assert (asked["speed"], asked["instructions"], asked["input"]) == (1.5, "Softly.", "Grüße 👋")
    [event] = await records()
    assert (event.units, event.unit, event.cost_nano, event.outcome) == (7, "character", 7 * PRICE, "completed")
    assert event.first_token_ms is not None


async def test_sound_that_breaks_off_is_seen_to_and_is_free(api, ada, upstream, records):
    upstream.cut_after = 2
    key = (await key_of(ada))[2]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as web:
        with pytest.raises(httpx.RemoteProtocolError):
            await web.post(f"{api}/v1/audio/speech", json=ASK)
    [event] = await records()
    assert (event.outcome, event.status, event.cost_nano) == ("failed", 502, 0)


async def test_an_upstream_that_fails_before_the_first_sound_is_told_and_free(upstream, live, records):
    upstream.status = 500
    with pytest.raises(openai.InternalServerError):
        await live.audio.speech.create(**ASK)
    upstream.status, upstream.words = 200, ()
    with pytest.raises(openai.InternalServerError):
        await live.audio.speech.create(**ASK)
    assert [(one.outcome, one.status, one.cost_nano) for one in await records()] == [("failed", 502, 0)] * 2


async def test_who_hangs_up_once_they_have_heard_something_pays_for_the_text(upstream, live, records):
    upstream.gate, upstream.pause_after = asyncio.Event(), 3
    async with live.audio.speech.with_streaming_response.create(**ASK) as found:
        await anext(found.iter_bytes(1))
    await asyncio.wait_for(upstream.hung_up.wait(), 10)
    event = await first(records)
    assert (event.outcome, event.units, event.cost_nano) == ("client_disconnected", 13, 13 * PRICE)


async def first(records):
    async with asyncio.timeout(10):
        while not (found := await records()):  # noqa: ASYNC110 (the record lies in Valkey; no event tells us)
            await asyncio.sleep(0.01)
    [event] = found
    return event


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": ["a"]},
        {"input": "x" * 4_097},
        {"voice": None},
        {"voice": 7},
        {"response_format": "ogg"},
        {"response_format": []},
        {"stream_format": "sse"},
        {"service_tier": "priority"},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
async def test_what_cannot_be_spoken_is_refused_and_free(upstream, live, records, wrong):
    with pytest.raises(openai.BadRequestError) as refused:
        await live.post("/audio/speech", body={**ASK, **wrong}, cast_to=object)
    assert refused.value.param in wrong
    assert upstream.asked == []
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]
