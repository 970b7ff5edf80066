"""Moderations in the sandbox: nothing is harmful but what says `sandbox:flagged`, which is found to be violence."""

from collections.abc import Mapping
from typing import Any

from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import Chunk, fail_as_told, id_of, reply
from assisters_app.gateway.upstream import Reply

CATEGORIES = (  # OpenAI's, which its clients have fields for
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


async def answer(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer a moderation request, whose shape has been checked: a result for each text, one for all parts."""
    given = body["input"]
    texts = [given] if isinstance(given, str) else [one for one in given if isinstance(one, str)]
    results = [_result(text, ["text"]) for text in texts] or [_of_parts(given)]
    await fail_as_told(texts[-1] if texts else _text(given))
    return reply({"id": id_of(given, "modr-"), "model": offer.upstream_model, "results": results})


def _of_parts(parts: list[Chunk]) -> Chunk:
    kinds = {"image" if part["type"] == "image_url" else "text" for part in parts}
    return _result(_text(parts), sorted(kinds))


def _text(parts: list[Chunk]) -> str:
    return " ".join(part["text"] for part in parts if part["type"] == "text")


def _result(text: str, kinds: list[str]) -> Chunk:
    flagged = "sandbox:flagged" in text
    found = {name: flagged and name == "violence" for name in CATEGORIES}
    return {
        "flagged": flagged,
        "categories": found,
        "category_scores": {name: 0.99 if harmful else 0.0001 for name, harmful in found.items()},
        "category_applied_input_types": dict.fromkeys(CATEGORIES, kinds),
    }
