"""Admission and settlement: what may begin, and what became of it.

    admit(scripts, call, tokens, hold_nano)         raises Limited or Unavailable; afterwards the call must be settled
    settle(scripts, call, ending) -> int            the record is durable when this returns; nano-USD charged
    record(scripts, event) -> bool                  the same with a record that is written already
    sent(scripts, event) -> Future                  the same, on its way at once
    refuse(call, status, code)                      the record of a call that was not admitted; costs nothing
    used(scripts, organization_id) -> (int, int, int) requests and tokens of the last minute, seconds to wait
    standing(scripts, grant) -> (Standing, seconds) what is left now, without counting anything

Requests and tokens per minute, calls in flight, budgets, the spend cap and the wallet are decided in one step, with one
answer for any number of processes. Settlement gives back what was held and leaves exactly one durable record.

What is held is the most that a request can cost, and no upstream's word charges more (`calls.Bound`): a token for each
byte of the request (the whole context where there are pictures, whose tokens only the upstream knows), the most output
that it may produce, the images it asks for, the characters to be spoken, the seconds that a file can hold.
"""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import redis
from sqlalchemy.exc import SQLAlchemyError

from assisters_app.base import ids
from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.money import dollars
from assisters_app.base.valkey import valkey
from assisters_app.gateway import meters, wallets
from assisters_app.gateway.calls import CLOSED_BY_CALLER, Call, Ending, Standing
from assisters_app.gateway.grants import Grant
from assisters_app.gateway.scripts import ADMIT, COUNTS, OPEN, PEEK, RECORDS, SETTLE, Keys, Scripts, open_name
from assisters_app.keys.terms import SPANS, Span, Window
from assisters_app.usage.events import Event

LEASE = timedelta(seconds=30)  # a hold that its process has not renewed for so long is settled by the reaper
HOLD = timedelta(minutes=15)  # longer than any request may take; no hold is renewed beyond it
PATIENCE = 2.0  # seconds to wait for Valkey, or for the database, on the way of a request
INTERRUPTED = Ending("interrupted", 500, error_code="interrupted")  # until the process that let a call in says more
WINDOW = 60  # seconds that limits look back
RECORDED = 60  # refusals of one key in a minute, in each process, that leave a record each
MORE = "more_refusals"  # the error code of the record after them: there were more, which left none
LOOK_AGAIN = 1.0  # seconds: how often a wallet that refuses is read from the ledger again


class Limited(Refused):
    """A limit is reached or the wallet is empty. `wait` is in seconds; None when waiting does not help."""

    def __init__(self, sentence: str, *, code: str, wait: int | None, standing: Standing) -> None:
        super().__init__(sentence, code=code, status=429, retry_after=wait)
        self.standing = standing


class Unavailable(Refused):
    """Something of ours that a request needs is down."""

    def __init__(self) -> None:
        super().__init__(
            "The service is not available right now. Please try again shortly.",
            code="service_unavailable",
            status=503,
        )


class ValkeyAway(Unavailable):
    """Valkey does not answer in time, or takes no writes."""


async def admit(scripts: Scripts, call: Call, tokens: int, hold_nano: int) -> int | None:
    """Count a request that may use up to `tokens` and cost up to `hold_nano`, and hold that amount.

    Returns the nano-USD that may be spent besides, None when the wallet did not matter. Raises Limited (429) when a
    limit or the wallet says no, Unavailable (503) when Valkey, or the database for a wallet that is not known, does
    not answer.
    """
    try:
        answer = await _asked_until_known(scripts, call, tokens, hold_nano)
    except asyncio.CancelledError:  # it may have been admitted all the same, and nobody would settle it for a while
        with suppress(Unavailable):
            await settle(
                scripts, call, Ending("client_disconnected", CLOSED_BY_CALLER, error_code="client_disconnected")
            )
        raise
    call.standing = _standing(call.grant, *answer[1:3], *answer[5:7])
    if answer[0] != "ok":
        raise _refusal(call, tokens, hold_nano, answer)
    call.admitted = True
    left = int(answer[4])
    return None if left < 0 else left


