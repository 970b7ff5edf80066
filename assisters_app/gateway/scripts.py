"""What happens in Valkey in one step or not at all: admit, settle, publish a balance.

All keys carry one hash tag, so that a cluster keeps what belongs together on one node; every command is one that hosted
Redis services have. Of an organization:

    limits     hash    requests and tokens of the last sixty seconds, one bucket a second and their sums
    wallet     hash    `ledger` (balance in PostgreSQL) as of a `reading`, `held`, `unposted`; rebuilt at need
    holds      hash    request id → "hold:tokens:second:context", from admission to settlement
    unposted   hash    request id → cost, from settlement until the ledger has it

and of all together: `open` (sorted set of open requests by when their hold runs out), `records` (the stream of terminal
records), `counts` (hash: admitted, settled, late; `since`, when they began). What may be spent is `ledger - unposted -
held`; amounts are nano-USD and exact below 2⁵³ (nine million dollars). Seconds are the caller's clock: hosts keep
theirs by NTP.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis.asyncio as redis
from redis.exceptions import NoScriptError

from assisters_app.base.valkey import valkey

TAG = "{api}"
OPEN, RECORDS, PARKED, COUNTS = (f"{TAG}:{name}" for name in ("open", "records", "parked", "counts"))
MOST_AT_ONCE = 256  # script calls in one round trip

SLIDE = """
local function slide(key, now)
  local h = redis.call('HMGET', key, 'f', 'r', 't')
  local f = tonumber(h[1])
  if not f or now - f >= 120 then
    redis.call('DEL', key)
    redis.call('HSET', key, 'f', now, 'r', 0, 't', 0)
    return now, now, 0, 0
  end
  if now < f then now = f end
  local r, t = tonumber(h[2]), tonumber(h[3])
  if f <= now - 60 then
    for second = f, now - 60 do
      local b = redis.call('HMGET', key, 'r' .. second, 't' .. second)
      if b[1] then
        r, t = r - b[1], t - b[2]
        redis.call('HDEL', key, 'r' .. second, 't' .. second)
      end
    end
    f = now - 59
    redis.call('HSET', key, 'f', f, 'r', r, 't', t)
  end
  return now, f, r, t
end
local function room_in(key, now, f, kind, excess)
  for second = f, now do
    excess = excess - tonumber(redis.call('HGET', key, kind .. second) or 0)
    if excess <= 0 then return second + 60 - now end
  end
  return 60
end
"""

# KEYS limits wallet holds open counts
# ARGV now rpm tpm tokens hold request_id member expires_ms context
# returns {what, requests used, tokens used, seconds to wait, what may still be spent (-1: not looked at)}
ADMIT = (
    SLIDE
    + """
local rpm, tpm, tokens, hold = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now, f, r, t = slide(KEYS[1], tonumber(ARGV[1]))
if redis.call('HEXISTS', KEYS[3], ARGV[6]) == 1 then return {'ok', r, t, 0, -1} end
if r + 1 > rpm then return {'rpm', r, t, room_in(KEYS[1], now, f, 'r', r + 1 - rpm), 0} end
if t + tokens > tpm then return {'tpm', r, t, room_in(KEYS[1], now, f, 't', t + tokens - tpm), 0} end
local left = -1
if hold > 0 then
  local w = redis.call('HMGET', KEYS[2], 'ledger', 'unposted', 'held')
  if not w[1] then return {'wallet', r, t, 0, 0} end
  local available = tonumber(w[1]) - tonumber(w[2]) - tonumber(w[3])
  if available < hold then return {'balance', r, t, 0, available} end
  redis.call('HINCRBY', KEYS[2], 'held', ARGV[5])
  left = available - hold
end
redis.call('HINCRBY', KEYS[1], 'r', 1)
redis.call('HINCRBY', KEYS[1], 't', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'r' .. now, 1)
redis.call('HINCRBY', KEYS[1], 't' .. now, ARGV[4])
redis.call('EXPIRE', KEYS[1], 60)
redis.call('HSET', KEYS[3], ARGV[6], ARGV[5] .. ':' .. ARGV[4] .. ':' .. now .. ':' .. ARGV[9])
redis.call('ZADD', KEYS[4], ARGV[8], ARGV[7])
if redis.call('HINCRBY', KEYS[5], 'admitted', 1) == 1 then redis.call('HSET', KEYS[5], 'since', ARGV[1]) end
return {'ok', r + 1, t + tokens, 0, left}
"""
)

# KEYS limits                ARGV now
# returns {requests used, tokens used, seconds until the first of them is free again}
PEEK = (
    SLIDE
    + """
local now, f, r, t = slide(KEYS[1], tonumber(ARGV[1]))
redis.call('EXPIRE', KEYS[1], 60)
local wait = 0
if r > 0 then wait = room_in(KEYS[1], now, f, 'r', 1) end
return {r, t, wait}
"""
)

# KEYS limits wallet holds open counts unposted records
# ARGV request_id member cost tokens record whose
# returns 1, or 0 when nothing is held for the request. Then it was settled before, or reaped, or admitted while Valkey
# was away, or Valkey has lost its memory: what its own process (`whose` is "own") tells is handed on all the same, for
# the books know which of these it is. What the reaper tells is not: it knows nothing of such a request.
SETTLE = """
local held = redis.call('HGET', KEYS[3], ARGV[1])
if not held then
  if ARGV[6] ~= 'own' then return 0 end
  if ARGV[3] ~= '0' and redis.call('HSETNX', KEYS[6], ARGV[1], ARGV[3]) == 1
     and redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('HINCRBY', KEYS[2], 'unposted', ARGV[3])
  end
  redis.call('XADD', KEYS[7], '*', 'record', ARGV[5])
  redis.call('HINCRBY', KEYS[5], 'late', 1)
  return 0
