"""The official Python client's own manners: waiting, trying again, giving up, looking at what came with an answer."""

import asyncio
import io
import time
import wave

import httpx
import openai
import pytest
from cast import BOB
from customers import customer, key_of

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}


def recording():
    into = io.BytesIO()
    with wave.open(into, "wb") as written:
        written.setparams((1, 2, 8_000, 0, "NONE", ""))
        written.writeframes(bytes(16_000))
    return "hello.wav", into.getvalue()


async def test_what_comes_with_an_answer_can_be_read(upstream, live):
    raw = await live.chat.completions.with_raw_response.create(**ASK)
    told = raw.headers
    assert raw.parse()._request_id == raw.request_id == told["x-request-id"]
    assert (told["x-cost-usd"], told["x-ratelimit-limit-rpm"], told["x-ratelimit-remaining-rpm"]) == (
        "0.000003100",
        "10",
        "9",
    )
    assert 0 <= float(told["x-overhead-ms"]) <= float(told["x-processing-time-ms"]) + 1
    async with live.chat.completions.with_streaming_response.create(**ASK, stream=True) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert [line async for line in stream.iter_lines()][-2:] == ["data: [DONE]", ""]


async def test_a_client_that_tries_again_gets_its_answer_once_the_upstream_is_back(upstream, live, records):
    upstream.status = 503
    asking = asyncio.ensure_future(live.with_options(max_retries=2).chat.completions.create(**ASK))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    upstream.status = 200
    assert (await asking).choices[0].message.content == "Hello from the upstream."
    assert [(event.status, event.cost_nano) for event in await records()] == [(502, 0), (200, 3_100)]


async def test_a_client_waits_as_long_as_it_is_told(test_mode):
    words = {**ASK, "messages": [{"role": "user", "content": "sandbox:rate-limit"}]}
    began = time.monotonic()
    with pytest.raises(openai.RateLimitError) as limited:
        await test_mode.with_options(max_retries=1).chat.completions.create(**words)
    assert time.monotonic() - began >= 1
    assert limited.value.response.headers["retry-after"] == "1"


async def test_a_client_without_money_does_not_try_again(upstream, api, client_for, records):

    client = client_for((await key_of(await customer(BOB)))[2], max_retries=5)
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(**ASK)
    assert len(await records()) == 1


class Impatient(httpx.AsyncHTTPTransport):
    """Runs out of time in the moment in which the upstream has heard the question: no earlier, however slow we are."""

    def __init__(self, upstream):
        super().__init__()
        self.heard = upstream.heard

    async def handle_async_request(self, request):
        answering = asyncio.ensure_future(super().handle_async_request(request))
        await asyncio.wait_for(self.heard.wait(), 20)
        answering.cancel()
        await asyncio.wait([answering])
        raise httpx.ReadTimeout("", request=request)


async def give_up(upstream, live, **words):
    async with httpx.AsyncClient(transport=Impatient(upstream)) as impatient:
        with pytest.raises(openai.APITimeoutError):
            await live.with_options(http_client=impatient).chat.completions.create(**ASK, **words)


async def test_a_client_that_gives_up_waiting_pays_for_the_answer_it_did_not_wait_for(upstream, live, records):
    upstream.gate = asyncio.Event()
    await give_up(upstream, live)
    assert len(upstream.asked) == 1
    upstream.gate.set()
    async with asyncio.timeout(10):
        while not (events := await records()):
            pass
    assert [(event.outcome, event.cost_nano) for event in events] == [("client_disconnected", 3_100)]


async def test_with_a_key_a_client_that_gave_up_waiting_finds_the_answer_when_it_asks_again(upstream, live, records):
    upstream.gate = asyncio.Event()
    words = {"extra_headers": {"Idempotency-Key": "patience"}}
    await give_up(upstream, live, **words)
    upstream.gate.set()
    answer = await live.with_options(max_retries=5).chat.completions.create(**ASK, **words)
    assert answer.choices[0].message.content == "Hello from the upstream."
    assert [(event.outcome, event.cost_nano) for event in await records()] == [("completed", 3_100)]
    assert len(upstream.asked) == 1


async def test_a_recording_that_is_sent_again_under_its_key_is_written_down_once(upstream, live, records):
    async def ask(under):
        headers = {"Idempotency-Key": under}
        call = live.audio.transcriptions.with_raw_response.create
        return await call(model="assisters-whisper-v1", file=recording(), extra_headers=headers)

    first, again = await ask("once"), await ask("once")
    assert again.headers["idempotent-replayed"] == "true"
    assert first.parse() == again.parse()
    assert len(await records()) == 1


async def test_speech_that_is_asked_for_again_is_the_same_sound(upstream, live):
    async def ask():
        headers = {"Idempotency-Key": "sound"}
        return await live.audio.speech.with_raw_response.create(
            model="assisters-tts-v1", voice="alloy", input="Hello.", extra_headers=headers
        )

    first, again = await ask(), await ask()
    assert (again.headers["idempotent-replayed"], again.headers["content-type"]) == (
        "true",
        first.headers["content-type"],
    )
    assert first.content == again.content
    assert len(upstream.asked) == 1
