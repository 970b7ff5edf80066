"""The official client talks to us as it talks to OpenAI, in the sandbox and through to an upstream."""

import asyncio
from decimal import Decimal
from functools import partial

import openai
import pytest
import upstream as double
from staleness import once

from assisters_app.accounts.tables import Organization
from assisters_app.api import exchange
from assisters_app.base import settings
from assisters_app.base.db import transaction
from assisters_app.base.valkey import announce
from assisters_app.gateway import tokens
from assisters_app.gateway.tables import Model

HELLO = [{"role": "user", "content": "Hello"}]
ASK = {"model": "assisters-chat-v1", "messages": HELLO}
PRICE = {"input": 100, "output": 400}  # nano-USD per token


def says(text, **more):
    return {**ASK, "messages": [{"role": "user", "content": text}], **more}


async def heard(stream):
    chunks = [chunk async for chunk in stream]
    return chunks, "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


# The sandbox


async def test_the_sandbox_answers_says_what_it_is_and_is_free(test_mode, records):
    raw = await test_mode.chat.completions.with_raw_response.create(**ASK)
    answer = raw.parse()
    assert "sandbox" in answer.choices[0].message.content
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "assisters-chat-v1")
    assert answer.usage.completion_tokens == tokens.count(answer.choices[0].message.content)
    assert raw.headers["x-cost-usd"] == "0.000000000"
    [event] = await records()
    assert (event.mode, event.cost_nano, event.outcome) == ("test", 0, "completed")
    assert (event.input_tokens, event.output_tokens) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert raw.headers["x-request-id"] == f"req_{event.request_id.hex}"


async def test_the_sandbox_streams_what_it_answers_as_a_whole(test_mode):
    whole = await test_mode.chat.completions.create(**ASK)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks, text = await heard(await test_mode.chat.completions.create(**ASK, **options))
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_sandbox_stops_where_it_was_told_to(test_mode, name):
    answer = await test_mode.chat.completions.create(**says("sandbox:long", **{name: 7}))
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 7)


async def test_the_sandbox_calls_a_tool_and_speaks_json_when_asked(test_mode):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    answer = await test_mode.chat.completions.create(**says("sandbox:tool", tools=[tool]))
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"
    chunks, _ = await heard(await test_mode.chat.completions.create(**says("sandbox:tool", tools=[tool], stream=True)))
    assert chunks[0].choices[0].delta.tool_calls[0].function.name == "weather"
    answer = await test_mode.chat.completions.create(**says("Hello", response_format={"type": "json_object"}))
    assert answer.choices[0].message.content == '{"sandbox":true,"you_said":"Hello"}'


async def test_the_sandbox_fails_in_each_way_a_client_must_handle(test_mode, records):
    with pytest.raises(openai.RateLimitError) as limited:
        await test_mode.chat.completions.create(**says("sandbox:rate-limit"))
    assert (limited.value.code, limited.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "1")
    with pytest.raises(openai.InternalServerError):
        await test_mode.chat.completions.create(**says("sandbox:error"))
    stream = await test_mode.chat.completions.create(**says("sandbox:cut", stream=True))
    with pytest.raises(openai.APIError):
        await heard(stream)
    assert [(one.outcome, one.status) for one in await records()] == [("failed", 429), ("failed", 500), ("failed", 502)]


async def test_without_an_upstream_live_keys_reach_the_sandbox_and_pay_nothing(live, records):
    answer = await live.chat.completions.create(**ASK)
    assert "sandbox" in answer.choices[0].message.content
    [event] = await records()
    assert (event.mode, event.cost_nano) == ("live", 0)


async def test_pictures_and_emoji_are_taken(test_mode):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "What is this? 👩‍👩‍👧‍👦"}, picture]
    ask = {"model": "assisters-vision-v1", "messages": [{"role": "user", "content": content}]}
    _, text = await heard(await test_mode.chat.completions.create(**ask, stream=True))
    assert "👩‍👩‍👧‍👦" in text


# An upstream


