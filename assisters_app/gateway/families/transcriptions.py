"""Transcriptions: a recording as text.

answer(gate, call, offer, upload, announced) -> Answer     raises Refused

Sold by the second that was begun, as the upstream measured it: it is always asked for the form that says how long the
recording is (`verbose_json`), from which the form that the caller asked for is written. What is held is the longest
that the file can be.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from assisters_app.base.errors import Refused
from assisters_app.base.money import NANO
from assisters_app.gateway import checks
from assisters_app.gateway.calls import Bound, Call, Ending, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.answers import Answer
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.upload import Upload
from assisters_app.gateway.upstream import broken

PATH = "/audio/transcriptions"
FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
Told = dict[str, Any]


async def answer(gate: Gate, call: Call, offer: Offer, upload: Upload, announced: int | None) -> Answer:
    """Answer. The record is durable when this returns; a caller who hung up meanwhile is still charged."""
    _check(upload)
    upload.check = partial(_check, upload)  # once more: fields may come behind the recording
    await gate.admit(call, offer, Bound(units=upload.most_seconds(announced)))
    async with gate.settled(call) as conclusion:
        told = await _told(gate, call, offer, upload)
        usage = call.believed(_used(told, upload))
        conclusion.ending = Ending("client_disconnected" if call.caller_gone else "completed", 200, usage)
    return _written(told, upload.value("response_format") or "json", usage, conclusion.cost)


async def _told(gate: Gate, call: Call, offer: Offer, upload: Upload) -> Told:
    try:
        reply = await gate.ask(call, offer, PATH, upload, whole=True)
    except Refused:
        if upload.problem is not None:  # the caller's end of the line broke, not the upstream's
            raise upload.problem from None
        raise
    started = time.perf_counter()
    told = await answers.whole(reply, call.model)
    call.waited += time.perf_counter() - started
    if not isinstance(told.get("text"), str):
        raise broken()
    return {name: value for name, value in told.items() if name != "model"}


def _check(upload: Upload) -> None:
    body = {name: upload.value(name) for name in ("model", "response_format", "stream", "service_tier")}
    checks.among(body, "response_format", FORMATS)
    if body["stream"] not in (None, "false", "False", "0"):
        raise checks.wrong("stream", "is not possible for transcriptions")
    checks.at_list_price({name: value for name, value in upload.fields if name in checks.UNPRICED} | body)


def _used(told: Told, upload: Upload) -> Usage:
    usage = told.get("usage")
    for length in (told.get("duration"), usage.get("seconds") if isinstance(usage, dict) else None):
        try:
            seconds = float(length or 0)
        except (TypeError, ValueError):
            continue
        if 0 < seconds < 2**31:
            return Usage(units=math.ceil(seconds))
    measured = upload.seconds()
    return Usage(units=upload.guessed_seconds() if measured is None else measured, estimated=True)


def _written(told: Told, form: str, used: Usage, cost_nano: int) -> Answer:
    """Return a transcript in the form that was asked for."""
    if form in ("json", "verbose_json"):
        flag = {"estimated": True} if used.estimated else {}
        usage = {"type": "duration", "seconds": used.units, **flag, "cost": cost_nano / NANO}
        kept = told if form == "verbose_json" else {"text": told["text"]}
        return Answer(orjson.dumps({**kept, "usage": usage}), cost_nano)
    written = told["text"] + "\n" if form == "text" else SUBTITLES[form](_segments(told))
    return Answer(written.encode(), cost_nano, b"text/plain; charset=utf-8")


def _segments(told: Told) -> list[tuple[float, float, str]]:
    found = told.get("segments")
    try:
        return [(float(one["start"]), float(one["end"]), str(one["text"]).strip()) for one in found or ()]
    except (TypeError, KeyError, ValueError):
        raise broken() from None


def _srt(segments: list[tuple[float, float, str]]) -> str:
    lines = (
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(segments, 1)
    )
    return "\n".join(lines)


def _vtt(segments: list[tuple[float, float, str]]) -> str:
    lines = (f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n" for start, end, text in segments)
    return "\n".join(("WEBVTT\n", *lines))


def _clock(seconds: float, mark: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{mark}{thousandths:03d}"


SUBTITLES: dict[str, Callable[[list[tuple[float, float, str]]], str]] = {"srt": _srt, "vtt": _vtt}
