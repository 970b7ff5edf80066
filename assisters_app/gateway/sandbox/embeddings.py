"""Embeddings in the sandbox: unit vectors that depend on the input alone."""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from assisters_app.gateway import tokens
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import fail_as_told, reply
from assisters_app.gateway.upstream import Reply


async def answer(body: Mapping[str, Any], offer: Offer) -> Reply:
    """Answer an embeddings request, whose shape has been checked."""
    given = tokens.inputs(body["input"])
    await fail_as_told(given[-1] if isinstance(given[-1], str) else "")
    size = body.get("dimensions") or offer.dimensions or 1
    as_text = body.get("encoding_format") == "base64"
    vectors = [_vector(one, size) for one in given]
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if as_text else vector}
        for index, vector in enumerate(vectors)
    ]
    used = tokens.of_embeddings(body["input"])
    usage = {"prompt_tokens": used, "total_tokens": used}
    return reply({"object": "list", "data": data, "model": offer.upstream_model, "usage": usage})


def _vector(given: Any, size: int) -> list[float]:  # noqa: ANN401 (a text or a list of tokens)
    seed = orjson.dumps(given)
    numbers_ = struct.unpack(f">{size}I", hashlib.shake_256(seed).digest(4 * size))
    raw = [number / 2**31 - 1 for number in numbers_]
    length = math.hypot(*raw) or 1.0
    return [value / length for value in raw]


def _packed(vector: Sequence[float]) -> str:
    """Return a vector as OpenAI packs it: little-endian 32-bit floats in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