@pytest.mark.promise("1.5", "1.6")
async def test_an_answer_passes_through_and_is_charged_by_the_upstreams_usage(upstream, live, records):
    raw = await live.chat.completions.with_raw_response.create(**ASK, temperature=0.5, extra_body={"top_k": 3})
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello from the upstream."
    assert answer.model == "assisters-chat-v1"
    [asked] = upstream.asked
    assert (asked["temperature"], asked["top_k"], asked["model"]) == (0.5, 3, "assisters-chat-v1")
    assert asked["max_tokens"] == 4_096
    assert upstream.credentials == ["Bearer upstream-credential"]
    cost = 11 * PRICE["input"] + 5 * PRICE["output"]
    assert raw.headers["x-cost-usd"] == f"0.{cost:09d}"
    [event] = await records()
    assert (event.cost_nano, event.price_version, event.estimated) == (cost, 1, False)
    assert (event.endpoint, event.model, event.status) == ("/v1/chat/completions", "assisters-chat-v1", 200)
    assert (event.ip, event.user_agent[:11]) == ("127.0.0.1", "AsyncOpenAI")


async def test_tools_are_passed_through(upstream, live):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    answer = await live.chat.completions.create(**ASK, tools=[tool])
    assert upstream.asked[0]["tools"] == [tool]
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city":"Oslo"}'


@pytest.mark.parametrize("continuous", [False, True])
async def test_a_stream_is_metered_although_nobody_asked_for_usage(upstream, live, records, continuous):
    upstream.continuous = continuous
    chunks, text = await heard(await live.chat.completions.create(**ASK, stream=True))
    assert text == "Hello from the upstream."
    assert all(one.usage is None and one.choices for one in chunks)
    assert {one.model for one in chunks} == {"assisters-chat-v1"}
    assert upstream.asked[0]["stream_options"] == {"include_usage": True}
    [event] = await records()
    assert (event.input_tokens, event.output_tokens, event.stream, event.estimated) == (11, 5, True, False)
    assert event.first_token_ms is not None


async def test_a_caller_who_asks_for_usage_gets_it(upstream, live):
    chunks, _ = await heard(
        await live.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    )
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].choices) == (11, [])
    assert [one.usage for one in chunks[:-1]] == [None] * 6


@pytest.mark.parametrize("price", [True, False])
async def test_who_did_not_ask_for_the_usage_finds_the_cost_in_the_last_chunk(
    upstream, live, test_mode, records, price
):
    client = live if price else test_mode
    last = None
    async for chunk in await client.chat.completions.create(**ASK, stream=True):
        if chunk.choices[0].finish_reason:
            last, [event] = chunk, await records()  # the record is there before it
    assert (last.choices[0].finish_reason, last.usage) == ("stop", None)
    assert Decimal(str(last.cost)) == Decimal(event.cost_nano) / 10**9 == (COST if price else 0)


async def test_several_answers_at_once_end_each_for_itself_and_the_last_says_what_all_cost(test_mode):
    chunks = [one async for one in await test_mode.chat.completions.create(**ASK, n=3, stream=True)]
    ends = [(one.choices[0].index, hasattr(one, "cost")) for one in chunks if one.choices[0].finish_reason]
    assert ends == [(0, False), (1, False), (2, True)]


COST = Decimal(11 * PRICE["input"] + 5 * PRICE["output"]) / 10**9  # dollars


async def test_an_answer_says_what_it_cost(upstream, live):
    answer = await live.chat.completions.create(**ASK)
    assert Decimal(str(answer.usage.cost)) == COST
    embedded = await live.embeddings.create(model="assisters-embed-v1", input="Hello")
    assert Decimal(str(embedded.usage.cost)) == Decimal(11 * 20) / 10**9


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("told", [True, False])
async def test_the_last_chunk_says_what_the_stream_cost_and_comes_after_the_record(
    upstream, live, records, continuous, told
):
    upstream.continuous = continuous
    if not told:
        upstream.usage = None
    options = {"stream": True, "stream_options": {"include_usage": True}}
    async for chunk in await live.chat.completions.create(**ASK, **options):
        if not chunk.choices:
            [event] = await records()
            assert Decimal(str(chunk.usage.cost)) == Decimal(event.cost_nano) / 10**9
            assert (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) == (
                event.input_tokens,
                event.output_tokens,
            )
    assert not chunk.choices
    assert (Decimal(str(chunk.usage.cost)) == COST) is (told or continuous)


