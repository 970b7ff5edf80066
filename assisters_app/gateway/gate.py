"""The gate of one process: who may pass (keys), to what (models), and the connections that passing needs.

gate = Gate(); await gate.open(); …; await gate.close()
await gate.enter(presented_key) -> Grant                     raises Refused (401, 403, 503)
gate.offer(name, family) -> Offer                            raises Refused (404, 400)
await gate.admit(call, offer, bound)                         raises Refused (429, 503); then it must be settled
async with gate.settled(call) as conclusion                  one record, whatever happens in the block
await gate.ask(call, offer, path, body, …) -> Reply          the upstream, or the sandbox
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID

import orjson
import redis
from sqlalchemy.exc import SQLAlchemyError

from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.gateway import sandbox, tickets, tokens, wallets
from assisters_app.gateway.admission import Unavailable
from assisters_app.gateway.calls import CLOSED_BY_CALLER, Bound, Call, Ending, GoneError, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.content.writer import Writer
from assisters_app.gateway.grants import Grant
from assisters_app.gateway.keeper import Keeper
from assisters_app.gateway.known import Known
from assisters_app.gateway.scripts import Scripts
from assisters_app.gateway.upload import Upload
from assisters_app.gateway.upstream import AHEAD, Reply, Upstream
from assisters_app.keys import secret

UPLOADS_ARE_ASKED_FOR = "verbose_json"  # the form of a transcript that says how long the recording is
LOOK_UP = 2.0  # seconds to wait for the database when a key is not known yet

Found = TypeVar("Found")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Conclusion:
    """How a call is going: `ending` once it is known, `so_far` what was used until now.

    Once it is settled, `usage` is what was charged and `cost` what that came to, in nano-USD.
    """

    ending: Ending | None = None
    so_far: Callable[[], Usage] = field(default=Usage)
    usage: Usage = field(default_factory=Usage)
    cost: int = 0


class Gate:
    """What one process of the API holds on to between requests."""

    def __init__(self) -> None:
        self.scripts = Scripts()
        self.keeper = Keeper(self.scripts)
        self.known = Known(self._wallet_changed)
        self._upstream = Upstream()
        self.writer = Writer()  # of content, for keys that want it kept

    async def open(self) -> None:
        """Begin to keep keys and models fresh, and read the tokenizer before a caller has to wait for it."""
        tokens.encoding()
        await self.known.open()
        await self.keeper.open()

    async def close(self) -> None:
        """Let go of every connection."""
        await self.known.close()
        await self.keeper.close()
        await self._upstream.close()
        await self.writer.close()

    async def enter(self, presented: str) -> Grant:
        """Return what the presented key (or ticket for one) may do; raise Refused when it is not one that works."""
        grant = await (self._by_ticket(presented) if tickets.looks_like(presented) else self._by_secret(presented))
        if grant.expired:
            raise Refused("This API key has expired. Make a new one in the dashboard.", code="expired_key", status=401)
        if grant.suspended:
            raise Refused(
                "This account is suspended. Sign in to see why and how to appeal.", code="account_suspended", status=403
            )
        return grant

    async def _by_secret(self, presented: str) -> Grant:
        public_id = secret.public_id_of(presented)
        grant = await self._grant(public_id) if public_id else None
        if grant is None or not grant.opens_with(presented):
            raise Refused("Incorrect API key provided.", code="invalid_api_key", status=401)
        return grant

    async def _by_ticket(self, presented: str) -> Grant:
        ticket = await _looked_up(tickets.opened(presented))
        grant = await self._grant(ticket.public_id) if ticket else None
        if ticket is None or grant is None or grant.organization_id != ticket.organization_id:
            raise Refused(
                "This page's ticket for the key has ended. Please try again.", code="invalid_ticket", status=401
            )
        return replace(grant, scopes=grant.scopes & tickets.SCOPES)

    async def _grant(self, public_id: str) -> Grant | None:
        if self.known.slept:
            await self.known.wake()
        return self.known.remembered(public_id) or await _looked_up(self.known.grant(public_id))

    def offer(self, name: object, family: str) -> Offer:
        """Return the model called `name`; raise Refused when there is none, or none of that family."""
        if not isinstance(name, str) or not name:
            raise Refused("You must provide a model parameter.", code="missing_model", field="model")
        offer = self.known.offers.get(name)
        if not self.known.offers:  # the database has been away since we started
            raise Unavailable
        if offer is None:
            raise Refused(f"The model `{name[:64]}` does not exist.", code="model_not_found", status=404, field="model")
        if offer.family != family:
            raise Refused(f"The model `{offer.id}` does not do this.", code="wrong_model", field="model")
        return offer

    def usual(self, family: str) -> str:
        """Return the model that answers when a caller names none, '' when there is none."""
        return next((offer.id for offer in self.known.offers.values() if offer.family == family), "")

    async def admit(self, call: Call, offer: Offer, bound: Bound) -> None:
        """Admit a call that uses `bound` at most, and hold what that costs; from here on it must be `settled`.

        Raises Refused: 403 for a model that the key may not call, 429, 503.
        """
        call.grant.require_model(offer.id)
        free = in_sandbox(call)
        if not free and not offer.for_sale:
            raise Refused(f"The model `{offer.id}` cannot be called yet.", code="model_without_price", status=503)
        if not free and offer.place is None:
            raise Refused(f"The model `{offer.id}` cannot be called yet.", code="model_without_upstream", status=503)
        call.price = None if free else offer.price
        call.unit, call.bound = offer.unit, bound
        await self.keeper.admit(call, bound.counted, call.most())

    async def ask(
        self, call: Call, offer: Offer, path: str, body: dict[str, Any] | Upload, *, whole: bool = False
    ) -> Reply:
        """Send `body` where it belongs: to the sandbox for test keys and without an upstream, else to the upstream.

        With `whole`, the answer is of use only as a whole; without, each piece of it as it comes.
        """
        asked, ahead = time.perf_counter(), AHEAD if whole else 0
        try:
            if in_sandbox(call):
                return await sandbox.ANSWERS[path](body, offer)
            assert offer.place is not None  # or it would not have been admitted
            if isinstance(body, Upload):
                form = body.form(offer.upstream_model, UPLOADS_ARE_ASKED_FOR)
                return await self._upstream.send(offer.place, path, form.content, form.content_type, ahead=ahead)
            sent = orjson.dumps({**body, "model": offer.upstream_model})
            return await self._upstream.send(offer.place, path, sent, ahead=ahead)
        finally:
            call.waited += time.perf_counter() - asked

    @asynccontextmanager
    async def settled(self, call: Call) -> AsyncIterator[Conclusion]:
        """Leave exactly one terminal record of an admitted call, whatever happens in the block."""
        conclusion = Conclusion()
        try:
            yield conclusion
        except Refused as refused:
            conclusion.ending = Ending("failed", refused.status, error_code=refused.code)
            raise
        except (asyncio.CancelledError, GoneError) as end:
            outcome = "client_disconnected" if call.caller_gone or isinstance(end, GoneError) else "interrupted"
            conclusion.ending = Ending(outcome, CLOSED_BY_CALLER, conclusion.so_far().produced, outcome)
            raise
        except BaseException:
            conclusion.ending = Ending("failed", 500, error_code="internal_error")
            raise
        finally:
            ending = conclusion.ending or Ending("failed", 500, error_code="internal_error")
            call.ended = _true(call, ending)
            conclusion.usage = call.ended.usage
            conclusion.cost = await self.keeper.settle(call, call.ended)

    async def _wallet_changed(self, organization_id: UUID) -> None:
        try:
            async with asyncio.timeout(LOOK_UP):
                await wallets.publish(self.scripts, organization_id)
        except (SQLAlchemyError, redis.RedisError, OSError, TimeoutError):
            logger.warning("A wallet could not be read again; it is before anybody is refused.")


def in_sandbox(call: Call) -> bool:
    """Say whether a call is answered by the sandbox, and so is free."""
    return call.grant.mode == "test" or not settings().upstreams


def _true(call: Call, ending: Ending) -> Ending:
    believed = call.believed(ending.usage)
    if believed is ending.usage:
        return ending
    logger.error("The upstream told a usage that cannot be: %s.", ending.usage, extra={"handle": call.handle})
    return replace(ending, usage=believed)


async def _looked_up(reading: Awaitable[Found]) -> Found:
    """Return what `reading` finds; raise Unavailable when the database does not answer in time."""
    try:
        async with asyncio.timeout(LOOK_UP):
            return await reading
    except (SQLAlchemyError, OSError, TimeoutError) as problem:
        raise Unavailable from problem