def _standing(grant: Grant, requests: int, tokens: int, own_requests: int, own_tokens: int) -> Standing:
    """Return what is left of whichever limit is nearer: the organization's, or the key's own."""
    standing, own = Standing(grant.requests_per_minute, requests, grant.tokens_per_minute, tokens), grant.own
    if own is None:
        return standing
    if own.requests_per_minute and own.requests_per_minute - own_requests < standing.requests_left:
        standing = replace(standing, requests_limit=own.requests_per_minute, requests_used=own_requests)
    if own.tokens_per_minute and own.tokens_per_minute - own_tokens < standing.tokens_left:
        standing = replace(standing, tokens_limit=own.tokens_per_minute, tokens_used=own_tokens)
    return standing


async def _asked_until_known(scripts: Scripts, call: Call, tokens: int, hold_nano: int) -> list[Any]:
    """Ask, and again after filling what is not known well enough: a meter of the key, of all keys, the wallet."""
    for _ in range(MOST_FILLED):
        answer = await _ask_to_admit(scripts, call, tokens, hold_nano)
        if answer[0] == "meter":
            own = answer[7] == OWN_METER
            await _fill(meters.fill(scripts, call.grant.organization_id, call.grant.key_id if own else None, call.at))
        elif answer[0] == "wallet":
            await _fill(wallets.publish(scripts, call.grant.organization_id))
        elif answer[0] == "balance" and _may_look_again(call):
            try:
                await _fill(wallets.publish(scripts, call.grant.organization_id))
            except Unavailable:  # without the database, what Valkey knows is the answer
                return answer
        else:
            return answer
    raise Unavailable


OWN_METER, ALL_METER = 7, 8  # their places among ADMIT's keys
MOST_FILLED = 6  # two meters and the wallet, each of which may be lost once more meanwhile


def _metered(call: Call) -> list[tuple[int, Span, int | None]]:
    """Return what is counted: the meter, the span, and its limit in nano-USD if there is one."""
    own, cap = call.grant.own, call.grant.spend_cap
    counted: list[tuple[int, Span, int | None]] = []
    if own is not None and (own.budgets or own.concurrency):
        counted += [(OWN_METER, span, own.budgets.get(span)) for span in SPANS]
    if cap is not None:
        counted.append((ALL_METER, "month", cap))
    return counted


def _limits(call: Call) -> tuple[list[str], list[str | int]]:
    """Return the keys and arguments of limits that few have; nothing for a call without any."""
    grant, own = call.grant, call.grant.own
    if own is None and grant.spend_cap is None:
        return [], []
    keys, names = Keys.of(grant.key_id), meters.windows(call.at)
    args: list[str | int | None] = [None] * 3
    if own is not None:
        args = [own.requests_per_minute, own.tokens_per_minute, own.concurrency]
    for meter, span, most in _metered(call):
        args += [meter, names[span], most]
    named = [keys.limits, keys.spent, Keys.of(grant.organization_id).spent]
    return named, ["" if one is None else one for one in args]


async def _ask_to_admit(scripts: Scripts, call: Call, tokens: int, hold_nano: int) -> list[Any]:
    grant, keys = call.grant, Keys.of(call.grant.organization_id)
    more_keys, more = _limits(call)
    context = call.event(INTERRUPTED).to_json()
    expires = now() + LEASE
    answer: list[Any] = await _run(
        scripts,
        ADMIT,
        (keys.limits, keys.wallet, keys.holds, OPEN, COUNTS, *more_keys),
        *(math.floor(now().timestamp()), grant.requests_per_minute, grant.tokens_per_minute, tokens, hold_nano),
        *(
            ids.text(call.request_id),
            open_name(grant.organization_id, call.request_id),
            math.floor(expires.timestamp() * 1000),
            context,
            grant.concurrency,
        ),
        *more,
    )
    return answer


