"""The Responses API through the official client, whole and as typed events."""

import asyncio
import json

import openai
import pytest

from assisters_app.base.clock import now
from assisters_app.gateway import tokens
from assisters_app.gateway.calls import Call, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import responses
from assisters_app.gateway.families.responses import Following

ASK = {"model": "assisters-chat-v1", "input": "Hello"}
PRICE = {"input": 100, "output": 400}  # nano-USD per token
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 16,
}
COST = 7 * 100 + 4 * 50 + 5 * 400


async def heard(stream, seen=None):
    seen = [] if seen is None else seen
    async for event in stream:
        seen.append(event)
    return seen


# The sandbox


async def test_the_sandbox_answers_in_the_newer_shape_and_is_free(test_mode, records):
    answer = await test_mode.responses.create(**ASK, instructions="Be kind.")
    assert "sandbox" in answer.output_text
    assert (answer.status, answer.model, answer.instructions) == ("completed", "assisters-chat-v1", "Be kind.")
    assert answer.usage.output_tokens == tokens.count(answer.output_text)
    [event] = await records()
    assert (event.endpoint, event.mode, event.cost_nano) == ("/v1/responses", "test", 0)
    assert (event.input_tokens, event.output_tokens) == (answer.usage.input_tokens, answer.usage.output_tokens)
    assert (await test_mode.responses.create(**ASK, instructions="Be kind.")).id == answer.id


async def test_the_sandbox_streams_typed_events_in_order(test_mode):
    whole = await test_mode.responses.create(**ASK)
    events = await heard(await test_mode.responses.create(**ASK, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events[4:-4]) == whole.output_text
    assert events[-1].response.output_text == whole.output_text
    assert events[-1].response.usage.total_tokens == whole.usage.total_tokens


async def test_the_helper_of_the_official_client_reads_the_stream(test_mode):
    async with test_mode.responses.stream(**ASK) as stream:
        final = await stream.get_final_response()
    assert "sandbox" in final.output_text


async def test_the_sandbox_stops_calls_tools_and_speaks_json_as_asked(test_mode):
    cut = await test_mode.responses.create(**{**ASK, "input": "sandbox:long"}, max_output_tokens=16)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.usage.output_tokens == 16
    item = [{"role": "user", "content": [{"type": "input_text", "text": "sandbox:tool"}]}]
    called = await test_mode.responses.create(**{**ASK, "input": item}, tools=[TOOL])
    assert (called.output[0].type, called.output[0].name, called.output[0].arguments) == (
        "function_call",
        "weather",
        "{}",
    )
    events = await heard(await test_mode.responses.create(**{**ASK, "input": item}, tools=[TOOL], stream=True))
    assert "response.function_call_arguments.delta" in [event.type for event in events]
    spoken = await test_mode.responses.create(**ASK, text={"format": {"type": "json_object"}})
    assert spoken.output_text == '{"sandbox":true,"you_said":"Hello"}'


async def test_the_sandbox_fails_in_each_way_a_client_must_handle(test_mode, records):
    with pytest.raises(openai.RateLimitError):
        await test_mode.responses.create(**{**ASK, "input": "sandbox:rate-limit"})
    stream = await test_mode.responses.create(**{**ASK, "input": "sandbox:cut"}, stream=True)
    with pytest.raises(openai.APIError):
        await heard(stream)
    assert [(one.outcome, one.status) for one in await records()] == [("failed", 429), ("failed", 502)]


# An upstream


async def test_an_answer_passes_through_bounded_unkept_and_charged(upstream, live, records):
    upstream.usage = USAGE
    asked = [{"role": "user", "content": "Hello"}]
    raw = await live.responses.with_raw_response.create(
        **{**ASK, "input": asked}, tools=[TOOL], temperature=0.5, store=True, extra_body={"top_k": 3}
    )
    answer = raw.parse()
    assert (answer.output_text, answer.model) == ("Hello from the upstream.", "assisters-chat-v1")
    assert answer.usage.cost == COST / 10**9
    assert raw.headers["x-cost-usd"] == f"0.{COST:09d}"
    [sent] = upstream.asked
    assert (sent["input"], sent["tools"], sent["temperature"], sent["top_k"]) == (asked, [TOOL], 0.5, 3)
    assert (sent["max_output_tokens"], sent["store"]) == (4_096, False)
    [event] = await records()
    assert (event.input_tokens, event.cached_tokens, event.output_tokens, event.estimated) == (11, 4, 5, False)
    assert (event.cost_nano, event.stream) == (COST, False)


@pytest.mark.parametrize("ends_as", ["completed", "incomplete"])
async def test_a_stream_passes_through_and_its_last_event_says_what_it_cost(upstream, live, records, ends_as):
    upstream.usage, upstream.ends_as = USAGE, ends_as
    events = await heard(await live.responses.create(**ASK, stream=True, max_output_tokens=50))
    assert "".join(event.delta for event in events if event.type.endswith("delta")) == "Hello from the upstream."
    assert events[-1].type == f"response.{ends_as}"
    assert {event.response.model for event in (events[0], events[-1])} == {"assisters-chat-v1"}
    assert events[-1].response.usage.cost == COST / 10**9
    assert upstream.asked[0]["max_output_tokens"] == 50
    [event] = await records()
    assert (event.outcome, event.cost_nano, event.stream) == ("completed", COST, True)
    assert event.first_token_ms is not None


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_without_usage_is_counted_by_us_and_said_so(upstream, live, records, stream):
    upstream.usage = None
    answer = await live.responses.create(**ASK, stream=stream)
    last = (await heard(answer))[-1].response if stream else answer
    [event] = await records()
    assert event.estimated
    assert event.input_tokens == last.usage.input_tokens == tokens.of_response(ASK)
    assert event.output_tokens == last.usage.output_tokens >= tokens.count("Hello from the upstream.")


@pytest.mark.parametrize("usage", [{"prompt_tokens": 11, "completion_tokens": 0}, None])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_in_which_nothing_is_said_costs_nothing(upstream, live, records, usage, stream):
    upstream.words, upstream.usage = (), usage
    answer = await live.responses.create(**ASK, stream=stream)
    last = (await heard(answer))[-1].response if stream else answer
    assert last.usage.cost == 0
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("completed", 0)]


