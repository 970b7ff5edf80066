"""Reading what an upstream says: whole answers, streams event by event, its usage, and its errors."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from assisters_app.base.errors import Refused
from assisters_app.base.money import NANO
from assisters_app.gateway import tokens
from assisters_app.gateway.calls import Call, Usage
from assisters_app.gateway.upstream import Reply, broken, overloaded, read

DONE = b"data: [DONE]\n\n"
LARGEST_EVENT = 8 * 2**20  # bytes
UNSAID = frozenset(  # beside what a model has said: what it is called and where it stands, marks, and what is no text
    {
        "annotations",
        "b64_json",
        "call_id",
        "citations",
        "content_filter_results",
        "data",
        "encrypted_content",
        "finish_reason",
        "format",
        "id",
        "image_url",
        "item_id",
        "logprobs",
        "media_type",
        "mime_type",
        "model",
        "native_finish_reason",
        "object",
        "phase",
        "provider_specific_fields",  # says once more what stands beside it
        "role",
        "signature",
        "status",
        "stop_reason",
        "thought_signature",
        "type",
        "url",
    }
)
GIVEN = frozenset({"arguments", "input"})  # to a tool: the names in it were produced as well
THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")  # the same, by several names
APART = GIVEN.union(THOUGHTS)
IN_AN_ADDRESS = re.compile(
    r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]*+)*+;base64,[\w+/=-]*+"
)  # a picture, sound: no text
CALLERS_FAULT = frozenset({400, 404, 409, 413, 415, 422})  # upstream statuses that tell the caller something


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer for the caller: its bytes, what it cost in nano-USD, and what kind of content it is."""

    body: bytes
    cost_nano: int
    kind: bytes = b"application/json"


@dataclass(frozen=True, slots=True)
class Names:
    """What an API calls the tokens of a call in its `usage`."""

    given: str = "prompt_tokens"
    produced: str = "completion_tokens"

    @property
    def details(self) -> str:
        """Return where it says more of the input."""
        return f"{self.given}_details"


CHAT = Names()
NOT_THEIRS = frozenset({"estimated", "cost_details"})  # is ours to say; is between an upstream and us


def usage_of(told: Any, names: Names = CHAT) -> Usage | None:  # noqa: ANN401 (whatever an upstream sends)
    """Return what an upstream's `usage` object says, None when it says nothing usable: there is always some input."""
    if not isinstance(told, dict) or not _count(told.get(names.given)):
        return None
    given = _count(told.get(names.given))
    return Usage(given, min(_count(_cached(told, names)), given), _count(told.get(names.produced)))


def with_cost(answer: dict[str, Any], usage: Usage, cost_nano: int) -> bytes:
    """Return an answer as JSON whose `usage` says what was charged, and under `cost` for how many US dollars."""
    return orjson.dumps({**answer, "usage": charged(answer.get("usage"), usage, cost_nano)})


def charged(told: Any, usage: Usage, cost_nano: int, names: Names = CHAT) -> dict[str, Any]:  # noqa: ANN401 (as above)
    """Return a `usage` object of what was charged: as the upstream told it, except where it told otherwise.

    Counts of ours are `estimated`. The cost, in dollars, is exact: its nine decimals fit in a float up to a million
    dollars, which no call costs.
    """
    kept = {name: value for name, value in told.items() if name not in NOT_THEIRS} if isinstance(told, dict) else {}
    said = {"units": usage.units} if usage.units else {}
    if usage.tokens or not usage.units:
        said |= {names.given: usage.input_tokens, "total_tokens": usage.tokens}
        if usage.output_tokens or names.produced in kept or not kept:
            said[names.produced] = usage.output_tokens
        heard = usage_of(kept, names) or Usage()
        if replace(usage, units=0, estimated=False) != heard or _cached(kept, names) not in (None, usage.cached_tokens):
            details = {names.details: {"cached_tokens": usage.cached_tokens}}
            kept = {name: value for name, value in kept.items() if not name.endswith("_details")} | details
    flag = {"estimated": True} if usage.estimated else {}
    return {**kept, **said, **flag, "cost": cost_nano / NANO}