def _refusal(call: Call, tokens: int, hold_nano: int, answer: Sequence[Any]) -> Limited:
    """Return what a caller is told whom ADMIT's `answer` keeps outside."""
    what, wait, standing = str(answer[0]).removeprefix("own_"), int(answer[3]), call.standing
    assert standing is not None
    if what == "spent":
        return Limited(_used_up(call, hold_nano, answer), code="insufficient_quota", wait=None, standing=standing)
    if what == "concurrency":
        own = call.grant.own.concurrency if answer[0] == "own_concurrency" and call.grant.own else None
        return too_many(standing, wait, *(("This key", own) if own else ("Your organization", call.grant.concurrency)))
    return limited(what, standing, tokens, wait)


def too_many(standing: Standing, wait: int, whose: str, most: int) -> Limited:
    """Return what a caller is told who has `most` calls under way; `wait` is in seconds."""
    sentence = f"{whose} may have {most} calls at the same time, and has. Please retry when one of them has ended."
    return Limited(sentence, code="too_many_at_once", wait=wait, standing=standing)


def limited(what: str, standing: Standing, tokens: int, wait: int) -> Limited:
    """Return what a caller is told who has reached a limit: `what` is rpm, tpm or balance, `wait` is in seconds."""
    if what == "rpm":
        sentence = f"Rate limit exceeded. Please retry after {wait} seconds."
        return Limited(sentence, code="rate_limit_exceeded", wait=wait, standing=standing)
    if what == "tpm" and tokens > standing.tokens_limit:
        sentence = (
            f"This request may use {tokens} tokens, more than your limit of {standing.tokens_limit} tokens per minute. "
            "Ask for fewer with max_tokens, or shorten the input."
        )
        return Limited(sentence, code="request_too_large", wait=None, standing=standing)
    if what == "tpm":
        sentence = f"Rate limit exceeded (tokens per minute). Please retry after {wait} seconds."
        return Limited(sentence, code="rate_limit_exceeded", wait=wait, standing=standing)
    sentence = (
        "Your balance does not cover the most that this request can cost. Top up your wallet, or lower max_tokens."
    )
    return Limited(sentence, code="insufficient_quota", wait=None, standing=standing)


def _used_up(call: Call, hold_nano: int, answer: Sequence[Any]) -> str:
    """Name the budget that does not cover a call, what is left of it, and when it is whole again."""
    meter, span, most = _metered(call)[answer[7]]
    assert most is not None
    what = "This key's budget" if meter == OWN_METER else "Your organization's spend cap"
    again = f"{Window.of(call.at).ends(span):%Y-%m-%d %H:%M} UTC"
    left = max(0, most - int(answer[8]))
    if not left:
        return f"{what} of {dollars(most)} a {span} is reached. It starts anew at {again}."
    return (
        f"{what} of {dollars(most)} a {span} has {dollars(left)} left, and this request can cost up to "
        f"{dollars(hold_nano)}. Lower max_tokens, or wait: it starts anew at {again}."
    )


_looked: dict[str, float] = {}


def _may_look_again(call: Call) -> bool:
    """Say, at most once a second for each organization, that a wallet may have been topped up unheard."""
    moment, name = asyncio.get_running_loop().time(), str(call.grant.organization_id)
    if moment - _looked.get(name, -LOOK_AGAIN) < LOOK_AGAIN:
        return False
    if len(_looked) > 10_000:  # noqa: PLR2004 (a bound on memory, not a number of meaning)
        _looked.clear()
    _looked[name] = moment
    return True


async def _fill(filling: Awaitable[object]) -> None:
    """Wait for what is being filled; raise Unavailable when it takes too long."""
    try:
        async with asyncio.timeout(PATIENCE):
            await filling
    except redis.RedisError as problem:
        raise ValkeyAway from problem
    except (SQLAlchemyError, OSError, TimeoutError) as problem:
        raise Unavailable from problem


async def settle(scripts: Scripts, call: Call, ending: Ending) -> int:
    """Release the hold and append the terminal record; return nano-USD charged. Settling twice charges once.

    Goes on when the caller is cancelled. Raises Unavailable when Valkey does not answer; see `keeper` for what then.
    """
    event = call.event(ending)
    await asyncio.shield(record(scripts, event))
    return event.cost_nano