async def test_an_answer_without_usage_of_the_upstreams_shows_what_we_counted(upstream, live, records):
    upstream.usage = None
    answer = await live.chat.completions.create(**ASK)
    [event] = await records()
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (event.input_tokens, event.output_tokens)
    assert Decimal(str(answer.usage.cost)) == Decimal(event.cost_nano) / 10**9


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_without_usage_is_counted_by_us_and_said_so(upstream, live, records, stream):
    upstream.usage = None
    answer = await live.chat.completions.create(**ASK, stream=stream)
    if stream:
        await heard(answer)
    [event] = await records()
    assert event.estimated
    assert event.input_tokens == tokens.of_chat(ASK)
    assert event.output_tokens >= tokens.count("Hello from the upstream.")


async def test_cached_tokens_cost_less(upstream, live, records):
    upstream.usage = {
        "prompt_tokens": 100,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 80},
    }
    await live.chat.completions.create(**ASK)
    [event] = await records()
    assert (event.cached_tokens, event.cost_nano) == (80, 20 * 100 + 80 * 50 + 400)


@pytest.mark.parametrize(("status", "seen"), [(500, 502), (503, 502), (401, 502), (302, 502), (429, 503)])
async def test_an_upstreams_trouble_is_told_without_its_details_and_is_free(upstream, live, records, status, seen):
    upstream.status = status
    upstream.error = {"error": {"message": "secret detail of upstream-credential"}}
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as failed:
            await live.chat.completions.create(**ASK, stream=stream)
        assert failed.value.status_code == seen
        assert "secret" not in str(failed.value)
    assert [(one.outcome, one.cost_nano, one.status) for one in await records()] == [("failed", 0, seen)] * 2


async def test_an_upstreams_word_on_the_callers_mistake_reaches_the_caller(upstream, live):
    upstream.status = 400
    upstream.error = {"error": {"message": "Too long.", "code": "context_length_exceeded", "param": "messages"}}
    with pytest.raises(openai.BadRequestError) as failed:
        await live.chat.completions.create(**ASK)
    assert (failed.value.code, failed.value.param) == ("context_length_exceeded", "messages")
    assert "Too long." in str(failed.value)


async def test_an_upstream_that_talks_nonsense_is_a_bad_gateway(upstream, live):
    upstream.status, upstream.error = 400, b"<html>"
    with pytest.raises(openai.InternalServerError):
        await live.chat.completions.create(**ASK)


async def test_a_stream_cut_by_the_upstream_ends_with_an_error_and_is_free(upstream, live, records):
    upstream.cut_after = 2
    stream = await live.chat.completions.create(**ASK, stream=True)
    with pytest.raises(openai.APIError) as failed:
        await heard(stream)
    assert failed.value.code == "upstream_error"
    [event] = await records()
    assert (event.outcome, event.status, event.cost_nano) == ("failed", 502, 0)


async def test_an_upstream_that_is_not_there_is_a_bad_gateway(upstream, live, monkeypatch):
    from assisters_app.base import settings

    monkeypatch.setenv("UPSTREAM_BASE_URL", "http://127.0.0.1:9/v1")
    settings.settings.cache_clear()
    with pytest.raises(openai.InternalServerError) as failed:
        await live.chat.completions.create(**ASK)
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_error")


# Hanging up


async def hang_up_after(upstream, live, words):
    upstream.gate, upstream.pause_after = asyncio.Event(), words
    stream = await live.chat.completions.create(**ASK, stream=True)
    for _ in range(words):
        await anext(stream)
    await stream.close()
    await asyncio.wait_for(upstream.hung_up.wait(), 10)


async def test_a_caller_who_hangs_up_pays_for_what_was_produced(upstream, live, records):
    upstream.continuous = True
    await hang_up_after(upstream, live, 2)
    event = await first(records)
    assert (event.outcome, event.input_tokens, event.output_tokens) == ("client_disconnected", 11, 2)
    assert (event.estimated, event.cost_nano) == (False, 11 * 100 + 2 * 400)


@pytest.fixture
def counting(upstream, monkeypatch):
    """Have the upstream count as it speaks for who asks, as the settings say that it can."""
    upstream.can_count = True
    monkeypatch.setenv("UPSTREAM_CONTINUOUS_USAGE", "1")
    settings.settings.cache_clear()


async def test_an_upstream_that_can_is_asked_to_count_as_it_speaks(counting, upstream, live, records):
    await hang_up_after(upstream, live, 2)
    event = await first(records)
    assert (event.outcome, event.estimated, event.cost_nano) == ("client_disconnected", False, 11 * 100 + 2 * 400)