def _cached(told: dict[str, Any], names: Names) -> Any:  # noqa: ANN401 (as above)
    details = told.get(names.details)
    return details.get("cached_tokens") if isinstance(details, dict) else None


def _count(value: Any) -> int:  # noqa: ANN401 (as above)
    return value if type(value) is int and value > 0 else 0


def spoken(produced: Any) -> list[str]:  # noqa: ANN401 (as above)
    """Return the texts in what a model has produced, however deep they stand and whatever they are called."""
    found: list[str] = []
    pending = [produced]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            if not (one.startswith("data:") and IN_AN_ADDRESS.fullmatch(one)):
                found.append(one)
        elif isinstance(one, list):
            pending += reversed(one)
        elif isinstance(one, dict):
            pending += reversed(_said(one))
    return found


def _said(one: dict[str, Any]) -> list[Any]:
    """Return what an object says: what a tool is given as one text, thoughts once though several names hold them."""
    said = {name: value for name, value in one.items() if value and name not in UNSAID}
    if APART.isdisjoint(said):  # as nearly always: every chunk of a stream comes by here
        return list(said.values())
    for name in GIVEN & said.keys():
        if not isinstance(said[name], str):
            said[name] = orjson.dumps(said[name]).decode()
    thoughts = sorted((name for name in THOUGHTS if name in said), key=lambda name: _length(said[name]))
    return [value for name, value in said.items() if name not in thoughts[:-1]]


def _length(produced: Any) -> int:  # noqa: ANN401 (as above)
    """Return how long what is said in it is, altogether: sealed thoughts are long, and say nothing."""
    length, pending = 0, [produced]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            length += len(one)
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            pending += [value for name, value in one.items() if name not in UNSAID]
    return length


def choices_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of a chat's answer, or of a piece of one."""
    found = answer.get("choices")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


async def whole(reply: Reply, model: str) -> dict[str, Any]:
    """Return the JSON of a successful answer, its model named as the caller named it; raise Refused for another."""
    content = await read(reply)
    if reply.status != 200:  # noqa: PLR2004 (OK)
        raise refusal(reply, content)
    answer = _json(content)
    if not isinstance(answer, dict) or answer.get("error"):
        raise broken()
    answer["model"] = model
    return answer


async def require_success(reply: Reply) -> None:
    """Raise Refused when an upstream did not begin to answer."""
    if reply.status != 200:  # noqa: PLR2004 (OK)
        raise refusal(reply, await read(reply))


def refusal(reply: Reply, content: bytes) -> Refused:
    """Return what the caller is told about an upstream's error: its own mistakes in full, ours and theirs not."""
    if reply.status == 429:  # noqa: PLR2004 (the upstream's limit, which is not the caller's)
        return overloaded()
    if reply.status not in CALLERS_FAULT:
        return broken()
    parsed = _json(content)
    error = parsed.get("error") if isinstance(parsed, dict) else None
    told = error if isinstance(error, dict) else {}
    sentence = str(told.get("message") or "The model refused this request.")[:2_000]
    param = told.get("param")
    code = str(told.get("code") or "invalid_request")[:64]
    return Refused(sentence, code=code, status=reply.status, field=param if isinstance(param, str) else None)