@pytest.mark.parametrize("stream", [False, True])
async def test_who_says_something_and_tells_of_no_output_is_not_believed_nor_passed_on(upstream, live, records, stream):
    upstream.usage = {"input_tokens": 11, "output_tokens": 0, "total_tokens": 11}
    answer = await live.responses.create(**ASK, stream=stream)
    seen = ((await heard(answer))[-1].response if stream else answer).usage
    said = tokens.count("Hello from the upstream.")
    assert (seen.input_tokens, seen.output_tokens, seen.total_tokens, seen.estimated) == (11, said, 11 + said, True)
    [event] = await records()
    assert (event.output_tokens, event.estimated, event.cost_nano) == (said, True, 11 * 100 + said * 400)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_only_the_whole_items_of_an_answer_say_counts_too(upstream, live, records, stream):
    upstream.usage, upstream.own = None, {"of_their_own": {"deeper": "Words that somebody thought of. " * 20}}
    answer = await live.responses.create(**ASK, stream=stream)
    seen = ((await heard(answer))[-1].response if stream else answer).usage
    said = tokens.count("Hello from the upstream." + upstream.own["of_their_own"]["deeper"])
    assert seen.output_tokens == said
    assert [one.output_tokens for one in await records()] == [said]


async def test_an_upstream_without_this_address_says_so(upstream, live, records):
    upstream.status, upstream.error = 404, {"error": {"message": "Not Found", "code": "not_found"}}
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError):
            await live.responses.create(**ASK, stream=stream)
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("failed", 0)] * 2


@pytest.mark.parametrize("trouble", [{"cut_after": 2}, {"ends_as": "failed"}], ids=str)
async def test_a_stream_that_fails_on_the_way_ends_with_an_error_and_is_free(upstream, live, records, trouble):
    for name, value in trouble.items():
        setattr(upstream, name, value)
    seen = []
    with pytest.raises(openai.APIError) as failed:
        await heard(await live.responses.create(**ASK, stream=True), seen)
    assert failed.value.code == "upstream_error"
    kinds = {event.type for event in seen}
    assert kinds == {"response.created", "response.output_text.delta"}  # nothing of what the upstream said of it
    assert [(one.outcome, one.status, one.cost_nano) for one in await records()] == [("failed", 502, 0)]


