"""Pages that call the API themselves: what makes a browser hand them the answer (CORS, as the Fetch standard has it).

    asked_first(exchange) -> bool               a browser asks whether a page may send such a request at all
    await let_ask(exchange)
    shown_to(origin) -> list[Header]            what an answer says, so that the page of `origin` gets to see it

A browser asks before it has a key in its hands, so anybody may ask. The answer itself is shown to pages only with a key
that names their domain: a key without domains is for servers, and a page that holds one gets nothing out of it.
"""

import re
from typing import TYPE_CHECKING

from assisters_app.api.errors import Header

if TYPE_CHECKING:
    from assisters_app.api.exchange import Exchange

_NAMES = re.compile(r"[A-Za-z0-9, _-]{1,2000}")
SEEN = (
    b"x-request-id, x-processing-time-ms, x-overhead-ms, x-cost-usd, x-sandbox, retry-after, x-should-retry, "
    b"x-ratelimit-limit-rpm, x-ratelimit-remaining-rpm, x-ratelimit-reset-rpm, x-ratelimit-limit-tpm, "
    b"x-ratelimit-remaining-tpm, x-ratelimit-reset-tpm, idempotent-replayed, original-request-id"
)


def asked_first(exchange: "Exchange") -> bool:
    """Say whether a browser asks what it may send."""
    return exchange.scope["method"] == "OPTIONS" and bool(exchange.header(b"access-control-request-method"))


async def let_ask(exchange: "Exchange") -> None:
    """Answer that it may, for a day."""
    wanted = exchange.header(b"access-control-request-headers")
    named = wanted if _NAMES.fullmatch(wanted) else "authorization, content-type"
    await exchange.nothing(
        [
            (b"access-control-allow-origin", b"*"),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", named.encode()),
            (b"access-control-max-age", b"86400"),
        ]
    )


def shown_to(origin: str) -> list[Header]:
    """Return headers for a page whose key names its domain."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", SEEN),
        (b"vary", b"origin"),
    ]
