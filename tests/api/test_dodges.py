"""Mallory tries to get more than she pays for; an upstream tells lies. Neither moves money it should not."""

import asyncio
import threading

import openai
import orjson
import pytest
from customers import key_of
from sqlalchemy import text

from assisters_app.api import bodies
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.gateway.calls import Call, GoneError
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import chat, streams
from assisters_app.gateway.families.answers import Tally
from assisters_app.gateway.gate import Gate

HELLO = [{"role": "user", "content": "Hello"}]
ASK = {"model": "assisters-chat-v1", "messages": HELLO}
DOCUMENTS = {"query": "a", "documents": ["b"]}
LONG = "several words that fill a page " * 1_000
OFFER = Offer("assisters-chat-v1", "chat", "Chat", "theirs", 128_000, 4_096, None, now(), None)


def held(**more):
    return chat.request({**ASK, **more}, OFFER).bound.input_tokens


@pytest.mark.parametrize(
    "hidden",
    [
        {"messages": [{"role": "user", "content": [LONG]}]},
        {"documents": [{"text": LONG}]},
        {"chat_template": LONG},
        {"tools": [{"type": "function", "function": {"name": "f", "description": LONG}}]},
    ],
)
def test_words_hidden_where_an_upstream_may_find_them_are_held_for(hidden):
    assert held(**hidden) > held() + 6_000


def test_a_second_limit_cannot_contradict_the_one_that_is_held_for():
    asked = chat.request({**ASK, "max_completion_tokens": 1, "max_tokens": 4_096}, OFFER)
    assert (asked.body["max_completion_tokens"], asked.bound.output_tokens) == (1, 1)
    assert "max_tokens" not in asked.body


@pytest.mark.parametrize(
    ("told", "charged"),  # input and output tokens; None when we have to count them ourselves
    [
        ({"prompt_tokens": 11, "completion_tokens": 2**63}, (11, 7)),
        ({"prompt_tokens": -5, "completion_tokens": -5}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({}, None),
    ],
)
async def test_a_usage_that_cannot_be_is_not_believed(upstream, live, records, told, charged):
    upstream.usage = told
    await live.chat.completions.create(**ASK, max_tokens=7)
    async for _ in await live.chat.completions.create(**ASK, max_tokens=7, stream=True):
        pass
    for event in await records():
        assert (event.outcome, event.estimated) == ("completed", charged is None)
        assert event.cost_nano > 0
        assert charged in (None, (event.input_tokens, event.output_tokens))


async def test_nobody_pays_for_more_input_than_was_held_for(upstream, live, records):
    upstream.usage = {"prompt_tokens": 2**63, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2**62}}
    await live.chat.completions.create(**ASK)
    [event] = await records()
    assert (event.input_tokens, event.cached_tokens, event.output_tokens) == (held(), held(), 1)


async def test_an_error_dressed_as_an_answer_is_free(upstream, live, records):
    upstream._with_usage = lambda _answer: {"error": {"message": "No."}}
    with pytest.raises(openai.InternalServerError):
        await live.chat.completions.create(**ASK)
    [event] = await records()
    assert (event.outcome, event.cost_nano) == ("failed", 0)


def chunk(delta, **more):
    return orjson.dumps({"choices": [{"index": 0, "delta": delta}], **more})


def follow(*payloads):
    tally = Tally(Call(None, "", model="x"), 11, shows_usage=False)
    for payload in payloads:
        tally.take(payload)
    return tally.so_far()


def test_who_hangs_up_on_a_stream_pays_for_what_came_after_the_last_usage_told():
    used = follow(chunk({"content": ""}, usage={"prompt_tokens": 12, "completion_tokens": 0}), chunk({"content": LONG}))
    assert (used.input_tokens, used.estimated) == (12, True)
    assert used.output_tokens > 5_000


def test_a_function_called_the_old_way_was_produced_too():
    assert follow(chunk({"function_call": {"name": "f", "arguments": "{}"}})).output_tokens > 0


