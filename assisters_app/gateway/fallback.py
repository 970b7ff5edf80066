"""Who may pass while Valkey is away: what one process can answer for by itself.

    fallback.learn(organization_id, left)        what an organization could still spend, when Valkey said so last
    fallback.admit(call, tokens, hold_nano)      raises Limited or Unavailable
    fallback.settle(call, cost_nano)
    fallback.over()                              Valkey has been told everything

The limits per minute, and of calls at once, are counted by each process for itself, so N processes let N times as much
through. Of the money
each process lets an organization spend at most CEILING in one outage, and no more than a SHARE-th of the balance that
it heard of last: up to SHARE processes together never spend what is not there. An organization of whose balance a
process has not heard lately, and a key with limits of its own or under a spend cap, have to wait: nobody can answer for
those.
"""

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from assisters_app.base.clock import now
from assisters_app.base.money import from_cents
from assisters_app.gateway.admission import WINDOW, Unavailable, limited, too_many
from assisters_app.gateway.calls import Call, Standing

CEILING = from_cents(25)  # nano-USD for one organization, by one process, in one outage
SHARE = 10  # and a tenth of its last known balance
KNOWN_FOR = timedelta(minutes=10)  # how long what was heard of a balance is believed
MOST = 10_000  # organizations remembered


@dataclass(slots=True)
class _Purse:
    """What one organization may spend here: `left` as heard `at`, `spent` since Valkey went away, `held` at present."""

    left: int
    at: datetime
    spent: int = 0
    held: int = 0


@dataclass(slots=True)
class _Minute:
    """What one organization has asked for in the last minute: (second, tokens), the oldest first."""

    asked: deque[tuple[int, int]] = field(default_factory=deque)

    def slide(self, second: int) -> tuple[int, int]:
        """Forget what is older than a minute; return requests and tokens."""
        while self.asked and self.asked[0][0] <= second - WINDOW:
            self.asked.popleft()
        return len(self.asked), sum(tokens for _, tokens in self.asked)


class Fallback:
    """What one process remembers for when Valkey goes away."""

    def __init__(self) -> None:
        self._purses: dict[UUID, _Purse] = {}
        self._minutes: dict[UUID, _Minute] = {}
        self._holds: dict[UUID, int] = {}  # of the calls let in here, 0 for free ones
        self._open: Counter[UUID] = Counter()  # how many of them each organization has

    def learn(self, organization_id: UUID, left: int) -> None:
        """Remember what an organization could still spend."""
        if organization_id not in self._purses and len(self._purses) >= MOST:
            del self._purses[next(iter(self._purses))]
        before = self._purses.get(organization_id)
        self._purses[organization_id] = _Purse(left, now(), held=before.held if before else 0)

    def admit(self, call: Call, tokens: int, hold_nano: int) -> None:
        """Let a call in that may use so many tokens and nano-USD; raise Limited (429) or Unavailable (503)."""
        grant, second = call.grant, math.floor(now().timestamp())
        if grant.own is not None or grant.spend_cap is not None:
            raise Unavailable
        minute = self._minutes.setdefault(grant.organization_id, _Minute())
        requests, used = minute.slide(second)
        call.standing = Standing(grant.requests_per_minute, requests, grant.tokens_per_minute, used)
        wait = minute.asked[0][0] + WINDOW - second if minute.asked else WINDOW
        if requests + 1 > grant.requests_per_minute:
            raise limited("rpm", call.standing, tokens, wait)
        if used + tokens > grant.tokens_per_minute:
            raise limited("tpm", call.standing, tokens, wait)
        if self._open[grant.organization_id] >= grant.concurrency:
            raise too_many(call.standing, 1, "Your organization", grant.concurrency)
        self._hold(call, hold_nano)
        minute.asked.append((second, tokens))
        call.standing = Standing(
            grant.requests_per_minute, requests + 1, grant.tokens_per_minute, used + tokens
        )  # fmt: skip

    def settle(self, call: Call, cost_nano: int) -> None:
        """Give back what a call let in here has not used; any other call changes nothing."""
        held = self._holds.pop(call.request_id, None)
        if held is None:
            return
        self._open[call.grant.organization_id] -= 1
        purse = self._purses.get(call.grant.organization_id)
        if purse is not None:
            purse.held -= held
            purse.spent += cost_nano

    def over(self) -> None:
        """Begin anew: what was spent here is in Valkey now, and is not in what was heard of the balances before."""
        for purse in self._purses.values():
            purse.left, purse.spent = purse.left - purse.spent, 0
        self._minutes.clear()

    def _hold(self, call: Call, hold_nano: int) -> None:
        purse = self._purses.get(call.grant.organization_id)
        if hold_nano:
            if purse is None or now() - purse.at > KNOWN_FOR:
                raise Unavailable
            if purse.spent + purse.held + hold_nano > min(CEILING, purse.left // SHARE):
                raise Unavailable
            purse.held += hold_nano
        self._holds[call.request_id] = hold_nano
        self._open[call.grant.organization_id] += 1
