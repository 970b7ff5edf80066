"""What one process does for the calls it has let in: it keeps their holds alive, and ends each of them durably.

    keeper = Keeper(scripts); await keeper.open(); …; await keeper.close()
    await keeper.admit(call, tokens, hold_nano)     as `admission.admit`; while Valkey is away, as `fallback` says
    await keeper.settle(call, ending) -> int        nano-USD; the record is in Valkey or on the disk when this returns
    await keeper.refuse(call, status, code)         the record of a call that was not let in

A hold lives for a LEASE and is renewed for as long as its process is alive and the call open: the reaper ends what a
dead process held within seconds, and nothing that is under way. Once Valkey has not answered in time, nobody waits for
it any more until it has taken a write again, which is tried twice a second. `docs/failure-modes.md` says what callers
and the books see of all this, and which test shows it.
"""

import asyncio
import logging
import math
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

import redis
from redis.exceptions import NoScriptError

from assisters_app.base.clock import now
from assisters_app.base.valkey import valkey
from assisters_app.gateway import admission, spool
from assisters_app.gateway.admission import HOLD, LEASE, PATIENCE, Unavailable, ValkeyAway
from assisters_app.gateway.calls import Call, Ending
from assisters_app.gateway.fallback import Fallback
from assisters_app.gateway.scripts import OPEN, Scripts, open_name
from assisters_app.gateway.spool import Spool, SpoolFullError
from assisters_app.usage.events import Event

LOOK = 0.5  # seconds between two looks at whether Valkey is there and records wait
RENEW = 10  # looks between two renewals of leases, and between two looks for what dead processes have left
AT_ONCE = 1_000  # leases renewed in one command

logger = logging.getLogger(__name__)