end
local hold, tokens, second = string.match(held, '^(%d+):(%d+):(%d+):')
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[2])
local has_wallet = redis.call('EXISTS', KEYS[2]) == 1
if has_wallet and hold ~= '0' then redis.call('HINCRBY', KEYS[2], 'held', '-' .. hold) end
if ARGV[3] ~= '0' then
  redis.call('HSET', KEYS[6], ARGV[1], ARGV[3])
  if has_wallet then redis.call('HINCRBY', KEYS[2], 'unposted', ARGV[3]) end
end
local unused = tonumber(ARGV[4]) - tonumber(tokens)
if unused ~= 0 and redis.call('HEXISTS', KEYS[1], 't' .. second) == 1 then
  redis.call('HINCRBY', KEYS[1], 't' .. second, unused)
  redis.call('HINCRBY', KEYS[1], 't', unused)
end
redis.call('XADD', KEYS[7], '*', 'record', ARGV[5])
redis.call('HINCRBY', KEYS[5], 'settled', 1)
return 1
"""

# KEYS wallet holds unposted
# ARGV reading balance seconds_to_live posted_request_id…
# A wallet remembers which reading of the ledger its balance is from, and takes no older one. Readings are taken after
# the commit of what they are to contain, so a request leaves `unposted` only with a balance that contains it.
PUBLISH = """
local known = redis.call('HGET', KEYS[1], 'reading')
for i = 4, #ARGV do
  local cost = redis.call('HGET', KEYS[3], ARGV[i])
  if cost then
    redis.call('HDEL', KEYS[3], ARGV[i])
    if known then redis.call('HINCRBY', KEYS[1], 'unposted', '-' .. cost) end
  end
end
if known then
  if tonumber(ARGV[1]) >= tonumber(known) then
    redis.call('HSET', KEYS[1], 'ledger', ARGV[2], 'reading', ARGV[1])
  end
  return 0
end
local held, unposted = 0, 0
for _, value in ipairs(redis.call('HVALS', KEYS[2])) do held = held + tonumber(string.match(value, '^%d+')) end
for _, value in ipairs(redis.call('HVALS', KEYS[3])) do unposted = unposted + tonumber(value) end
redis.call('HSET', KEYS[1], 'ledger', ARGV[2], 'reading', ARGV[1], 'held', string.format('%.0f', held),
           'unposted', string.format('%.0f', unposted))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The names under which one organization is kept."""

    limits: str
    wallet: str
    holds: str
    unposted: str

    @classmethod
    def of(cls, organization_id: UUID) -> "Keys":
        """Return the names for an organization."""
        return cls(*(f"{TAG}:{name}:{organization_id}" for name in ("limits", "wallet", "holds", "unposted")))


def open_name(organization_id: UUID, request_id: UUID) -> str:
    """Return the name of a request in `open`."""
    return f"{organization_id}|{request_id}"


@dataclass(slots=True)
class _Asked:
    script: str
    keys: Sequence[str]
    args: Sequence[str | int]
    answer: asyncio.Future[Any]


class Scripts:
    """Runs scripts for many requests of one process: those that wait at the same moment share a round trip."""

    def __init__(self) -> None:
        self._waiting: list[_Asked] = []
        self._flushing: asyncio.Task[None] | None = None

    async def run(self, script: str, keys: Sequence[str], *args: str | int) -> Any:  # noqa: ANN401 (what Lua returns)
        """Run `script`; raise redis.RedisError when Valkey does not answer or refuses."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(script, keys, args, answer))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await answer

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await _deliver(batch)
        finally:
            self._flushing = None


async def _deliver(batch: Sequence[_Asked]) -> None:
    """Answer every one of `batch`, with a value or with an error."""
    try:
        answers = await _ask(batch)
    except Exception as problem:  # noqa: BLE001 (it is handed to each of those who asked)
        answers = [problem] * len(batch)
    for asked, answer in zip(batch, answers, strict=True):
        if asked.answer.done():
            continue
        if isinstance(answer, Exception):
            asked.answer.set_exception(answer)
        else:
            asked.answer.set_result(answer)


async def _ask(batch: Sequence[_Asked]) -> list[Any]:
    client = valkey()
    answers = await _pipelined(client, batch)
    unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        for script in {batch[index].script for index in unknown}:
            await client.script_load(script)
        again = await _pipelined(client, [batch[index] for index in unknown])
        for index, answer in zip(unknown, again, strict=True):
            answers[index] = answer
    return answers


async def _pipelined(client: redis.Redis, batch: Sequence[_Asked]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipeline:
        for asked in batch:
            pipeline.evalsha(_sha(asked.script), len(asked.keys), *asked.keys, *asked.args)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


_shas: dict[str, str] = {}


def _sha(script: str) -> str:
    sha = _shas.get(script)
    if sha is None:
        sha = _shas[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    return sha
