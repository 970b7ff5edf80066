"""What a family makes of a request: how the upstream is asked, what that can use, and how the answer is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from assisters_app.base.errors import Refused
from assisters_app.gateway.calls import Bound, Call, Usage
from assisters_app.gateway.families import answers


class Follower(Protocol):
    """Follows a stream of events: what the caller gets to see of it, and what it has used so far."""

    done: bool  # it has ended as it should; nothing more is wanted
    finished: bool  # it may end now

    def take(self, payload: bytes) -> bytes | None:
        """Return the event that the caller gets for an upstream's payload, None for none; raise Refused at an error."""

    def so_far(self) -> Usage:
        """Return what was used until now."""

    def last_event(self, usage: Usage, cost_nano: int) -> bytes:
        """Return what ends the stream once it is settled: `usage` is what was charged, for `cost_nano` nano-USD."""

    def error_event(self, refused: Refused) -> bytes:
        """Return what ends a stream that failed on the way."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request ready to be sent: `body` to `path` upstream, which uses `bound` at most.

    `used` says what a whole answer has used, `written` what the caller gets of it once it is known what was charged
    and what that cost (nano-USD). `follower` follows the answer event by event, where the caller asked for that.
    """

    path: str
    body: dict[str, Any]
    bound: Bound
    used: Callable[[dict[str, Any]], Usage]
    written: Callable[[dict[str, Any], Usage, int], bytes] = answers.with_cost
    follower: Callable[[Call], Follower] | None = None