@pytest.fixture
async def stuck(upstream, ada):
    """Stream to a caller who takes the first words and then no more; give the gate and the streaming."""
    gate = Gate()
    await gate.open()
    upstream.gate, upstream.pause_after = asyncio.Event(), 3
    grant = await gate.enter((await key_of(ada))[2])
    offer = gate.offer("assisters-chat-v1", "chat")
    taken = []

    async def send(data):
        taken.append(data)
        if len(taken) > 1:
            await asyncio.Event().wait()

    call = Call(grant, "/v1/chat/completions", model=offer.id, stream=True)
    yield lambda: streams.stream(gate, call, offer, chat.request({**ASK, "stream": True}, offer), send)
    await gate.close()


async def test_a_caller_who_stops_reading_pays_for_what_was_produced(stuck, records, monkeypatch):
    monkeypatch.setattr(streams, "TAKING_IN", 0.05)
    with pytest.raises(GoneError):
        await asyncio.wait_for(stuck(), 10)
    [event] = await records()
    assert event.outcome == "client_disconnected"
    assert event.cost_nano > 0


async def test_a_body_that_never_ends_is_not_waited_for(api, ada, monkeypatch):
    monkeypatch.setattr(bodies, "ARRIVES_WITHIN", 0.05)
    key, host = (await key_of(ada))[2], api.removeprefix("http://")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Length: 99"
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"{head}\r\n\r\n{{".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
    writer.close()
    await writer.wait_closed()
    assert b" 408 " in answer


@pytest.mark.parametrize(
    "dearer",
    [
        {"service_tier": "priority"},
        {"service_tier": "flex"},
        {"service_tier": 1},
        {"web_search_options": {}},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "alloy"}},
        {"models": ["the-dearest"]},
        {"best_of": 16},
        {"n_predict": 100_000},
        {"prediction": {"type": "content", "content": "a"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}]},
        {"tools": [{"type": ["function"]}]},
        {"tools": ["web_search"]},
    ],
    ids=str,
)
async def test_what_would_make_the_upstream_dearer_is_refused_and_says_which(upstream, live, records, dearer):
    with pytest.raises(openai.BadRequestError) as refused:
        await live.chat.completions.create(**ASK, extra_body=dearer)
    assert refused.value.param in dearer
    assert "price here" in str(refused.value)
    assert upstream.asked == []
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]


async def test_the_usual_tier_may_be_named_and_is_not_passed_on(upstream, live):
    for tier in ("auto", "default"):
        await live.chat.completions.create(**ASK, service_tier=tier)
    assert all("service_tier" not in asked for asked in upstream.asked)


def test_where_only_the_upstream_can_count_the_whole_context_is_held():
    by_address = {"type": "image_url", "image_url": {"url": "https://example.com/large.png"}}
    assert held(messages=[{"role": "user", "content": [by_address]}]) == OFFER.context_tokens
    assert held(messages=[{"role": "user", "content": LONG * 10}]) == OFFER.context_tokens


@pytest.mark.parametrize("where", ["messages", "metadata", "stream_options"])
async def test_a_body_nested_too_deeply_is_the_callers_mistake(upstream, live, records, where):
    deep = {}
    for _ in range(300):
        deep = {"a": deep}
    given = {"messages": [{"role": "user", "content": [deep]}]} if where == "messages" else {where: deep}
    with pytest.raises(openai.BadRequestError) as refused:
        await live.chat.completions.create(**ASK, extra_body={"stream": True, **given})
    assert refused.value.code == "invalid_json"
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]


@pytest.fixture
async def mispriced(stocked):
    """Price documents by the second, before anybody asks."""
    async with transaction() as tx:
        await tx.sql(text("UPDATE price SET unit = 'second', unit_nano = 1 WHERE model = 'assisters-rerank-v1'"))


async def test_a_model_priced_in_a_unit_that_it_does_not_count_is_not_for_sale(mispriced, upstream, live):
    with pytest.raises(openai.InternalServerError) as refused:
        await live.post("/rerank", body={**DOCUMENTS, "model": "assisters-rerank-v1"}, cast_to=object)
    assert refused.value.code == "model_without_price"


async def test_a_very_large_body_keeps_nobody_else_waiting(upstream, live, monkeypatch):
    threads, counted = [], chat.request

    def counting(*words):
        threads.append(threading.current_thread())
        return counted(*words)

    monkeypatch.setattr(chat, "request", counting)
    await live.chat.completions.create(**ASK)
    await live.chat.completions.create(**{**ASK, "messages": [{"role": "user", "content": "word " * 20_000}]})
    assert [one is threading.main_thread() for one in threads] == [True, False]
