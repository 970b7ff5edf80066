"""Speech in the sandbox: a soft tone as WAV or bare samples, silence as MP3; as long as the text is."""

import math
import struct
from array import array
from collections.abc import AsyncIterator, Mapping
from typing import Any

from assisters_app.base.errors import Refused
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import fail_as_told, streamed
from assisters_app.gateway.upstream import Reply, broken

RATE = 24_000  # samples a second, as OpenAI has it
A_CHARACTER = 1_200  # samples: a twentieth of a second
LONGEST = 10 * RATE  # samples
PITCH = 220.0
PIECE = 8_192  # bytes sent at once
SILENT_FRAME = b"\xff\xf3\x84\xc4" + bytes(188)  # MPEG-2 layer III, 64 kbit/s, 24 kHz, mono: 24 ms with nothing in it
FRAME = 576  # samples that it stands for
MADE = ("mp3", "wav", "pcm")


async def answer(body: Mapping[str, Any], _offer: Offer) -> Reply:
    """Answer with sound; raise Refused (400) for what only a model can make."""
    kind = body.get("response_format") or MADE[0]
    if kind not in MADE:
        sentence = f"The sandbox makes `mp3`, `wav` and `pcm`; `{kind}` needs a live key and a model."
        raise Refused(sentence, code="invalid_value", field="response_format")
    await fail_as_told(body["input"])
    length = min(len(body["input"]) * A_CHARACTER, LONGEST)
    return streamed(_pieces(_sound(kind, length), cut="sandbox:cut" in body["input"]))


def _sound(kind: str, length: int) -> bytes:
    if kind == "mp3":
        return SILENT_FRAME * -(-length // FRAME)
    samples = array("h", (round(3_000 * math.sin(2 * math.pi * PITCH * moment / RATE)) for moment in range(length)))
    tone = samples.tobytes()
    return tone if kind == "pcm" else _head(len(tone)) + tone


def _head(size: int) -> bytes:
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)  # whole samples of 16 bits, one channel
    return b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size)


async def _pieces(sound: bytes, *, cut: bool) -> AsyncIterator[bytes]:
    for start in range(0, len(sound), PIECE):
        if cut and start:
            raise broken()
        yield sound[start : start + PIECE]
