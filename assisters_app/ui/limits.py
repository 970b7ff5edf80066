"""Bounds on what one socket may send, on how many sockets one address may hold, and on what a stranger may read."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assisters_app.accounts.client import client_of, forwarded_for
from assisters_app.accounts.throttling import Limit
from assisters_app.base.crypto import keyed_hash

RATE = 20.0  # frames per second, over time
BURST = 60.0  # frames at once
PER_ADDRESS = 200  # open sockets: an office behind one address fits
READING = Limit("reading", 240, timedelta(minutes=1))  # by one address: public pages and files that cost a look


@dataclass(slots=True)
class Bucket:
    """A token bucket: full at `BURST`, refilled at `RATE` a second."""

    tokens: float = BURST
    at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        """Take one token; False when there is none left."""
        now = time.monotonic()
        self.tokens = min(BURST, self.tokens + (now - self.at) * RATE) - 1
        self.at = now
        return self.tokens >= 0


class SocketLimits:
    """ASGI: closes a socket that floods (1008), and refuses one too many from an address (1013)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the connection on, counted."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        address = address_of(scope)
        if self.open[address] >= PER_ADDRESS:
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        self.open[address] += 1
        try:
            await self.app(scope, _limited(receive, send), send)
        finally:
            self.open[address] -= 1
            if not self.open[address]:
                del self.open[address]


def _limited(receive: Receive, send: Send) -> Receive:
    bucket, flooded = Bucket(), False

    async def limited() -> Message:
        nonlocal flooded
        message: Message = {"type": "websocket.disconnect", "code": 1008}
        if flooded:
            return message
        received = await receive()
        if received["type"] != "websocket.receive" or bucket.take():
            return received
        flooded = True
        await send({"type": "websocket.close", "code": 1008})
        return message

    return limited


def place(scope: Mapping[str, Any]) -> str:
    """Return where a request or a socket comes from, as a keyed hash that may be kept beside a tab's state."""
    return keyed_hash("place", address_of(scope))[:32]


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the address that a request or a socket is counted by (see `accounts.client`)."""
    peer = (scope.get("client") or ("",))[0]
    return client_of(peer, forwarded_for(scope["headers"])).place