async def events(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the payload of each server-sent event, wherever the pieces that arrive are cut."""
    pending = b""
    async for piece in content:
        pending += piece
        *lines, pending = pending.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(pending) > LARGEST_EVENT:
            raise broken()
    if pending.startswith(b"data:"):
        yield pending[5:].strip()


@dataclass(slots=True)
class Tally:
    """Follows one stream: what the caller gets to see of it, and what it has used so far."""

    call: Call
    input_tokens: int  # as we counted them, should the upstream not tell
    shows_usage: bool  # whether the caller asked for the usage chunk
    shows_each: bool = False  # whether for the usage so far on every chunk
    usage: Usage | None = None
    told_at: int = 0  # how much had been said when the usage was told
    said: list[str] = field(default_factory=list)
    done: bool = False
    finished: bool = False  # a reason for the end was given
    closing: dict[str, Any] = field(default_factory=dict)  # the usage chunk, held back until its cost is known
    held: dict[str, Any] | None = None  # without that, the last chunk: it says the cost

    def take(self, payload: bytes) -> bytes | None:
        """Return the event that the caller gets for an upstream's payload, None for none."""
        if payload == b"[DONE]":
            self.done = True
            return None
        chunk = _json(payload)
        if not isinstance(chunk, dict) or chunk.get("error"):
            raise broken()
        self._listen(chunk)
        shown = self._shown(chunk, payload)
        if shown is None or self.shows_usage:
            return shown
        before, self.held = self._release(), chunk if _finishes(chunk) else None
        return before or None if self.held else before + shown

    def so_far(self) -> Usage:
        """Return what was used until now: the last cumulative count, an estimate where the text has gone beyond it."""
        if self.usage is not None and self.usage.output_tokens and self.told_at == len(self.said):
            return self.usage
        given = self.usage or Usage(self.input_tokens)
        return replace(given, output_tokens=tokens.count("".join(self.said)), estimated=True).produced

    def last_event(self, usage: Usage, cost_nano: int) -> bytes:
        """Return what ends a stream once it is settled: its usage with its cost, if the caller asked, and the end.

        Who did not ask for the usage finds the cost, in dollars, in the chunk that says why it ended.
        """
        if not self.shows_usage:
            if self.held is not None:
                self.held["cost"] = cost_nano / NANO
            return self._release() + DONE
        return b"data: " + with_cost(self.closing, usage, cost_nano) + b"\n\n" + DONE

    def error_event(self, refused: Refused) -> bytes:
        """Return what ends a stream that failed on the way."""
        error = {"message": str(refused), "type": "server_error", "param": None, "code": refused.code}
        return self._release() + b"data: " + orjson.dumps({"error": error}) + b"\n\n"

    def _release(self) -> bytes:
        held, self.held = self.held, None
        return b"data: " + orjson.dumps(held) + b"\n\n" if held is not None else b""

    def _listen(self, chunk: dict[str, Any]) -> None:
        for choice in choices_of(chunk):
            self.finished = self.finished or bool(choice.get("finish_reason"))
            self._collect({name: value for name, value in choice.items() if name != "message"})  # all of it until now
        told = usage_of(chunk.get("usage"))
        if told is not None:
            self.usage, self.told_at = told, len(self.said)

    def _collect(self, piece: dict[str, Any]) -> None:
        before = len(self.said)
        self.said += spoken(piece)
        if self.call.first_token is None and len(self.said) > before:
            self.call.first_token = self.call.elapsed()

    def _shown(self, chunk: dict[str, Any], payload: bytes) -> bytes | None:
        as_it_came = chunk.get("model") == self.call.model
        chunk["model"] = self.call.model
        if "usage" in chunk and not chunk.get("choices") and (chunk["usage"] or not self.shows_usage):
            self.closing = chunk
            return None
        if self.shows_usage:
            self.closing = self.closing or {**chunk, "choices": [], "usage": None}  # should the upstream send none
            if chunk.get("usage") and not self.shows_each:
                chunk["usage"], as_it_came = None, False
        elif "usage" in chunk:
            del chunk["usage"]
            as_it_came = False
        if as_it_came:
            return b"data: " + payload + b"\n\n"
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _finishes(chunk: dict[str, Any]) -> bool:
    return any(choice.get("finish_reason") for choice in choices_of(chunk))


def _json(content: bytes) -> Any:  # noqa: ANN401 (whatever an upstream sends)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise broken() from None
