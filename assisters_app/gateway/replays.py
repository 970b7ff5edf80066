"""Answers kept for callers who repeat a request under the same Idempotency-Key: a day at most, sealed, in Valkey.

    attempt(grant, secret, key, request, handle) -> Attempt      names nothing that could be read
    begin(attempt) -> Kept | None                                None: it is the first; do the work, then one of:
    keep(attempt, kept)                                          what it answered
    lose(attempt)                                                it was charged, but the answer is not kept
    release(attempt)                                             nothing was done: it may be tried again

`begin` raises Refused: 422 for another request under the same key, 409 while the first runs and when its answer is
gone (or opens with the secret before a rotation only), 503 when Valkey does not answer. A process that dies leaves its
attempt as it was: nobody knows what was charged, so nothing is done again under that key. What is kept opens only with
the caller's own API secret, which is stored nowhere (docs/decisions/0008).
"""

import asyncio
import base64
import hashlib
import hmac
import zlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
import redis

from assisters_app.base.clock import now
from assisters_app.base.crypto import key_of_both, keyed_hashes, seal_under, unseal_under
from assisters_app.base.errors import Refused
from assisters_app.base.valkey import valkey
from assisters_app.gateway.admission import HOLD, PATIENCE, Unavailable
from assisters_app.gateway.grants import Grant
from assisters_app.gateway.scripts import TAG

LIFE = timedelta(hours=24)  # policy 4.3: request content, 24 hours
LARGEST = 4 * 2**20  # bytes of an answer that is kept
MOST = 64 * 2**20  # bytes kept for one organization within a day
LARGE = 2**18  # bytes from which hashing and sealing happen in a thread, while others are answered
PURPOSE = "idempotency"


# KEYS the attempt, bytes kept for its organization        ARGV line lost_line size most life
# What an erasure has deleted meanwhile stays deleted; nobody can fill our memory.
CONCLUDE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local line, size = ARGV[1], tonumber(ARGV[3])
if size > 0 then
  local taken = redis.call('INCRBY', KEYS[2], size)
  if taken == size then redis.call('EXPIRE', KEYS[2], ARGV[5]) end
  if taken > tonumber(ARGV[4]) then line = ARGV[2] end
end
redis.call('SET', KEYS[1], line, 'KEEPTTL')
return 1
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under a key. `name` is where its answer is kept, `fingerprint` tells it from another request.

    Both secrets of a key that was rotated lead to the same name, so that nothing is done twice; `whose` tells them
    apart, for what the one has had kept opens with that one only. `before` is what the name was under each pepper that
    was replaced: what stands there was done too, and opens no more.
    """

    organization_id: UUID
    name: str
    fingerprint: str
    handle: str
    seal_key: bytes
    whose: str
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole answer, and the request that it was made for."""

    status: int
    kind: str
    body: bytes
    handle: str


def attempt(grant: Grant, secret: str, key: str, request: bytes, handle: str) -> Attempt:
    """Return the attempt that `secret` makes at `request` (its address, kind and body) under `key`."""
    hash_key = key_of_both(secret, f"{PURPOSE}-hash")
    hidden = keyed_hashes(f"{PURPOSE}-name", f"{grant.key_id}|{key}")
    name, *before = (f"{TAG}:replay:{grant.organization_id}:{one}" for one in hidden)
    return Attempt(
        organization_id=grant.organization_id,
        name=name,
        fingerprint=hmac.new(hash_key, request, hashlib.sha256).hexdigest(),
        handle=handle,
        seal_key=key_of_both(secret, PURPOSE),
        whose=hmac.new(hash_key, b"whose", hashlib.sha256).hexdigest()[:32],
        before=tuple(before),
    )


async def begin(attempt: Attempt) -> Kept | None:
    """Claim the key for this attempt, or return what the first one answered."""
    claim = _line("running", attempt)
    try:
        async with asyncio.timeout(PATIENCE):
            found = await _from_before(attempt) or await valkey().set(attempt.name, claim, nx=True, get=True, ex=LIFE)
    except (redis.RedisError, OSError) as problem:
        raise Unavailable from problem
    if found is None:
        return None
    state, fingerprint, handle, began, whose, sealed = found.split("|")
    same_secret = hmac.compare_digest(whose, attempt.whose)
    if same_secret and not hmac.compare_digest(fingerprint, attempt.fingerprint):
        raise Refused(
            "This Idempotency-Key was used for another request. Use a new key for a new request.",
            code="idempotency_key_reused",
            status=422,
        )
    if state == "kept" and same_secret:
        return _opened(attempt, handle, sealed)
    if state == "running" and now().timestamp() - float(began) < HOLD.total_seconds():
        raise Refused(
            "A request with this Idempotency-Key is still being answered. Please retry after 1 seconds.",
            code="idempotency_in_progress",
            status=409,
            retry_after=1,
        )
    raise Refused(
        f"The answer to the request with this Idempotency-Key was not kept. Your request log shows under {handle} what "
        "became of it. Use a new key to ask again.",
        code="idempotency_answer_lost",
        status=409,
    )


async def _from_before(attempt: Attempt) -> str | None:
    """Return what stands under the name that a replaced pepper gave this attempt, if anything does."""
    there = await valkey().mget(attempt.before) if attempt.before else []
    return next(filter(None, there), None)


async def keep(attempt: Attempt, kept: Kept) -> None:
    """Keep an answer until the day is over, sealed; where there is no room, note that there was one."""
    small = len(kept.body) < LARGE
    sealed = _sealed(attempt, kept) if small else await asyncio.to_thread(_sealed, attempt, kept)
    await _conclude(attempt, _line("kept", attempt, sealed), len(sealed))


async def lose(attempt: Attempt) -> None:
    """Note that this attempt did its work, and that its answer cannot be had again."""
    await _conclude(attempt, _line("lost", attempt), 0)


async def release(attempt: Attempt) -> None:
    """Forget an attempt that did nothing."""
    async with asyncio.timeout(PATIENCE):
        await valkey().delete(attempt.name)


async def forget(organization_id: UUID) -> None:
    """Delete all that is kept for an organization that is gone."""
    async for name in valkey().scan_iter(f"{TAG}:replay*:{organization_id}*", count=500):
        await valkey().delete(name)


async def _conclude(attempt: Attempt, line: str, size: int) -> None:
    keys = (attempt.name, f"{TAG}:replays:{attempt.organization_id}")
    life = int(LIFE.total_seconds())
    async with asyncio.timeout(PATIENCE):
        await valkey().eval(CONCLUDE, len(keys), *keys, line, _line("lost", attempt), size, MOST, life)  # type: ignore[misc]


def _line(state: str, attempt: Attempt, sealed: str = "") -> str:
    return f"{state}|{attempt.fingerprint}|{attempt.handle}|{now().timestamp():.0f}|{attempt.whose}|{sealed}"


def _sealed(attempt: Attempt, kept: Kept) -> str:
    content = orjson.dumps({"status": kept.status, "kind": kept.kind}) + b"\n" + kept.body
    return base64.b64encode(seal_under(attempt.seal_key, zlib.compress(content, 1), attempt.name)).decode()


def _opened(attempt: Attempt, handle: str, sealed: str) -> Kept:
    content = zlib.decompress(unseal_under(attempt.seal_key, base64.b64decode(sealed), attempt.name))
    head, _, body = content.partition(b"\n")
    told = orjson.loads(head)
    return Kept(told["status"], told["kind"], body, handle)