@pytest.mark.parametrize(
    "asked", [{}, {"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True}]
)
async def test_of_what_an_upstream_counts_a_caller_sees_what_they_asked_for(counting, upstream, live, records, asked):
    options = {"stream_options": asked} if asked else {}
    chunks, _ = await heard(await live.chat.completions.create(**ASK, stream=True, **options))
    assert upstream.asked[0]["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    told = [one.usage is not None for one in chunks]
    assert told == [len(asked) == 2] * 5 + [False] + [True] * bool(asked)
    [event] = await records()
    assert (event.output_tokens, event.estimated) == (5, False)


@pytest.mark.parametrize("usage", [{"prompt_tokens": 11, "completion_tokens": 0}, None])
async def test_an_answer_in_which_nothing_is_said_costs_nothing(upstream, live, records, usage):
    upstream.words, upstream.usage = (), usage
    assert (await live.chat.completions.create(**ASK)).choices[0].message.content == ""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks, _ = await heard(await live.chat.completions.create(**ASK, **options))
    assert chunks[-1].usage.cost == 0
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("completed", 0)] * 2


SHOWING = {"stream": True, "stream_options": {"include_usage": True}}


async def told(live, **more):
    """Return the usage that a whole answer tells, and the one that a stream does."""
    whole = await live.chat.completions.create(**ASK, **more)
    chunks, _ = await heard(await live.chat.completions.create(**ASK, **SHOWING, **more))
    return [whole.usage, chunks[-1].usage]


@pytest.mark.parametrize(
    ("usage", "more"),
    [
        ({"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11}, {}),
        ({"prompt_tokens": 11, "completion_tokens": 2**40, "completion_tokens_details": {"a": 1}}, {"max_tokens": 7}),
        ({"prompt_tokens": 2**40, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2**39}}, {}),
        ({"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 99}, {}),
        ({"prompt_tokens": 11, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}, {}),
        ({"prompt_tokens": 11, "completion_tokens": 5, "estimated": True}, {}),
        ("many", {}),
    ],
    ids=str,
)
async def test_a_caller_sees_the_usage_that_they_are_charged_for_whatever_an_upstream_tells(
    upstream, live, records, usage, more
):
    upstream.usage = usage
    shown = await told(live, **more)
    for seen, event in zip(shown, await records(), strict=True):
        assert (seen.prompt_tokens, seen.completion_tokens) == (event.input_tokens, event.output_tokens)
        assert seen.total_tokens == event.input_tokens + event.output_tokens
        cached = seen.prompt_tokens_details.cached_tokens if seen.prompt_tokens_details else 0
        assert (cached, seen.completion_tokens_details) == (event.cached_tokens, None)
        assert getattr(seen, "estimated", False) == event.estimated == (more == {} and usage != upstream_counts(usage))
        assert Decimal(str(seen.cost)) == Decimal(event.cost_nano) / 10**9 > 0


def upstream_counts(usage):
    """Return `usage` when it tells of input and output."""
    return usage if isinstance(usage, dict) and usage["completion_tokens"] else None


async def test_of_a_usage_that_is_right_a_caller_sees_every_detail(upstream, live):
    details = {"prompt_tokens_details": {"cached_tokens": 4, "own": 1}, "completion_tokens_details": {"own": 2}}
    shared = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16, **details, "own": 3}
    upstream.usage = {**shared, "cost_details": {"upstream_inference_cost": 0.1}}  # what it charges us is not shown
    for seen in await told(live):
        shown = seen.to_dict()
        assert shown.pop("cost") > 0
        assert shown == shared


async def test_who_says_something_and_tells_of_no_output_is_not_believed(upstream, live, records):
    upstream.usage = {"prompt_tokens": 11, "completion_tokens": 0}
    await told(live)
    said = tokens.count("Hello from the upstream.")
    assert [(one.input_tokens, one.output_tokens, one.estimated) for one in await records()] == [(11, said, True)] * 2


LONG = "Words that somebody thought of. " * 20


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"audio": {"id": "audio_1", "data": "UklGRg==" * 500, "transcript": LONG, "expires_at": 1}}, LONG),
        ({"of_their_own": [{"deeper": {"still": LONG}}], "signature": "x" * 500}, LONG),
        ({"reasoning": LONG, "reasoning_details": [{"type": "reasoning.text", "text": LONG}]}, LONG),
        ({"reasoning": LONG, "reasoning_details": [{"type": "reasoning.encrypted", "data": "x" * 5_000}]}, LONG),
        ({"reasoning_content": LONG, "thinking_blocks": [{"thinking": LONG, "signature": "x"}]}, LONG),
        ({"reasoning_content": LONG, "provider_specific_fields": {"reasoning_content": LONG}}, LONG),
        ({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": LONG}}}]}, f'f{{"a":"{LONG}"}}'),
        ({"note": f"data: {LONG}"}, f"data: {LONG}"),
        ({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 500}}]}, ""),
        ({"drawn": "data:image/svg+xml;charset=utf-8;base64," + "A+/" * 500 + "=="}, ""),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
async def test_what_is_said_in_fields_of_an_upstreams_own_counts_once_and_sound_is_no_text(
    upstream, live, records, own, said
):
    upstream.usage, upstream.own = None, own
    for seen in await told(live):
        assert seen.completion_tokens == tokens.count("Hello from the upstream." + said)
    assert [one.estimated for one in await records()] == [True] * 2


async def test_a_model_is_answered_by_the_upstream_that_it_names_and_no_other_sees_its_credential(
    upstream, ada, live, monkeypatch
):
    async with transaction() as tx:  # so that no limit ends the waiting below
        (await tx.get_one(Organization, ada.organization_id)).plan = "startup"
    async with double.running() as second:
        monkeypatch.setenv("UPSTREAMS", "second")
        monkeypatch.setenv("UPSTREAM_SECOND_BASE_URL", second.url)
        monkeypatch.setenv("UPSTREAM_SECOND_API_KEY", "of the second")
        settings.settings.cache_clear()
        await answered_by("second")
        await once(lambda _: second.asked, partial(live.chat.completions.create, **ASK))
        await live.chat.completions.create(**{**ASK, "model": "assisters-vision-v1"})
        assert set(second.credentials) == {"Bearer of the second"}
        assert set(upstream.credentials) == {"Bearer upstream-credential"}
        assert upstream.asked[-1]["model"] == "assisters-vision-v1"
        await answered_by("a third")
        with pytest.raises(openai.InternalServerError) as refused:  # noqa: PT012 (until it is known here)
            while True:
                await live.chat.completions.create(**ASK)
        assert (refused.value.status_code, refused.value.code) == (503, "model_without_upstream")


async def answered_by(name):
    async with transaction() as tx:
        (await tx.get_one(Model, "assisters-chat-v1")).upstream = name
        tx.afterwards(partial(announce, "model", "assisters-chat-v1"))


async def test_what_a_caller_who_hangs_up_got_is_counted_by_us_when_the_upstream_did_not(upstream, live, records):
    await hang_up_after(upstream, live, 3)
    event = await first(records)
    assert (event.outcome, event.estimated) == ("client_disconnected", True)
    assert event.output_tokens == tokens.count("Hello from the")


async def test_a_caller_who_hangs_up_before_the_first_token_pays_nothing(upstream, live, records):
    upstream.words = ()
    upstream.gate, upstream.pause_after = asyncio.Event(), None
    asking = asyncio.ensure_future(live.chat.completions.create(**ASK, stream=True))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    asking.cancel()
    event = await first(records)
    assert (event.outcome, event.cost_nano, event.output_tokens) == ("client_disconnected", 0, 0)


async def test_a_caller_who_hangs_up_on_a_whole_answer_pays_for_it(upstream, live, records, monkeypatch):
    noticed, notice = asyncio.Event(), exchange.whether_gone

    async def noticing(*words):
        await notice(*words)
        noticed.set()

    monkeypatch.setattr(exchange, "whether_gone", noticing)
    upstream.gate = asyncio.Event()
    asking = asyncio.ensure_future(live.chat.completions.create(**ASK))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    asking.cancel()
    await asyncio.wait_for(noticed.wait(), 10)
    upstream.gate.set()
    event = await first(records)
    assert (event.outcome, event.output_tokens, event.cost_nano) == ("client_disconnected", 5, 3_100)


async def first(records):
    async with asyncio.timeout(10):
        while not (found := await records()):  # noqa: ASYNC110 (the record lies in Valkey; no event tells us)
            await asyncio.sleep(0.01)
    [event] = found
    return event
