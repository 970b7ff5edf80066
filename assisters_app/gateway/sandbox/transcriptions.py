"""Transcriptions in the sandbox: nobody listens, but a WAV's length is read, and `prompt` may hold the magic words."""

from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.sandbox.magic import SAYS, fail_as_told, reply
from assisters_app.gateway.upload import Upload
from assisters_app.gateway.upstream import Reply


async def answer(upload: Upload, _offer: Offer) -> Reply:
    """Answer with how long the recording is, as `verbose_json`."""
    await upload.finish()
    await fail_as_told(upload.value("prompt") or "")
    measured = upload.seconds()
    seconds = upload.guessed_seconds() if measured is None else measured
    about = "" if measured is not None else "about "
    text = f"{SAYS} Your recording is {about}{seconds} seconds long."
    language = upload.value("language") or "english"
    segment = {"id": 0, "start": 0.0, "end": float(seconds), "text": text}
    return reply({"task": "transcribe", "language": language, "duration": seconds, "text": text, "segments": [segment]})