async def test_a_caller_who_hangs_up_pays_for_what_was_produced(upstream, live, records):
    upstream.gate, upstream.pause_after = asyncio.Event(), 3
    stream = await live.responses.create(**ASK, stream=True)
    for _ in range(4):
        await anext(stream)
    await stream.close()
    await asyncio.wait_for(upstream.hung_up.wait(), 10)
    async with asyncio.timeout(10):
        while not (found := await records()):  # noqa: ASYNC110 (the record lies in Valkey; no event tells us)
            await asyncio.sleep(0.01)
    [event] = found
    assert (event.outcome, event.estimated) == ("client_disconnected", True)
    assert event.output_tokens == tokens.count("Hello from the")
    assert event.cost_nano == event.input_tokens * 100 + event.output_tokens * 400


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"input": ""}, "invalid_value"),
        ({"input": None}, "invalid_value"),
        ({"input": []}, "invalid_value"),
        ({"input": ["Hello"]}, "invalid_value"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "invalid_value"),
        ({"instructions": 7}, "invalid_value"),
        ({"max_output_tokens": 0}, "invalid_value"),
        ({"stream": "yes"}, "invalid_value"),
        ({"text": "json"}, "invalid_value"),
        ({"tools": {}}, "invalid_value"),
        ({"tools": ["web_search"]}, "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_parameter"),
        ({"tools": [TOOL, {"type": "code_interpreter"}]}, "unsupported_parameter"),
        ({"previous_response_id": "resp_1"}, "unsupported_parameter"),
        ({"conversation": "conv_1"}, "unsupported_parameter"),
        ({"prompt": {"id": "pmpt_1"}}, "unsupported_parameter"),
        ({"background": True}, "unsupported_parameter"),
        ({"service_tier": "priority"}, "unsupported_parameter"),
    ],
    ids=lambda wrong: str(wrong)[:40],
)
async def test_what_cannot_be_asked_is_refused_named_and_free(upstream, live, records, wrong, code):
    with pytest.raises(openai.BadRequestError) as refused:
        await live.post("/responses", body={**ASK, **wrong}, cast_to=object)
    assert (refused.value.code, refused.value.param) == (code, next(iter(wrong)))
    assert upstream.asked == []
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]


OFFER = Offer("assisters-chat-v1", "chat", "Chat", "theirs", 128_000, 4_096, None, now(), None)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": "https://example.com/1.png"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": {}},
        {"type": "computer_screenshot", "image_url": "https://example.com/1.png"},
    ],
    ids=lambda part: part["type"],
)
def test_where_only_the_upstream_can_count_the_whole_context_is_held(part):
    for item in (
        {"role": "user", "content": [part]},
        {"type": "function_call_output", "call_id": "1", "output": [part]},
    ):
        assert responses.request({**ASK, "input": [item]}, OFFER).bound.input_tokens == OFFER.context_tokens


def test_what_is_said_anywhere_is_held_for():
    long = "several words that fill a page " * 1_000
    for more in ({"instructions": long}, {"tools": [{**TOOL, "description": long}]}, {"input": [{"output": [long]}]}):
        bound = responses.request({**ASK, **more}, OFFER).bound
        assert bound.input_tokens > 30_000
        assert bound.counted > 6_000


def test_who_hangs_up_pays_for_all_that_was_said_and_not_for_what_was_told_before():
    following = Following(Call(None, "", model="x"), 11)
    usage = {"input_tokens": 12, "output_tokens": 1, "total_tokens": 13}
    following.take(json.dumps({"type": "response.in_progress", "response": {"usage": usage, "output": []}}).encode())
    assert following.so_far() == Usage(12, 0, 1, estimated=True)
    words = "Words that somebody thought of. " * 20
    following.take(json.dumps({"type": "response.output_text.delta", "delta": words}).encode())
    assert following.so_far() == Usage(12, 0, tokens.count(words), estimated=True)
    last = {"usage": {**usage, "output_tokens": 7}, "output": []}
    following.take(json.dumps({"type": "response.completed", "response": last}).encode())
    assert following.so_far() == Usage(12, 0, 7)
