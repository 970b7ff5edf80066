"""The official Node client talks to us as it talks to OpenAI."""

import asyncio
import base64
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from customers import key_of

SCRIPT = Path(__file__).resolve().parents[1] / "node" / "client.cjs"
PACKAGES = Path(sys.prefix) / "node" / "node_modules"


@pytest.fixture
def node(upstream, api, ada):
    """Have the client do one thing, with Ada's key unless told otherwise; return what it printed."""
    assert (PACKAGES / "openai").is_dir(), "`make test` installs the client"

    async def act(name, **more):
        told = {"act": name, "base": f"{api}/v1", "key": more.pop("key", None) or (await key_of(ada))[2], **more}
        program = Path(sys.executable).with_name("node")
        env = {"NODE_PATH": str(PACKAGES), "PATH": os.environ["PATH"]}
        child = await asyncio.create_subprocess_exec(
            program, SCRIPT, json.dumps(told), env=env, stdout=PIPE, stderr=PIPE
        )
        said, trouble = await asyncio.wait_for(child.communicate(), 60)
        assert child.returncode == 0, trouble.decode()
        return json.loads(said)

    return act


@pytest.fixture
async def test_key(ada):
    """A key of Ada's that reaches the sandbox."""
    return (await key_of(ada, mode="test"))[2]


async def test_an_answer_with_its_cost_and_its_id(node, records):
    told = (await node("chat"))["answer"]
    assert (told["content"], told["model"]) == ("Hello from the upstream.", "assisters-chat-v1")
    assert told["usage"]["total_tokens"] == 16
    assert told["id"] == told["headers"]["x-request-id"]
    assert told["headers"]["x-cost-usd"] == "0.000003100"
    assert [event.cost_nano for event in await records()] == [3_100]


async def test_a_stream_with_its_usage(node):
    told = (await node("stream"))["answer"]
    assert told["text"] == "Hello from the upstream."
    assert told["usage"]["completion_tokens"] == 5


async def test_tools_are_called(node):
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    [call] = (await node("tools", ask={"tools": [weather]}))["answer"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"city": "Oslo"})


async def test_vectors_come_as_numbers(node, upstream):
    [first, second] = (await node("embeddings", input=["a", "b"]))["answer"]
    assert first == second == pytest.approx([0.6, 0.8], abs=1e-6)
    assert upstream.asked[0]["encoding_format"] == "base64"  # the client's own choice, unpacked by it


async def test_the_newer_shape_comes_whole_and_as_typed_events(node, upstream):
    upstream.usage = {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16}
    told = (await node("responses"))["answer"]
    assert told["text"] == "Hello from the upstream."
    assert told["usage"]["output_tokens"] == 5
    assert (told["types"][0], told["types"][-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in told["types"]


async def test_json_is_given_where_it_was_asked_for(node, test_key):
    wanted = {"response_format": {"type": "json_object"}}
    answer = (await node("chat", key=test_key, ask=wanted))["answer"]
    assert json.loads(answer["content"])["you_said"] == "Hello"


async def test_texts_are_judged(node, test_key):
    assert (await node("moderations", key=test_key, input=["Hello", "sandbox:flagged"]))["answer"] == [False, True]


async def test_pictures_are_drawn(node, test_key):
    pictures = [base64.b64decode(one) for one in (await node("images", key=test_key))["answer"]]
    assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"] * 2


async def test_what_was_spoken_is_heard_again(node, test_key):
    spoken = (await node("speech", key=test_key))["answer"]
    assert spoken["kind"] == "audio/wav"
    assert "1 second" in (await node("transcription", key=test_key, sound=spoken["sound"]))["answer"]


async def test_models_are_listed_and_found(node):
    told = (await node("models"))["answer"]
    assert "assisters-chat-v1" in told["found"]
    assert told["one"] == told["found"][0]


async def test_what_the_client_has_no_name_for_is_asked_by_its_address(node):
    assert (await node("get", path="/wallet/balance"))["answer"]["balance"] == "1.000000000"


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        ({"key": "ask_wrong"}, ("AuthenticationError", 401, "invalid_api_key", None)),
        ({"ask": {"model": "gpt-99"}}, ("NotFoundError", 404, "model_not_found", "model")),
        ({"ask": {"n": 0}}, ("BadRequestError", 400, "invalid_value", "n")),
    ],
)
async def test_an_error_is_the_clients_own_kind_of_error(node, more, seen):
    told = await node("chat", **more)
    assert (told["error"], told["status"], told["code"], told["param"]) == seen
    assert told["id"].startswith("req_")


async def test_who_breaks_off_a_stream_pays_for_what_they_heard(node, upstream, records):
    upstream.continuous, upstream.gate, upstream.pause_after = True, asyncio.Event(), 2
    assert (await node("hangUp", after=2))["answer"] == ["Hello", " from"]
    await asyncio.wait_for(upstream.hung_up.wait(), 10)
    async with asyncio.timeout(10):
        while not (events := await records()):
            pass
    assert [(one.outcome, one.output_tokens) for one in events] == [("client_disconnected", 2)]


async def test_the_client_tries_again_and_then_gives_up(node, upstream):
    upstream.status = 500
    told = await node("chat", client={"maxRetries": 1})
    assert (told["error"], told["status"], told["code"]) == ("InternalServerError", 502, "upstream_error")
    assert len(upstream.asked) == 2


async def test_the_client_stops_waiting_when_it_was_told_to(node, upstream):
    upstream.gate = asyncio.Event()
    assert (await node("chat", client={"timeout": 300}))["error"] == "APIConnectionTimeoutError"
    upstream.gate.set()


async def test_a_repeat_under_a_key_gets_the_same_answer(node, upstream, ada):
    told = {"key": (await key_of(ada))[2], "headers": {"Idempotency-Key": "once"}}
    first, again = [(await node("chat", **told))["answer"] for _ in range(2)]
    assert again["headers"]["idempotent-replayed"] == "true"
    assert again["content"] == first["content"]
    assert len(upstream.asked) == 1
