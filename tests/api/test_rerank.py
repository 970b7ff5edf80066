"""Rerank: documents in the order in which they answer, paid by the document."""

import openai
import pytest
from openai import BaseModel

from assisters_app.gateway.families import rerank

DOCUMENTS = [
    "Oslo is the capital of Norway.",
    "A cat sat on the mat.",
    {"text": "The capital of Norway has a harbour."},
]
ASK = {"model": "assisters-rerank-v1", "query": "capital of Norway", "documents": DOCUMENTS}
PRICE = 10_000  # nano-USD per document


class Found(BaseModel):
    """What comes back, as far as tests look."""

    model: str
    results: list[dict]
    usage: dict


async def ask(client, **more):
    """Ask with the official client, which has a door for addresses that it has no name for."""
    return await client.post("/rerank", body={**ASK, **more}, cast_to=Found)


async def test_the_sandbox_puts_what_shares_words_with_the_query_first(test_mode, records):
    found = await ask(test_mode)
    assert found.model == "assisters-rerank-v1"
    assert [one["index"] for one in found.results] == [0, 2, 1]
    assert found.results == (await ask(test_mode)).results
    [event, _] = await records()
    assert (event.units, event.unit, event.cost_nano) == (3, "document", 0)


async def test_only_so_many_are_given_back_with_their_text_when_asked(test_mode):
    found = await ask(test_mode, top_n=1, return_documents=True)
    assert found.results == [{"index": 0, "relevance_score": 1.0, "document": {"text": DOCUMENTS[0]}}]


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 40, "total_tokens": 40}])
async def test_an_upstreams_order_passes_through_and_each_document_is_charged(upstream, live, records, usage):
    upstream.usage = usage
    found = await ask(live, max_tokens_per_doc=100)
    assert [one["relevance_score"] for one in found.results] == [0.5, 0.5, 0.5]
    assert (upstream.asked[0]["max_tokens_per_doc"], upstream.asked[0]["documents"]) == (100, DOCUMENTS)
    [event] = await records()
    assert (event.endpoint, event.units, event.unit) == ("/v1/rerank", 3, "document")
    assert (event.cost_nano, event.estimated) == (3 * PRICE, usage is None)


async def test_a_long_document_counts_as_often_as_it_is_long(upstream, live, records):
    await ask(live, documents=["word " * (rerank.PIECE * 3)])
    await ask(live, documents=[{"text": "short", "body": "word " * rerank.PIECE}])
    assert [event.units for event in await records()] == [4, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": ""},
        {"query": 7},
        {"query": "x" * 32_001},
        {"documents": []},
        {"documents": "a text"},
        {"documents": [7]},
        {"documents": [{"title": "no text"}]},
        {"documents": ["a"] * 1_001},
        {"top_n": 0},
        {"return_documents": "yes"},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
async def test_what_cannot_be_ranked_is_refused_and_free(upstream, live, records, wrong):
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(live, **wrong)
    assert refused.value.param in wrong
    assert upstream.asked == []
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]


async def test_a_failing_upstream_is_free_here_too(upstream, live, records):
    upstream.status = 500
    with pytest.raises(openai.InternalServerError):
        await ask(live)
    [event] = await records()
    assert (event.outcome, event.units, event.cost_nano) == ("failed", 0, 0)
