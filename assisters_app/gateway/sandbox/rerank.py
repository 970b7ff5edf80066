"""Rerank in the sandbox: documents that share words with the query come first."""

import re
from collections.abc import Mapping
from typing import Any

from assisters_app.gateway import tokens
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import Chunk, fail_as_told, id_of, reply
from assisters_app.gateway.upstream import Reply

WORD = re.compile(r"\w+")


async def answer(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer a rerank request, whose shape has been checked."""
    query: str = body["query"]
    await fail_as_told(query)
    texts = [one if isinstance(one, str) else one["text"] for one in body["documents"]]
    asked = _words(query)
    scores = [round(len(asked & _words(text)) / max(1, len(asked)), 6) for text in texts]
    ranked = sorted(range(len(texts)), key=lambda index: (-scores[index], index))[: body.get("top_n") or len(texts)]
    results: list[Chunk] = [{"index": index, "relevance_score": scores[index]} for index in ranked]
    if body.get("return_documents"):
        results = [{**one, "document": {"text": texts[one["index"]]}} for one in results]
    used = sum(tokens.count(query) + tokens.count(text) for text in texts)
    return reply(
        {
            "id": id_of([query, texts], "rerank-"),
            "object": "rerank",
            "model": offer.upstream_model,
            "results": results,
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
    )


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))
