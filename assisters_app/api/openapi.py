"""GET /v1/openapi.json: what the API is. For everybody, without a key."""

import functools
import hashlib

import orjson

from assisters_app.api.exchange import Exchange
from assisters_app.base.settings import settings
from assisters_app.openapi.document import document

PATH = "/v1/openapi.json"
CACHING = b"public, max-age=300"


async def whole(exchange: Exchange) -> None:
    """Send the document, or 304 to whoever has it."""
    body, tag = _written(settings().public_url)
    known = tag.decode() in exchange.header(b"if-none-match")
    status, sent = (304, b"") if known else (200, body)
    await exchange.reply(status, sent, [(b"etag", tag), (b"access-control-allow-origin", b"*")], caching=CACHING)


@functools.cache
def _written(base: str) -> tuple[bytes, bytes]:
    body = orjson.dumps(document(base))
    return body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'.encode()
