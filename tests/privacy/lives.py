"""Lives that people have led with the product: calls over a month, money that came and went."""

from datetime import UTC, datetime, time, timedelta

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.billing import ledger, rating, receipts
from assisters_app.usage import ddl, events
from assisters_app.usage.events import Event


async def busy_month(person, key, *, days=12, calls=5, dollars=20):
    """Top up, then make some calls a day: events, receipts, sums and charges, as the worker writes them down."""
    amount = dollars * 10**9
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)
        paid = {"wallet": amount, "stripe": -amount}
        await ledger.post(tx, ledger.Movement(person.organization_id, "topup", f"paid:{new_id()}", paid))
        for past in range(days):
            day = (now() - timedelta(days=past)).date()
            noon = datetime.combine(day, time(0, 5), UTC)
            made = [_call(person, key, noon + timedelta(seconds=n)) for n in range(calls)]
            await ddl.ensure(tx, [day])
            made = await events.insert(tx, made)
            await receipts.append(tx, made)
            await ledger.post_usage(tx, made)


def _call(person, key, at):
    return Event(
        request_id=new_id(), at=at, organization_id=person.organization_id, key_id=key[0],
        mode="live", endpoint="/v1/chat/completions", model="assisters-chat-v1", status=200, outcome="completed",
        input_tokens=10, output_tokens=5, cost_nano=3_000, price_version=1, duration_ms=120,
        ip="203.0.113.9", user_agent="openai-python",
    )  # fmt: skip
