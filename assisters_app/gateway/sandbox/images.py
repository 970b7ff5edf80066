"""Images in the sandbox: small pictures in a colour that depends on the prompt alone."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from assisters_app.base.clock import now
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import SAYS, Chunk, fail_as_told, reply
from assisters_app.gateway.upstream import Reply

SIDE = 64  # dots, whatever size was asked for


async def answer(body: Mapping[str, Any], _offer: Offer) -> Reply:
    """Answer a request for images, whose shape has been checked."""
    prompt: str = body["prompt"]
    await fail_as_told(prompt)
    pictures = [base64.b64encode(_picture(f"{number}:{prompt}")).decode() for number in range(body.get("n") or 1)]
    in_base64 = body.get("response_format") == "b64_json"
    return reply(
        {"created": int(now().timestamp()), "data": [_one(picture, in_base64=in_base64) for picture in pictures]}
    )


def _one(picture: str, *, in_base64: bool) -> Chunk:
    found = {"b64_json": picture} if in_base64 else {"url": f"data:image/png;base64,{picture}"}
    return {**found, "revised_prompt": SAYS}


def _picture(seed: str) -> bytes:
    """Return a PNG: one colour that fades to white."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    rows = b"".join(b"\0" + bytes(255 - (255 - part) * row // SIDE for part in colour) * SIDE for row in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)  # eight bits each of red, green and blue
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, content) for name, content in parts)


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
