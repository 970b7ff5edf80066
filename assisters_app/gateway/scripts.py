"""What happens in Valkey in one step or not at all: admit, settle, publish a balance.

All keys carry one hash tag, so that a cluster keeps what belongs together on one node; every command is one that hosted
Redis services have. Of an organization:

    limits     hash    requests and tokens of the last sixty seconds, one bucket a second and their sums
    wallet     hash    `ledger` (balance in PostgreSQL) as of a `reading`, `held`, `unposted`; rebuilt at need
    holds      hash    request id → "hold:tokens:second:context", from admission to settlement
    unposted   hash    request id → "cost:key:day", from settlement until the ledger has it
    spent      hash    only with a spend cap; see METER

of a key, only while it has limits of its own:

    limits     hash    as above, of its own requests
    spent      hash    with budgets or a limit of calls at once; see METER

and of all together: `open` (sorted set of open requests by when their hold runs out), `records` (the stream of terminal
records), `counts` (hash: admitted, settled, late; `since`, when they began). What may be spent is `ledger - unposted -
held`; amounts are nano-USD and exact below 2⁵³ (nine million dollars). Seconds are the caller's clock: hosts keep
theirs by NTP.
"""

import asyncio
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.exceptions import NoScriptError

from assisters_app.base import ids, valkey

TAG = "{api}"
OPEN, RECORDS, PARKED, COUNTS = (f"{TAG}:{name}" for name in ("open", "records", "parked", "counts"))

SLIDE = """
local function slide(key, now)
  local h = redis.call('HMGET', key, 'f', 'r', 't')
  local f = tonumber(h[1])
  if not f or now - f >= 120 then
    redis.call('DEL', key)
    redis.call('HSET', key, 'f', now, 'r', 0, 't', 0)
    redis.call('EXPIRE', key, 60)
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

# What a key or an organization has spent or holds, in nano-USD, by window: a hash of `d20261124` → day, `w…` → week,
# `m…` → month, each by its first day (UTC); `open` → its calls in flight, `h<request id>` → what each of them holds;
# `since` → the day after which every call was counted here, so that a window that began later is known from its start.
# A call counts in the windows of its arrival, as it does in the tallies that a meter is rebuilt from.
METER = """
local function spent(meter, window, since)
  local known = redis.call('HGET', meter, window)
  if known then return tonumber(known) end
  if tonumber(string.sub(window, 2)) > since then return 0 end
end
"""

# KEYS limits wallet holds open counts [own_limits own_meter organization_meter]
# ARGV now rpm tpm tokens hold request_id member expires_ms context concurrency
#      [own_rpm own_tpm own_concurrency {number of the meter's key, window, limit}…], each '' where there is no limit
# returns {what, requests used, tokens used, seconds to wait, what may still be spent (-1: not looked at), own requests
# used, own tokens used, the number of the limit or of the meter, spent so far}
ADMIT = (
    SLIDE
    + METER
    + """
local own_rpm, own_tpm, own_most = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local rpm, tpm, tokens, hold = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now, f, r, t = slide(KEYS[1], tonumber(ARGV[1]))
local own, of, kr, kt = now, now, 0, 0
if own_rpm or own_tpm then own, of, kr, kt = slide(KEYS[6], now) end
if redis.call('HEXISTS', KEYS[3], ARGV[6]) == 1 then return {'ok', r, t, 0, -1, kr, kt} end
if r + 1 > rpm then return {'rpm', r, t, room_in(KEYS[1], now, f, 'r', r + 1 - rpm), -1, kr, kt} end
if t + tokens > tpm then return {'tpm', r, t, room_in(KEYS[1], now, f, 't', t + tokens - tpm), -1, kr, kt} end
if own_rpm and kr + 1 > own_rpm then
  return {'own_rpm', r, t, room_in(KEYS[6], own, of, 'r', kr + 1 - own_rpm), -1, kr, kt}
end
if own_tpm and kt + tokens > own_tpm then
  return {'own_tpm', r, t, room_in(KEYS[6], own, of, 't', kt + tokens - own_tpm), -1, kr, kt}
