"""One API call on its way: what is known of it from admission to its terminal record."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.billing import rating
from assisters_app.billing.rating import PriceVersion
from assisters_app.gateway.grants import Grant
from assisters_app.usage.events import Event, handle

CLOSED_BY_CALLER = 499  # what a record says of a call whose caller hung up; no caller sees it


class GoneError(Exception):
    """Nobody is there any more to answer to."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the upstream counted them (`estimated` when we had to), and units of what else is sold."""

    input_tokens: int = 0
    cached_tokens: int = 0  # of the input tokens
    output_tokens: int = 0
    units: int = 0  # images, seconds, characters or documents: whichever the model's family counts
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Return input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def produced(self) -> "Usage":
        """Return what is paid for of a call that was to produce something: nothing, when nothing was produced."""
        return self if self.output_tokens or self.units else Usage()


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that one call can use: held for, and no upstream's word charges more.

    `counted` are the tokens that the limit per minute is asked for, an estimate that is put right at settlement.
    """

    counted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    units: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of an organization's limits just after a request was counted. Reset is in seconds from now."""

    requests_limit: int
    requests_used: int
    tokens_limit: int
    tokens_used: int

    @property
    def requests_left(self) -> int:
        """Return how many requests may still come in this minute."""
        return max(0, self.requests_limit - self.requests_used)

    @property
    def tokens_left(self) -> int:
        """Return how many tokens may still be asked for in this minute."""
        return max(0, self.tokens_limit - self.tokens_used)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended: what its record will say."""

    outcome: str
    status: int
    usage: Usage = Usage()
    error_code: str = ""


@dataclass(slots=True)
class Call:
    """One request by a known key. Its id is minted here and carried to the end; `price` None makes it free."""

    grant: Grant
    endpoint: str
    ip: str = ""
    user_agent: str = ""
    model: str = ""
    stream: bool = False
    price: PriceVersion | None = None
    request_id: UUID = field(default_factory=new_id)
    at: datetime = field(default_factory=now)
    began: float = field(default_factory=time.perf_counter)
    waited: float = 0.0  # seconds spent waiting for the upstream
    first_token: float | None = None  # seconds from the beginning to the first token
    standing: Standing | None = None  # set by admission, whatever it decides
    admitted: bool = False
    unit: str = ""  # what `units` count, set with the bound
    bound: Bound = Bound()  # set when it is known what may be used
    ended: Ending | None = None  # set when it is settled
    caller_gone: bool = False  # set by whoever notices that nobody listens any more

    @property
    def handle(self) -> str:
        """Return the id as callers see it."""
        return handle(self.request_id)

    def elapsed(self) -> float:
        """Return seconds since the request arrived."""
        return time.perf_counter() - self.began

    def cost(self, usage: Usage) -> int:
        """Return nano-USD for `usage`; nothing used costs nothing."""
        if self.price is None:
            return 0
        return rating.cost(self.price, usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.units)

    def most(self) -> int:
        """Return the most nano-USD that the call can cost, whatever share of its input is cached."""
        bound = self.bound
        return max(
            self.cost(Usage(bound.input_tokens, cached, bound.output_tokens, bound.units))
            for cached in (0, bound.input_tokens)
        )

    def believed(self, usage: Usage) -> Usage:
        """Return `usage` as far as it can be true: no upstream's word charges more than the request allowed."""
        bound = self.bound
        tokens_fit = usage.cached_tokens <= usage.input_tokens <= bound.input_tokens
        if tokens_fit and usage.output_tokens <= bound.output_tokens and usage.units <= bound.units:
            return usage
        given = min(usage.input_tokens, bound.input_tokens)
        return replace(
            usage,
            input_tokens=given,
            cached_tokens=min(usage.cached_tokens, given),
            output_tokens=min(usage.output_tokens, bound.output_tokens),
            units=min(usage.units, bound.units),
        )

    @property
    def charged(self) -> bool:
        """Say whether it has been settled and cost something."""
        return self.ended is not None and self.cost(self.ended.usage) > 0

    def event(self, ending: Ending) -> Event:
        """Return the terminal record of a call that ended so."""
        elapsed = self.elapsed()
        return Event(
            request_id=self.request_id,
            at=self.at,
            organization_id=self.grant.organization_id,
            key_id=self.grant.key_id,
            mode=self.grant.mode,
            endpoint=self.endpoint,
            model=self.model,
            status=ending.status,
            outcome=ending.outcome,
            error_code=ending.error_code,
            input_tokens=ending.usage.input_tokens,
            cached_tokens=ending.usage.cached_tokens,
            output_tokens=ending.usage.output_tokens,
            units=ending.usage.units,
            unit=self.unit,
            estimated=ending.usage.estimated,
            cost_nano=self.cost(ending.usage),
            price_version=self.price.version if self.price else 0,
            stream=self.stream,
            duration_ms=round(elapsed * 1000),
            first_token_ms=None if self.first_token is None else round(self.first_token * 1000),
            overhead_ms=round(max(0.0, elapsed - self.waited) * 1000, 3),
            ip=self.ip,
            user_agent=self.user_agent,
        )
