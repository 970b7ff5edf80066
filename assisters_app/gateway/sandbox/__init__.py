"""The sandbox: answers in process when a key is a test key or no upstream is configured. Deterministic and free.

Tokens are counted with a real tokenizer, sound and pictures are real files, and every answer says where it comes from.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox import (
    chat,
    embeddings,
    images,
    moderations,
    rerank,
    responses,
    speech,
    transcriptions,
)
from assisters_app.gateway.upstream import Reply

ANSWERS: dict[str, Callable[[Any, Offer], Awaitable[Reply]]] = {  # each takes what its family sends
    "/chat/completions": chat.answer,
    "/responses": responses.answer,
    "/embeddings": embeddings.answer,
    "/moderations": moderations.answer,
    "/rerank": rerank.answer,
    "/audio/speech": speech.answer,
    "/audio/transcriptions": transcriptions.answer,
    "/images/generations": images.answer,
}
