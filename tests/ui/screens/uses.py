"""What the people of these tests have used and paid."""

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.billing import ledger, receipts, wallet
from assisters_app.keys import keys
from assisters_app.keys.keys import NewKey
from assisters_app.usage import events
from assisters_app.usage.events import Event

ORDINARY = {
    "mode": "live",
    "endpoint": "chat/completions",
    "model": "assisters-chat-v1",
    "status": 200,
    "outcome": "completed",
    "input_tokens": 10,
    "output_tokens": 5,
    "cost_nano": 3_000,
    "price_version": 1,
    "duration_ms": 120,
    "ip": "203.0.113.9",
    "user_agent": "openai-python",
}


async def has_key(who, name="Server"):
    """Give somebody a key."""
    async with transaction() as tx:
        return (await keys.issue(tx, who.person, NewKey(name=name))).key


async def calls(who, key, count=1, at=None, **more):
    """Let a key have made `count` calls, counted and charged."""
    at = at or now()
    made = [Event(new_id(), at, who.person.organization_id, key.id, **{**ORDINARY, **more}) for _ in range(count)]
    async with transaction() as tx:
        new = await events.insert(tx, made)
        await receipts.append(tx, new)
        await ledger.post_usage(tx, new)
    return made


async def has_credit(who, amount="10"):
    """Give somebody credit."""
    async with transaction() as tx:
        await wallet.give(tx, who.person.organization_id, from_dollars(amount), f"test:{new_id()}")