end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[10]) then return {'concurrency', r, t, 1, -1, kr, kt} end
local meters = {}
for i = 14, #ARGV, 3 do
  local meter = KEYS[tonumber(ARGV[i])]
  if not meters[meter] then
    local known = redis.call('HMGET', meter, 'since', 'open')
    if not known[1] then return {'meter', r, t, 0, -1, kr, kt, tonumber(ARGV[i])} end
    if meter == KEYS[7] and own_most and tonumber(known[2]) >= own_most then
      return {'own_concurrency', r, t, 1, -1, kr, kt}
    end
    meters[meter] = tonumber(known[1])
  end
  local used, most = spent(meter, ARGV[i + 1], meters[meter]), tonumber(ARGV[i + 2])
  if not used then return {'meter', r, t, 0, -1, kr, kt, tonumber(ARGV[i])} end
  if most and hold > 0 and used + hold > most then return {'spent', r, t, 0, -1, kr, kt, (i - 14) / 3, used} end
end
local left = -1
if hold > 0 then
  local w = redis.call('HMGET', KEYS[2], 'ledger', 'unposted', 'held')
  if not w[1] then return {'wallet', r, t, 0, -1, kr, kt} end
  local available = tonumber(w[1]) - tonumber(w[2]) - tonumber(w[3])
  if available < hold then return {'balance', r, t, 0, available, kr, kt} end
  redis.call('HINCRBY', KEYS[2], 'held', ARGV[5])
  left = available - hold
end
for i = 14, #ARGV, 3 do redis.call('HINCRBY', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[5]) end
for meter in pairs(meters) do
  redis.call('HSET', meter, 'h' .. ARGV[6], ARGV[5])
  redis.call('HINCRBY', meter, 'open', 1)
end
if own_rpm or own_tpm then
  redis.call('HINCRBY', KEYS[6], 'r', 1)
  redis.call('HINCRBY', KEYS[6], 't', ARGV[4])
  redis.call('HINCRBY', KEYS[6], 'r' .. own, 1)
  redis.call('HINCRBY', KEYS[6], 't' .. own, ARGV[4])
  redis.call('EXPIRE', KEYS[6], 60)
end
redis.call('HINCRBY', KEYS[1], 'r', 1)
redis.call('HINCRBY', KEYS[1], 't', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'r' .. now, 1)
redis.call('HINCRBY', KEYS[1], 't' .. now, ARGV[4])
redis.call('EXPIRE', KEYS[1], 60)
redis.call('HSET', KEYS[3], ARGV[6], ARGV[5] .. ':' .. ARGV[4] .. ':' .. now .. ':' .. ARGV[9])
redis.call('ZADD', KEYS[4], ARGV[8], ARGV[7])
if redis.call('HINCRBY', KEYS[5], 'admitted', 1) == 1 then redis.call('HSET', KEYS[5], 'since', ARGV[1]) end
return {'ok', r + 1, t + tokens, 0, left, kr + 1, kt + tokens}
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

