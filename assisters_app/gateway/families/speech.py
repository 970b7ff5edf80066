"""Speech: a text as sound, handed on while it is made.

request(body, offer) -> Speech                        checks what we rely on; everything else passes through
stream(gate, call, offer, speech, send)               raises Refused; after the first `send` the answer is then cut off

Sold by the character that is to be spoken, so what is held is what is charged: once any sound has come, for all of it.
"""

from dataclasses import dataclass
from typing import Any

from assisters_app.gateway import checks
from assisters_app.gateway.calls import Bound, Call, Ending, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.streams import Send, patiently, timed
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.upstream import broken

PATH = "/audio/speech"
LONGEST = 4_096  # characters at once, as OpenAI has it
USUAL = "mp3"
KINDS = {  # of sound, as OpenAI names them
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
UNPRICED = checks.UNPRICED - {"speed"}  # here it is how fast somebody speaks


@dataclass(frozen=True, slots=True)
class Speech:
    """A text ready to be spoken: `body` as the upstream gets it, `characters` to pay for, `kind` of the answer."""

    body: dict[str, Any]
    characters: int
    kind: str


def request(body: dict[str, Any], _offer: Offer) -> Speech:
    """Check a request; raise Refused with the parameter at fault."""
    sent = checks.at_list_price(body, also=UNPRICED)
    said = checks.text(sent, "input", LONGEST)
    if not isinstance(sent.get("voice"), str | dict) or not sent["voice"]:
        raise checks.wrong("voice", "must name who is to speak")
    checks.among(sent, "stream_format", ("audio",))
    kind = checks.among(sent, "response_format", tuple(KINDS)) or USUAL
    checks.weight(sent)
    return Speech(sent, len(said), KINDS[kind])


async def stream(gate: Gate, call: Call, offer: Offer, speech: Speech, send: Send) -> None:
    """Send the sound as it comes, but for its last byte, which waits for the record to be durable."""
    await gate.admit(call, offer, Bound(units=speech.characters))
    used, send_patiently, last = Usage(units=speech.characters), patiently(send), b""
    async with gate.settled(call) as conclusion:
        reply = await gate.ask(call, offer, PATH, speech.body)
        await answers.require_success(reply)
        try:
            async for piece in timed(call, reply.content):
                if not piece:
                    continue
                if not last:
                    call.first_token, conclusion.so_far = call.elapsed(), lambda: used
                await send_patiently(last + piece[:-1])
                last = piece[-1:]
        finally:
            reply.close()
        if not last:
            raise broken()
        conclusion.ending = Ending("completed", 200, used)
    await send(last)