async def record(scripts: Scripts, event: Event, *, whose: Literal["own", "reaper"] = "own") -> bool:
    """Settle an open request with its terminal record; return False when nothing was held for it.

    The record of its own process is handed on all the same, and the books sort out what is there already.
    """
    keys, args = _settlement(event, whose)
    return bool(await _run(scripts, SETTLE, keys, *args))


def sent(scripts: Scripts, event: Event) -> asyncio.Future[Any]:
    """Send what `record` sends, without a task; the answer raises redis.RedisError, also for a script not known yet."""
    keys, args = _settlement(event, "own")
    return scripts.send(SETTLE, keys, *args)


def _settlement(event: Event, whose: Literal["own", "reaper"]) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
    """Return SETTLE's keys and arguments."""
    keys, own, request_id = Keys.of(event.organization_id), Keys.of(event.key_id), ids.text(event.request_id)
    names = (keys.limits, keys.wallet, keys.holds, OPEN, COUNTS, keys.unposted, RECORDS)
    member, tokens = open_name(event.organization_id, event.request_id), event.input_tokens + event.output_tokens
    told = (request_id, member, event.cost_nano, tokens, event.to_json(), whose)
    windows = meters.windows(event.at)
    counted = (f"{event.cost_nano}:{event.key_id}:{windows['day'][1:]}", *windows.values())
    return (*names, own.limits, own.spent, keys.spent), (*told, *counted)


async def refuse(call: Call, status: int, code: str) -> None:
    """Append the record of a call that was not admitted; raise ValkeyAway (503) when it cannot be.

    A key that is refused over and over leaves RECORDED records a minute in each process, and one that says so.
    """
    times = _times_refused(call)
    if times > RECORDED + 1:
        return
    record = call.event(Ending("refused", status, error_code=MORE if times > RECORDED else code[:64])).to_json()
    try:
        async with asyncio.timeout(PATIENCE):
            await valkey().xadd(RECORDS, {"record": record})
    except (redis.RedisError, OSError, TimeoutError) as problem:
        raise ValkeyAway from problem


_refused: dict[UUID, tuple[int, int]] = {}  # by key: the minute of its last refusal, and how many in it


def _times_refused(call: Call) -> int:
    """Count a refusal; return how many there have been in this minute, this one included."""
    minute, key_id = math.floor(now().timestamp() / WINDOW), call.grant.key_id
    before = _refused.get(key_id, (minute, 0))
    if len(_refused) > 10_000:  # noqa: PLR2004 (a bound on memory, not a number of meaning)
        _refused.clear()
    _refused[key_id] = (minute, before[1] + 1 if before[0] == minute else 1)
    return _refused[key_id][1]


async def used(scripts: Scripts, organization_id: UUID) -> tuple[int, int, int]:
    """Return the requests and tokens of the last minute, and seconds until the first of them is forgotten."""
    moment = math.floor(now().timestamp())
    requests, tokens, wait = await _run(scripts, PEEK, (Keys.of(organization_id).limits,), moment)
    return requests, tokens, wait


async def standing(scripts: Scripts, grant: Grant) -> tuple[Standing, int]:
    """Return what is left of the limits, and seconds until the oldest request of the last minute is forgotten."""
    moment = math.floor(now().timestamp())
    requests, tokens, wait = await used(scripts, grant.organization_id)
    if grant.own is None or not grant.own.per_minute:
        return _standing(grant, requests, tokens, 0, 0), wait
    own_requests, own_tokens, own_wait = await _run(scripts, PEEK, (Keys.of(grant.key_id).limits,), moment)
    return _standing(grant, requests, tokens, own_requests, own_tokens), max(wait, own_wait)


async def _run(scripts: Scripts, script: str, keys: Sequence[str], *args: str | int) -> Any:  # noqa: ANN401 (as Lua says)
    try:
        return await scripts.run(script, keys, *args)
    except redis.RedisError as problem:
        raise ValkeyAway from problem
