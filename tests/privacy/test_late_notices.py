"""What Stripe tells us of somebody once they are erased leads to them no more than anything else."""

import json

import pytest
from cast import ADA
from customers import customer
from payments import SECRET
from sqlmodel import select
from stripe import WebhookSignature

from assisters_app.base import jobs
from assisters_app.base.db import transaction
from assisters_app.billing import inbox, rating, topups
from assisters_app.billing.stripe import Payment
from assisters_app.billing.tables import LedgerTransaction, StripeEvent, TopUp
from assisters_app.privacy.erasing import erasure, receipts


async def brought(payments_on):
    """Deliver everything that the stand-in has to say, as its webhooks would, also what was delivered before."""
    for event in payments_on.books.every("event")[::-1]:
        body = json.dumps(event)
        async with transaction() as tx:
            await inbox.receive(tx, body.encode(), WebhookSignature.generate_signature_header(body, SECRET))
    await jobs.run_waiting()


async def rows(table):
    async with transaction() as tx:
        return (await tx.exec(select(table))).all()


@pytest.mark.promise("4.1", "6.3")
async def test_notices_that_come_after_an_erasure_name_nothing_at_stripe_and_alarm_nobody(payments_on, caplog):
    ada = await customer(ADA)
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)
        paid, left = [await topups.order(tx, ada, 2_000) for _ in range(2)]
    payments_on.press(paid.url, "pay")
    await brought(payments_on)
    async with transaction() as tx:
        assert (await topups.look_again(tx, ada, paid.handle)).state == "paid"
    before = {one.id for one in await rows(StripeEvent)}
    movements = len(await rows(LedgerTransaction))
    async with transaction() as tx:
        closing = await erasure.erase_now(tx, ada)
    await jobs.run_waiting()
    async with transaction() as tx:  # a notice is brought again when our answer to it was lost
        for one in (await tx.exec(select(StripeEvent).where(StripeEvent.type == "payment_intent.succeeded"))).all():
            await tx.delete(one)
    await brought(payments_on)
    late = [one for one in await rows(StripeEvent) if one.id not in before or one.type == "payment_intent.succeeded"]
    assert {one.type for one in late} == {"checkout.session.expired", "payment_intent.succeeded"}
    assert {one.details["outcome"] for one in late} == {topups.ENDED}
    assert [one.object_id for one in await rows(StripeEvent) if one.object_id] == []
    assert {one.handle: one.state for one in await rows(TopUp)} == {paid.handle: "paid", left.handle: "failed"}
    assert len(await rows(LedgerTransaction)) == movements
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    async with transaction() as tx:
        assert await receipts.shown(tx, closing.receipt)


async def test_money_that_comes_for_a_closed_order_of_somebody_erased_is_looked_at_by_a_person(payments_on, caplog):
    ada = await customer(ADA)
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)
        left = await topups.order(tx, ada, 2_000)
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    await jobs.run_waiting()
    await brought(payments_on)
    assert [one.state for one in await rows(TopUp)] == ["failed"]
    async with transaction() as tx:
        came = Payment("pi_late", True, 2_000, "usd", "cus_gone", left.handle)
        assert (await topups.payment_succeeded(tx, came))[0] == "does not match"
    assert "pi_late" in caplog.text