# KEYS limits wallet holds open counts unposted records own_limits own_meter organization_meter
# ARGV request_id member cost tokens record whose unposted day week month (the last three: windows of METER)
# returns 1, or 0 when nothing is held for the request. Then it was settled before, or reaped, or admitted while Valkey
# was away, or Valkey has lost its memory: what its own process (`whose` is "own") tells is handed on all the same, for
# the books know which of these it is, and the meters are filled from them anew. What the reaper tells is not: it knows
# nothing of such a request.
SETTLE = (
    METER
    + """
local function turn(meter, windows)
  local since = tonumber(redis.call('HGET', meter, 'since'))
  if not since then return end
  local held, more = redis.call('HGET', meter, 'h' .. ARGV[1]), tonumber(ARGV[3])
  if held then
    more = more - tonumber(held)
    redis.call('HDEL', meter, 'h' .. ARGV[1])
    redis.call('HINCRBY', meter, 'open', -1)
  end
  for _, window in ipairs(windows) do
    if spent(meter, window, since) then redis.call('HINCRBY', meter, window, string.format('%.0f', more)) end
  end
end
local held = redis.call('HGET', KEYS[3], ARGV[1])
if not held then
  if ARGV[6] ~= 'own' then return 0 end
  if ARGV[3] ~= '0' and redis.call('HSETNX', KEYS[6], ARGV[1], ARGV[7]) == 1
     and redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('HINCRBY', KEYS[2], 'unposted', ARGV[3])
  end
  redis.call('XADD', KEYS[7], '*', 'record', ARGV[5])
  redis.call('HINCRBY', KEYS[5], 'late', 1)
  redis.call('DEL', KEYS[9], KEYS[10])
  return 0
end
local hold, tokens, second = string.match(held, '^(%d+):(%d+):(%d+):')
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[2])
local has_wallet = redis.call('EXISTS', KEYS[2]) == 1
if has_wallet and hold ~= '0' then redis.call('HINCRBY', KEYS[2], 'held', '-' .. hold) end
if ARGV[3] ~= '0' then
  redis.call('HSET', KEYS[6], ARGV[1], ARGV[7])
  if has_wallet then redis.call('HINCRBY', KEYS[2], 'unposted', ARGV[3]) end
end
local unused = tonumber(ARGV[4]) - tonumber(tokens)
if unused ~= 0 and redis.call('HEXISTS', KEYS[1], 't' .. second) == 1 then
  redis.call('HINCRBY', KEYS[1], 't' .. second, unused)
  redis.call('HINCRBY', KEYS[1], 't', unused)
end
if redis.call('EXISTS', KEYS[8], KEYS[9], KEYS[10]) > 0 then
  if unused ~= 0 and redis.call('HEXISTS', KEYS[8], 't' .. second) == 1 then
    redis.call('HINCRBY', KEYS[8], 't' .. second, unused)
    redis.call('HINCRBY', KEYS[8], 't', unused)
  end
  turn(KEYS[9], {ARGV[8], ARGV[9], ARGV[10]})
  turn(KEYS[10], {ARGV[10]})
end
redis.call('XADD', KEYS[7], '*', 'record', ARGV[5])
redis.call('HINCRBY', KEYS[5], 'settled', 1)
return 1
"""
)

# KEYS wallet holds unposted
# ARGV reading balance seconds_to_live posted_request_id…
# A wallet remembers which reading of the ledger its balance is from, and takes no older one. Readings are taken after
# the commit of what they are to contain, so a request leaves `unposted` only with a balance that contains it. A wallet
# that is forgotten keeps its reading: rebuilt from an older one, it would miss what has left `unposted` since.
PUBLISH = """
local wallet = redis.call('HMGET', KEYS[1], 'reading', 'ledger')
local older = wallet[1] and tonumber(ARGV[1]) < tonumber(wallet[1])
if #ARGV > 3 then
  local posted, seen = 0, {}
  for i, cost in ipairs(redis.call('HMGET', KEYS[3], unpack(ARGV, 4))) do
    if cost and not seen[ARGV[i + 3]] then
      posted, seen[ARGV[i + 3]] = posted + tonumber(string.match(cost, '^%d+')), true
    end
  end
  redis.call('HDEL', KEYS[3], unpack(ARGV, 4))
  if wallet[2] and posted > 0 then redis.call('HINCRBY', KEYS[1], 'unposted', string.format('-%.0f', posted)) end
end
if older then return 0 end
redis.call('HSET', KEYS[1], 'ledger', ARGV[2], 'reading', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
if wallet[2] then return 0 end
local held, unposted = 0, 0
for _, value in ipairs(redis.call('HVALS', KEYS[2])) do held = held + tonumber(string.match(value, '^%d+')) end
for _, value in ipairs(redis.call('HVALS', KEYS[3])) do
  unposted = unposted + tonumber(string.match(value, '^%d+'))
end
redis.call('HSET', KEYS[1], 'held', string.format('%.0f', held), 'unposted', string.format('%.0f', unposted))
return 1
"""

