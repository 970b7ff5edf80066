"""Embeddings through the official client, as floats and as base64."""

import math

import openai
import pytest

ASK = {"model": "assisters-embed-v1", "input": "Hello"}


async def test_the_sandbox_gives_the_same_unit_vector_in_both_encodings(test_mode):
    packed = await test_mode.embeddings.create(**ASK)
    plain = await test_mode.embeddings.create(**ASK, encoding_format="float")
    vector = plain.data[0].embedding
    assert len(vector) == 1_024
    assert math.hypot(*vector) == pytest.approx(1)
    assert packed.data[0].embedding == pytest.approx(vector, abs=1e-6)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == 1
    other = await test_mode.embeddings.create(**{**ASK, "input": "Goodbye"}, encoding_format="float")
    assert abs(sum(a * b for a, b in zip(vector, other.data[0].embedding, strict=True))) < 0.2


async def test_what_the_sandbox_gives_says_so_though_a_vector_cannot(test_mode, live):
    for client in (test_mode, live):  # without an upstream, live keys reach it too
        raw = await client.embeddings.with_raw_response.create(**ASK)
        assert raw.headers["x-sandbox"] == "true"


async def test_many_texts_tokens_and_shorter_vectors(test_mode):
    many = await test_mode.embeddings.create(**{**ASK, "input": ["a", "b", "c"]}, dimensions=8)
    assert [(one.index, len(one.embedding)) for one in many.data] == [(0, 8), (1, 8), (2, 8)]
    as_tokens = await test_mode.embeddings.create(**{**ASK, "input": [[1, 2], [3]]})
    assert (len(as_tokens.data), as_tokens.usage.prompt_tokens) == (2, 3)
    assert len((await test_mode.embeddings.create(**{**ASK, "input": [1, 2, 3]})).data) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": []},
        {"input": ["a", 1]},
        {"input": ["a", ""]},
        {"input": {"a": 1}},
        {"input": None},
        {"input": [[]]},
        {"input": ["a"] * 2_049},
        {"dimensions": 1_025},
        {"dimensions": 0},
        {"encoding_format": "hex"},
    ],
    ids=str,
)
async def test_what_cannot_be_embedded_is_refused(test_mode, records, wrong):
    with pytest.raises(openai.BadRequestError) as refused:
        await test_mode.embeddings.create(**{**ASK, **wrong})
    assert refused.value.param in wrong
    assert [(one.outcome, one.status, one.cost_nano) for one in await records()] == [("refused", 400, 0)]


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_an_upstreams_vectors_pass_through_and_are_charged(upstream, live, records, encoding):
    upstream.usage = {"prompt_tokens": 7, "total_tokens": 7}
    found = await live.embeddings.create(**{**ASK, "input": ["a", "b"]}, encoding_format=encoding)
    assert upstream.asked[0]["encoding_format"] == encoding
    assert found.model == "assisters-embed-v1"
    assert len(found.data) == 2
    if encoding == "float":
        assert found.data[1].embedding == [0.6, 0.8]
    [event] = await records()
    assert (event.endpoint, event.input_tokens, event.cost_nano) == ("/v1/embeddings", 7, 7 * 20)
