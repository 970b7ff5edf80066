"""Admission and settlement: what may begin, and what became of it.

    admit(scripts, call, tokens, hold_nano)         raises Limited or Unavailable; afterwards the call must be settled
    settle(scripts, call, ending) -> int            the record is durable when this returns; nano-USD charged
    record(scripts, event) -> bool                  the same with a record that is written already
    refuse(call, status, code)                      the record of a call that was not admitted; costs nothing
    standing(scripts, grant) -> (Standing, seconds) what is left now, without counting anything

Requests and tokens per minute and the wallet are decided in one step, with one answer for any number of processes.
Settlement gives back what was held and leaves exactly one durable record.

What is held is the most that a request of text can cost: the input as we count it with a margin, and the most output
that it may produce. Two things can exceed it, by one call's input at most: an upstream whose tokenizer counts a quarter
more than ours, and media given by address, of which we cannot know the tokens before the upstream has counted them.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal

import redis
from sqlalchemy.exc import SQLAlchemyError

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.valkey import valkey
from assisters_app.gateway import wallets
from assisters_app.gateway.calls import CLOSED_BY_CALLER, Call, Ending, Standing
from assisters_app.gateway.grants import Grant
from assisters_app.gateway.scripts import ADMIT, COUNTS, OPEN, PEEK, RECORDS, SETTLE, Keys, Scripts, open_name
from assisters_app.usage.events import Event

LEASE = timedelta(seconds=30)  # a hold that its process has not renewed for so long is settled by the reaper
HOLD = timedelta(minutes=15)  # longer than any request may take; no hold is renewed beyond it
PATIENCE = 2.0  # seconds to wait for Valkey, or for the database, on the way of a request
INTERRUPTED = Ending("interrupted", 500, error_code="interrupted")  # until the process that let a call in says more
WINDOW = 60  # seconds that limits look back
LOOK_AGAIN = 1.0  # seconds: how often a wallet that refuses is read from the ledger again

logger = logging.getLogger(__name__)


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
        answer = await _asked_twice(scripts, call, tokens, hold_nano)
    except asyncio.CancelledError:  # it may have been admitted all the same, and nobody would settle it for a while
        with suppress(Unavailable):
            await settle(
                scripts, call, Ending("client_disconnected", CLOSED_BY_CALLER, error_code="client_disconnected")
            )
        raise
    what, requests_used, tokens_used, wait, left = answer
    grant = call.grant
    call.standing = Standing(grant.requests_per_minute, requests_used, grant.tokens_per_minute, tokens_used)
    if what != "ok":
        raise limited(what, call.standing, tokens, wait)
    call.admitted = True
    return None if left < 0 else int(left)


async def _asked_twice(scripts: Scripts, call: Call, tokens: int, hold_nano: int) -> list[Any]:
    """Ask, and once more when the wallet is not known well enough."""
    answer = await _ask_to_admit(scripts, call, tokens, hold_nano)
    if answer[0] == "wallet":
        await _fill_wallet(scripts, call)
        return await _ask_to_admit(scripts, call, tokens, hold_nano)
    if answer[0] == "balance" and _may_look_again(call):
        with suppress(Unavailable):  # without the database, what Valkey knows is the answer
            await _fill_wallet(scripts, call)
            return await _ask_to_admit(scripts, call, tokens, hold_nano)
    return answer


async def _ask_to_admit(scripts: Scripts, call: Call, tokens: int, hold_nano: int) -> list[Any]:
    grant, keys = call.grant, Keys.of(call.grant.organization_id)
    context = call.event(INTERRUPTED).to_json()
    expires = now() + LEASE
    answer: list[Any] = await _run(
        scripts,
        ADMIT,
        (keys.limits, keys.wallet, keys.holds, OPEN, COUNTS),
        *(math.floor(now().timestamp()), grant.requests_per_minute, grant.tokens_per_minute, tokens, hold_nano),
        *(
            str(call.request_id),
            open_name(grant.organization_id, call.request_id),
            math.floor(expires.timestamp() * 1000),
            context,
        ),
    )
    return answer


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


async def _fill_wallet(scripts: Scripts, call: Call) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await wallets.publish(scripts, call.grant.organization_id)
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
    keys, request_id = Keys.of(event.organization_id), str(event.request_id)
    names = (keys.limits, keys.wallet, keys.holds, OPEN, COUNTS, keys.unposted, RECORDS)
    member, tokens = open_name(event.organization_id, event.request_id), event.input_tokens + event.output_tokens
    told = (request_id, member, event.cost_nano, tokens, event.to_json(), whose)
    return bool(await _run(scripts, SETTLE, names, *told))


async def refuse(call: Call, status: int, code: str) -> None:
    """Append the record of a call that was not admitted. It is not worth failing for: nothing was held or charged."""
    record = call.event(Ending("refused", status, error_code=code[:64])).to_json()
    try:
        async with asyncio.timeout(PATIENCE):
            await valkey().xadd(RECORDS, {"record": record})
    except (redis.RedisError, OSError, TimeoutError):
        logger.warning("A refused call left no record.", extra={"handle": call.handle})


async def standing(scripts: Scripts, grant: Grant) -> tuple[Standing, int]:
    """Return what is left of the limits, and seconds until the oldest request of the last minute is forgotten."""
    moment = math.floor(now().timestamp())
    requests_used, tokens_used, wait = await _run(scripts, PEEK, (Keys.of(grant.organization_id).limits,), moment)
    return Standing(grant.requests_per_minute, requests_used, grant.tokens_per_minute, tokens_used), wait


async def _run(scripts: Scripts, script: str, keys: Sequence[str], *args: str | int) -> Any:  # noqa: ANN401 (as Lua says)
    try:
        async with asyncio.timeout(PATIENCE):
            return await scripts.run(script, keys, *args)
    except (redis.RedisError, OSError, TimeoutError) as problem:
        raise ValkeyAway from problem