# KEYS wallet holds unposted meter
# ARGV reading seconds_to_live key_id ('' for the whole organization) since how_many {window, its end, posted}…
#      request_id… (unposted, but contained in `posted`)
# A meter is filled from what PostgreSQL says (`posted`), what is not there yet, and what is held. When the wallet has
# another reading than before PostgreSQL was asked, something may have moved from the one to the other: returns 0, and
# it has to be asked again.
FILL_METER = """
if redis.call('HGET', KEYS[1], 'reading') ~= ARGV[1] then return 0 end
local own, many, open = '"key_id":"' .. ARGV[3] .. '"', tonumber(ARGV[5]), 0
local sums, posted = {}, {}
for i = 1, many do sums[i] = tonumber(ARGV[5 + 3 * i]) end
for i = 6 + 3 * many, #ARGV do posted[ARGV[i]] = true end
local function count(day, nano)
  for i = 1, many do
    local first, after = tonumber(string.sub(ARGV[3 + 3 * i], 2)), tonumber(ARGV[4 + 3 * i])
    if day >= first and day < after then sums[i] = sums[i] + nano end
  end
end
redis.call('DEL', KEYS[4])
local held = redis.call('HGETALL', KEYS[2])
for i = 1, #held, 2 do
  if ARGV[3] == '' or string.find(held[i + 1], own, 1, true) then
    local hold = string.match(held[i + 1], '^%d+')
    local year, month, day = string.match(held[i + 1], '"at":"(%d%d%d%d)%-(%d%d)%-(%d%d)')
    count(tonumber(year .. month .. day), tonumber(hold))
    redis.call('HSET', KEYS[4], 'h' .. held[i], hold)
    open = open + 1
  end
end
local waiting = redis.call('HGETALL', KEYS[3])
for i = 1, #waiting, 2 do
  local cost, key_id, day = string.match(waiting[i + 1], '^(%d+):([^:]+):(%d+)$')
  local counts = cost and (ARGV[3] == '' or ARGV[3] == key_id) and not posted[waiting[i]]
  if counts then count(tonumber(day), tonumber(cost)) end
end
redis.call('HSET', KEYS[4], 'since', ARGV[4], 'open', open)
for i = 1, many do redis.call('HSET', KEYS[4], ARGV[3 + 3 * i], string.format('%.0f', sums[i])) end
redis.call('EXPIRE', KEYS[4], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The names under which one organization, or one API key, is kept."""

    limits: str
    wallet: str
    holds: str
    unposted: str
    spent: str

    @staticmethod
    @functools.lru_cache(maxsize=16_384)
    def of(id_: UUID) -> "Keys":
        """Return the names for an organization, or for a key, which has `limits` and `spent` only."""
        return Keys(*(f"{TAG}:{name}:{id_}" for name in ("limits", "wallet", "holds", "unposted", "spent")))


def open_name(organization_id: UUID, request_id: UUID) -> str:
    """Return the name of a request in `open`."""
    return f"{ids.text(organization_id)}|{ids.text(request_id)}"


class Scripts:
    """Runs scripts for many requests of one process: those that are asked at the same moment travel together."""

    async def run(self, script: str, keys: Sequence[str], *args: str | int) -> Any:  # noqa: ANN401 (what Lua returns)
        """Run `script`; raise redis.RedisError when Valkey refuses or does not answer in time (`base.line`)."""
        try:
            return await self.send(script, keys, *args)
        except NoScriptError:
            await valkey.line().ask("SCRIPT", "LOAD", script)
            return await self.send(script, keys, *args)

    def send(self, script: str, keys: Sequence[str], *args: str | int) -> asyncio.Future[Any]:
        """Send `script` on its way at once, and return its answer; it says so (NoScriptError) when Valkey lacks it."""
        return valkey.line().ask("EVALSHA", _sha(script), len(keys), *keys, *args)


_shas: dict[str, str] = {}


def _sha(script: str) -> str:
    sha = _shas.get(script)
    if sha is None:
        sha = _shas[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    return sha
