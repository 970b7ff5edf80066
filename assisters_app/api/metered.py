"""What all whole, metered answers have in common."""

from collections.abc import Awaitable

from assisters_app.api.exchange import Exchange, watched
from assisters_app.base.money import NANO
from assisters_app.gateway.answers import Answer
from assisters_app.gateway.calls import Call


async def answer(exchange: Exchange, call: Call, work: Awaitable[Answer]) -> None:
    """Send what `work` answers, with its cost in dollars."""
    found: Answer = await watched(exchange, call, work)
    cost = f"{found.cost_nano // NANO}.{found.cost_nano % NANO:09d}".encode()
    await exchange.reply(200, found.body, [(b"x-cost-usd", cost)])