class Keeper:
    """The open calls of one process, and what it does without Valkey."""

    def __init__(self, scripts: Scripts) -> None:
        self.away = False  # whether Valkey is
        self._scripts = scripts
        self._spool = Spool()
        self._fallback = Fallback()
        self._open: dict[UUID, Call] = {}
        self._unwritten: dict[UUID, Event] = {}  # what neither Valkey nor the disk has taken yet
        self._looking: asyncio.Task[None] | None = None
        self._unattended: set[asyncio.Task[None]] = set()  # ends of calls whose own task was cancelled meanwhile

    async def open(self) -> None:
        """Begin to renew leases and to deliver what waits on this host's disk."""
        self._looking = asyncio.create_task(self._look_after())

    async def close(self) -> None:
        """Stop. What waits on the disk is delivered now, or by another process of this host."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        self._looking = None
        await asyncio.gather(*self._unattended, return_exceptions=True)
        with suppress(Unavailable):
            await self._deliver()
        self._spool.close()

    async def admit(self, call: Call, tokens: int, hold_nano: int) -> None:
        """Let a call in that may use up to so many tokens and nano-USD; afterwards it must be settled.

        Raises Limited (429), or Unavailable (503) when nobody can answer for it.
        """
        if self._unwritten:  # what was used already lies in our memory alone: not the moment to use more
            raise Unavailable
        if not self.away:
            try:
                left = await admission.admit(self._scripts, call, tokens, hold_nano)
            except ValkeyAway:
                self._lose()
            else:
                self._open[call.request_id] = call
                if left is not None and not self._spool.waits:
                    self._fallback.learn(call.grant.organization_id, left)
                return
        await self._admit_alone(call, tokens, hold_nano)

    async def settle(self, call: Call, ending: Ending) -> int:
        """End a call with its terminal record; return nano-USD charged. Goes on when the caller is cancelled.

        Raises Unavailable when neither Valkey nor the disk takes the record. We keep it, and let nobody in, until one
        of them does.
        """
        event = call.event(ending)
        self._open.pop(call.request_id, None)
        self._fallback.settle(call, event.cost_nano)
        taken = False
        if not self.away:
            answer = admission.sent(self._scripts, event)  # on its way, whether or not we are still here for the answer
            try:
                taken = await self._taken(event, answer)
            except asyncio.CancelledError:
                self._see_to(self._finish(event, answer))
                raise
        if not taken:
            await asyncio.shield(self._settle(event))
        return event.cost_nano

    async def refuse(self, call: Call, status: int, code: str) -> None:
        """Append the record of a call that was not let in. Not worth failing for: nothing was held or charged."""
        if self.away:
            return
        try:
            await admission.refuse(call, status, code)
        except ValkeyAway:
            logger.warning("A refused call left no record.", extra={"handle": call.handle})
            self._lose()

    async def _admit_alone(self, call: Call, tokens: int, hold_nano: int) -> None:
        self._fallback.admit(call, tokens, hold_nano)
        try:
            await self._spool.begin(call.event(admission.INTERRUPTED))
        except BaseException as problem:
            self._fallback.settle(call, 0)
            if isinstance(problem, SpoolFullError):
                raise Unavailable from problem
            raise
        call.admitted = True

    async def _taken(self, event: Event, answer: asyncio.Future[Any]) -> bool:
        """Wait for Valkey's answer to a record; say whether it has it."""
        try:
            await asyncio.shield(answer)
        except NoScriptError:  # it was restarted; `_settle` tells it the script anew
            return False
        except redis.RedisError:
            self._lose()
            return False
        self._spool.forget(event.request_id)
        return True

    async def _finish(self, event: Event, answer: asyncio.Future[Any]) -> None:
        if not await self._taken(event, answer):
            await self._settle(event)

    def _see_to(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done of which nobody waits for the end any more."""
        doing = asyncio.create_task(work)
        self._unattended.add(doing)
        doing.add_done_callback(self._unattended.discard)

    async def _settle(self, event: Event) -> None:
        if not self.away:
            try:
                await admission.record(self._scripts, event)
            except ValkeyAway:
                self._lose()
            else:
                self._spool.forget(event.request_id)
                return
        try:
            await self._spool.end(event)
        except SpoolFullError as problem:
            logger.exception("A call could be settled nowhere; it waits in memory.", extra={"handle": event.handle})
            self._unwritten[event.request_id] = event
            raise Unavailable from problem

    def _lose(self) -> None:
        if not self.away:
            logger.error("Valkey does not answer; going on without it.")
        self.away = True

    async def _look_after(self) -> None:
        looks = 0
        while True:
            try:
                await self._look(thorough=looks % RENEW == 0)
            except Exception:  # whatever it was, the next look comes
                logger.exception("A look after the open calls failed.")
            looks += 1
            await asyncio.sleep(LOOK)

    async def _look(self, *, thorough: bool) -> None:
        if self.away and not await _takes_writes():
            return
        if self.away:
            logger.warning("Valkey answers again.")
            self.away, thorough = False, True
        try:
            if thorough:
                await self._renew()
                await spool.deliver_orphans(self._take)
            await self._deliver()
        except Unavailable:
            self._lose()

    async def _renew(self) -> None:
        """Extend the lease of every open call, but of none that is older than any call may become."""
        eldest, until = now() - HOLD, math.floor((now() + LEASE).timestamp() * 1000)
        open_ = [call for call in self._open.values() if call.at > eldest]
        names = [open_name(call.grant.organization_id, call.request_id) for call in open_]
        for start in range(0, len(names), AT_ONCE):
            leases = dict.fromkeys(names[start : start + AT_ONCE], until)
            try:
                async with asyncio.timeout(PATIENCE):
                    await valkey().zadd(OPEN, leases, xx=True)
            except (redis.RedisError, OSError, TimeoutError) as problem:
                raise ValkeyAway from problem

    async def _deliver(self) -> None:
        if self._spool.empty and not self._unwritten:
            return
        for request_id, event in list(self._unwritten.items()):
            await self._take(event)
            self._spool.forget(request_id)
            del self._unwritten[request_id]
        await self._spool.deliver(self._take)
        self._fallback.over()

    async def _take(self, event: Event) -> None:
        await admission.record(self._scripts, event)


async def _takes_writes() -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await valkey().set("probe", "1", ex=60)
    except (redis.RedisError, OSError, TimeoutError):
        return False
    return True
