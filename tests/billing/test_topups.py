"""Ada tops up at Stripe; she is credited once, in full, for what she paid, and Mallory for nothing."""

import asyncio
import json
from datetime import datetime
from functools import partial

import pytest
from aiohttp import web
from cast import MALLORY
from nets import free_port
from payments import SECRET
from sqlalchemy import text
from sqlmodel import select
from stripe import WebhookSignature
from tills import balance, orders, outcomes

from assisters_app.accounts import corrections
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs, settings
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.base.tables import TrailEntry
from assisters_app.billing import customers, inbox, invariants, stripe, topups
from assisters_app.billing.tables import StripeEvent
from assisters_app.gateway import ingest
from assisters_app.usage.events import Event


async def order(who, cents=5_000):
    async with transaction() as tx:
        return await topups.order(tx, who, cents)


async def pay(double, who, cents=5_000, button="pay"):
    placed = await order(who, cents)
    double.press(placed.url, button)
    return placed


async def entries():
    async with transaction() as tx:
        found = await tx.sql(
            text("""SELECT t.kind, e.account, e.amount_nano / 10000000 AS cents FROM ledger_entry e
                    JOIN ledger_transaction t ON t.id = e.transaction_id ORDER BY e.id""")
        )
        return [(row.kind, row.account, row.cents) for row in found]


async def sound():
    async with transaction() as tx:
        return all(invariant.holds for invariant in await invariants.check(tx))


async def test_ada_tops_up_and_gets_her_bonus(ada, postman, stripe_client):
    placed = await pay(postman.double, ada, 5_000)
    assert await balance(ada.organization_id) == 0
    await postman.bring_all()
    assert await balance(ada.organization_id) == from_dollars("52.50")
    assert await entries() == [
        ("topup", "wallet", 5_000), ("topup", "stripe", -5_000), ("bonus", "wallet", 250), ("bonus", "bonus", -250),
    ]  # fmt: skip
    (row,) = await orders()
    assert (row.handle, row.state) == (placed.handle, "paid")
    session = stripe_client.v1.checkout.sessions.retrieve(row.checkout_session_id)
    assert session.success_url == f"{settings.settings().public_url}/dashboard/billing?top_up={placed.handle}"
    async with transaction() as tx:
        actions = [entry.action for entry in await tx.exec(select(TrailEntry).order_by(TrailEntry.id))]
        noted = (await tx.exec(select(StripeEvent))).all()
    assert actions == ["topup:ordered", "topup:paid"]
    assert {event.organization_id for event in noted} == {ada.organization_id}
    assert await sound()


async def test_the_same_event_three_times_is_one_entry(ada, postman):
    await pay(postman.double, ada)
    (completed,) = postman.letters("checkout.session.completed")
    await postman.bring(completed, completed)
    await postman.bring(completed)
    assert await balance(ada.organization_id) == from_dollars("52.50")
    assert len(await entries()) == 4
    await inbox.handle(completed["id"])  # the queue runs a job at least once
    assert await outcomes() == {completed["id"]: "granted"}


@pytest.mark.parametrize("newest_first", [False, True])
async def test_events_in_any_order_grant_once(ada, postman, newest_first):
    await pay(postman.double, ada)
    letters = postman.letters()
    await postman.bring(*(letters[::-1] if newest_first else letters))
    assert len(await entries()) == 4
    assert sorted(await _words()) == ["granted", "granted before"]


@pytest.mark.promise("2.2")
async def test_two_events_handled_at_the_same_moment_grant_once(ada, postman):
    await pay(postman.double, ada)
    letters = postman.letters("checkout.session.completed", "payment_intent.succeeded")
    for letter in letters:
        body = json.dumps(letter)
        async with transaction() as tx:
            await inbox.receive(tx, body.encode(), WebhookSignature.generate_signature_header(body, SECRET))
    queue = jobs.app()
    async with queue.open_async():
        await queue.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False, concurrency=4)
    assert len(await entries()) == 4
    assert sorted(await _words()) == ["granted", "granted before"]


async def _words():
    return (await outcomes()).values()


@pytest.fixture
async def door():
    """Receive webhooks over HTTP, as the route does."""

    async def open_up(request):
        async with transaction() as tx:
            await inbox.receive(tx, await request.read(), request.headers["Stripe-Signature"])
        return web.Response()

    app, port = web.Application(), free_port()
    app.router.add_post("/", open_up)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/"
    await runner.cleanup()


@pytest.mark.promise("2.2")
async def test_webhooks_delivered_over_http_doubled_and_reversed_grant_once(ada, postman, door):
    await pay(postman.double, ada)
    ask = partial(postman.double.control, url=door, hold=True, copies=2, reorder=True, release=True)
    state = await asyncio.to_thread(ask)  # in a thread: the door is served by this loop
    assert [attempt["statuses"] for attempt in state["deliveries"]] == [[200, 200]] * len(postman.letters())
    await jobs.run_waiting()
    assert await balance(ada.organization_id) == from_dollars("52.50")
    assert sorted(await _words()) == ["granted", "granted before"]


async def test_a_completed_but_unpaid_session_grants_nothing_until_the_debit_arrives(ada, postman):
    await pay(postman.double, ada, button="later")
    await postman.bring_all()
    assert await balance(ada.organization_id) == 0
    (row,) = await orders()
    assert row.state == "open"
    postman.double.control(settle=row.checkout_session_id, paid=True)
    await postman.bring_all()
    assert await balance(ada.organization_id) == from_dollars("52.50")


async def test_a_debit_that_bounces_closes_the_order(ada, postman):
    await pay(postman.double, ada, button="later")
    (row,) = await orders()
    postman.double.control(settle=row.checkout_session_id, paid=False)
    await postman.bring_all()
    assert [row.state for row in await orders()] == ["failed"]
    assert await entries() == []


async def test_a_declined_card_and_an_expired_page_grant_nothing(ada, postman, stripe_client):
    await pay(postman.double, ada, button="decline")
    (row,) = await orders()
    stripe_client.v1.checkout.sessions.expire(row.checkout_session_id)
    await postman.bring_all()
    assert [row.state for row in await orders()] == ["failed"]
    assert await entries() == []


@pytest.mark.parametrize(
    ("field", "value"), [("amount_total", 100), ("currency", "eur"), ("customer", "cus_of_somebody_else")]
)
async def test_a_session_that_does_not_match_its_order_grants_nothing_and_is_loud(ada, postman, caplog, field, value):
    await pay(postman.double, ada)
    (row,) = await orders()
    postman.double.books.objects[row.checkout_session_id][field] = value
    await postman.bring(*postman.letters("checkout.session.completed"))
    assert await entries() == []
    assert list(await _words()) == ["does not match"]
    assert "nothing was granted" in caplog.text


async def test_a_payment_of_another_amount_than_ordered_grants_nothing(ada, postman, caplog):
    await pay(postman.double, ada)
    intent = next(i for i in postman.double.books.every("payment_intent"))
    intent["amount_received"] = 1
    await postman.bring(*postman.letters("payment_intent.succeeded"))
    assert await entries() == []
    assert "nothing was granted" in caplog.text


async def test_mallory_cannot_put_adas_order_on_her_own_session(ada, people, postman, stripe_client):
    mallory = await people(MALLORY)
    adas = await order(ada, 25_000)
    await pay(postman.double, mallory, 1_000)
    hers = next(row for row in await orders() if row.organization_id == mallory.organization_id)
    session = postman.double.books.objects[hers.checkout_session_id]
    session["client_reference_id"] = session["metadata"]["order"] = adas.handle
    await postman.bring(*postman.letters("checkout.session.completed"))
    assert await balance(ada.organization_id) == 0
    session["client_reference_id"], session["metadata"]["order"] = adas.handle, hers.handle
    async with transaction() as tx:
        assert (await topups.session_changed(tx, await stripe.checkout(session["id"])))[0] == "does not match"


async def test_a_session_pays_the_order_it_was_opened_for_and_no_other(ada, postman):
    first, second = await order(ada), await order(ada)
    postman.double.press(second.url, "pay")
    session = next(s for s in postman.double.books.every("checkout.session") if s["status"] == "complete")
    session["client_reference_id"] = session["metadata"]["order"] = first.handle
    await postman.bring(*postman.letters("checkout.session.completed"))
    assert list(await _words()) == ["does not match"]
    assert await entries() == []


async def test_payments_of_other_things_are_left_alone(ada, postman, stripe_client):
    stripe_client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    await postman.bring_all()
    assert list(await _words()) == ["not ours"]


@pytest.mark.parametrize("signature", [None, "", "t=1,v1=00", "nonsense"])
async def test_a_forged_webhook_is_refused_and_leaves_nothing(ada, postman, signature):
    await pay(postman.double, ada)
    body = json.dumps(postman.letters("checkout.session.completed")[0]).encode()
    async with transaction() as tx:
        with pytest.raises(Refused, match="signature") as refused:
            await inbox.receive(tx, body, signature)
    assert refused.value.status == 400
    assert await outcomes() == {}


async def test_a_signature_of_another_secret_or_another_body_is_refused(ada, postman):
    await pay(postman.double, ada)
    body = json.dumps(postman.letters("checkout.session.completed")[0])
    async with transaction() as tx:
        with pytest.raises(Refused):
            await inbox.receive(tx, body.encode(), WebhookSignature.generate_signature_header(body, "whsec_mallory"))
        with pytest.raises(Refused):
            await inbox.receive(tx, body.encode(), WebhookSignature.generate_signature_header(body + " ", SECRET))
        old = WebhookSignature.generate_signature_header(body, SECRET, timestamp=1_700_000_000)
        with pytest.raises(Refused):
            await inbox.receive(tx, body.encode(), old)


async def test_without_a_secret_there_is_no_door_at_all(ada, house):
    body = json.dumps({"id": "evt_1", "object": "event"})
    async with transaction() as tx:
        with pytest.raises(Refused) as refused:
            await inbox.receive(tx, body.encode(), WebhookSignature.generate_signature_header(body, ""))
    assert refused.value.status == 404


async def test_without_keys_top_ups_are_switched_off_with_a_sentence(ada, house):
    async with transaction() as tx:
        with pytest.raises(Refused, match="switched off") as refused:
            await topups.order(tx, ada, 5_000)
        with pytest.raises(Refused, match="switched off"):
            await topups.portal_link(tx, ada)
    assert refused.value.code == "payments_off"


@pytest.mark.parametrize("cents", [0, -5_000, 999, 50_000])
async def test_amounts_that_are_not_offered_are_refused(ada, payments_on, cents):
    with pytest.raises(Refused) as refused:
        await order(ada, cents)
    assert refused.value.field == "amount"
    assert await orders() == []


async def test_the_way_back_grants_at_once_what_no_webhook_has_told_yet(ada, people, postman):
    placed = await pay(postman.double, ada)
    async with transaction() as tx:
        assert (await topups.look_again(tx, ada, placed.handle)).state == "paid"
    await postman.bring_all()
    assert await balance(ada.organization_id) == from_dollars("52.50")
    mallory = await people(MALLORY)
    async with transaction() as tx:
        with pytest.raises(NotFound):
            await topups.look_again(tx, mallory, placed.handle)
        assert [row.state for row in await topups.listed(tx, ada.organization_id)] == ["paid"]
        assert await topups.listed(tx, mallory.organization_id) == []


async def test_a_refund_takes_credit_and_its_share_of_the_bonus_back(ada, postman, stripe_client):
    await pay(postman.double, ada)
    await postman.bring_all()
    (row,) = await orders()
    stripe_client.v1.refunds.create({"payment_intent": row.payment_intent_id, "amount": 1_000})
    await postman.bring_all()
    await postman.bring(*postman.letters("charge.refunded", "refund.created"))
    assert await balance(ada.organization_id) == from_dollars("42")
    stripe_client.v1.refunds.create({"payment_intent": row.payment_intent_id})
    await postman.bring_all()
    assert await balance(ada.organization_id) == 0
    assert [row.state for row in await orders()] == ["refunded"]
    assert await sound()


async def test_a_bonus_that_does_not_divide_is_taken_back_to_the_last_nano(ada, postman, stripe_client):
    await pay(postman.double, ada, 5_001)
    await postman.bring_all()
    (row,) = await orders()
    for cents in (1_000, 1_000, 1_000, 2_001):
        stripe_client.v1.refunds.create({"payment_intent": row.payment_intent_id, "amount": cents})
        await postman.bring(*postman.letters("charge.refunded")[-1:])
    assert await balance(ada.organization_id) == 0


async def test_a_refund_heard_of_before_the_payment_still_ends_at_nothing(ada, postman, stripe_client):
    await pay(postman.double, ada)
    intent = next(i for i in postman.double.books.every("payment_intent"))
    stripe_client.v1.refunds.create({"payment_intent": intent["id"]})
    await postman.bring(*postman.letters("charge.refunded"))
    await postman.bring_all()
    assert await balance(ada.organization_id) == 0
    assert await sound()


async def test_a_refund_that_fails_later_is_undone(ada, postman, stripe_client):
    await pay(postman.double, ada)
    (intent,) = postman.double.books.every("payment_intent")
    refund = stripe_client.v1.refunds.create({"payment_intent": intent["id"], "amount": 2_000})
    await postman.bring_all()
    kept = postman.double.books.objects[refund.id]
    kept["status"] = "failed"
    postman.double.books.note("refund.failed", kept)
    await postman.bring(*postman.letters("refund.failed"))
    assert await balance(ada.organization_id) == from_dollars("52.50")
    assert await sound()


@pytest.mark.parametrize(("won", "left"), [(True, "52.50"), (False, "0")])
async def test_a_dispute_holds_the_credit_back_until_it_is_decided(ada, postman, won, left):
    await pay(postman.double, ada)
    await postman.bring_all()
    (row,) = await orders()
    name = postman.double.control(dispute=row.payment_intent_id)["made"]["dispute"]
    await postman.bring_all()
    assert await balance(ada.organization_id) == 0
    postman.double.control(decide=name, won=won)
    await postman.bring(*postman.letters()[::-1])
    assert await balance(ada.organization_id) == from_dollars(left)
    assert await sound()


async def test_stripe_being_down_is_a_sentence_and_leaves_no_order(ada, payments_on, monkeypatch):
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setattr(stripe, "RETRIES", 0)
    settings.settings.cache_clear()
    with pytest.raises(Refused, match="Nothing was charged") as refused:
        await order(ada)
    assert refused.value.status == 503
    assert await orders() == []


@pytest.mark.parametrize("times", [1, 2], ids=["first", "known"])
async def test_while_stripe_takes_its_time_calls_are_written_into_the_books(ada, payments_on, monkeypatch, times):
    opens = stripe.open_checkout

    async def slowly(*words, **urls):
        event = Event(
            new_id(), now(), ada.organization_id, new_id(), "live", "/v1/x", "m", 200, "completed", cost_nano=7
        )
        async with asyncio.timeout(5):
            await ingest._post([event])
        return await opens(*words, **urls)

    monkeypatch.setattr(stripe, "open_checkout", slowly)
    for _ in range(times):
        await order(ada)
    assert await balance(ada.organization_id) == -7 * times


async def test_a_lost_answer_is_retried_and_makes_one_customer_and_one_session(ada, payments_on, monkeypatch):
    payments_on.control(lose_answers=1)
    await order(ada)
    assert len(payments_on.books.every("customer")) == 1
    assert len(payments_on.books.every("checkout.session")) == 1


async def test_ada_is_one_customer_however_often_she_comes(ada, payments_on):
    await order(ada)
    await order(ada)
    async with transaction() as tx:
        link = await topups.portal_link(tx, ada)
    assert "Pretend billing portal" in payments_on.client.get(link).text
    assert len(payments_on.books.every("customer")) == 1


async def test_a_customer_stripe_no_longer_knows_is_made_anew(ada, payments_on):
    async with transaction() as tx:
        (await tx.get(Organization, ada.organization_id)).stripe_customer_id = "cus_of_an_older_account"
    await order(ada)
    (customer,) = payments_on.books.every("customer")
    async with transaction() as tx:
        assert (await tx.get(Organization, ada.organization_id)).stripe_customer_id == customer["id"]


async def test_a_corrected_and_a_forgotten_customer_are_so_at_stripe_too(ada, payments_on):
    await order(ada)
    (customer,) = payments_on.books.every("customer")
    await stripe.correct_customer(customer["id"], email="countess@example.com", name="Ada King")
    assert payments_on.books.objects[customer["id"]]["email"] == "countess@example.com"
    await stripe.forget_customer(customer["id"])
    await stripe.forget_customer(customer["id"])
    assert payments_on.books.objects[customer["id"]]["deleted"]
    await stripe.correct_customer(customer["id"], email="a@example.com", name="")


async def test_a_forgotten_customer_can_no_longer_pay_what_was_left_open(ada, payments_on):
    await order(ada)
    (customer,) = payments_on.books.every("customer")
    await stripe.forget_customer(customer["id"])
    assert [session["status"] for session in payments_on.books.every("checkout.session")] == ["expired"]


async def test_an_event_left_behind_by_an_outage_is_taken_up_again(ada, postman, monkeypatch):
    await pay(postman.double, ada)
    (completed,) = postman.letters("checkout.session.completed")
    async with transaction() as tx:
        tx.add(StripeEvent(id=completed["id"], type=completed["type"], object_id=completed["data"]["object"]["id"]))
        await tx.flush()
        await tx.sql(text("UPDATE stripe_event SET received_at = received_at - interval '16 minutes'"))
    await inbox.handle_forgotten()
    await jobs.run_waiting()
    assert await balance(ada.organization_id) == from_dollars("52.50")


async def plan_of(who):
    async with transaction() as tx:
        return (await tx.get(Organization, who.organization_id)).plan


async def test_what_was_paid_in_decides_the_plan(ada, postman):
    assert await plan_of(ada) == "free"
    await pay(postman.double, ada, 1_000)
    assert await plan_of(ada) == "free"
    await postman.bring_all()
    assert await plan_of(ada) == "developer"
    await pay(postman.double, ada, 24_000)
    await postman.bring_all()
    assert await plan_of(ada) == "startup"


async def somebody_waits_for_a_lock():
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with transaction() as tx:
        return (await tx.sql(waiting)).scalar_one()


async def test_two_top_ups_paid_at_once_decide_the_plan_together(ada, postman):
    for _ in range(2):
        await pay(postman.double, ada, 12_500)
    first, second = [await stripe.payment(one["id"]) for one in postman.double.books.every("payment_intent")]

    async def grant_the_second():
        async with transaction() as tx:
            await topups.payment_succeeded(tx, second)

    async with transaction() as tx:
        await topups.payment_succeeded(tx, first)
        granting = asyncio.ensure_future(grant_the_second())
        async with asyncio.timeout(10):
            while not (granting.done() or await somebody_waits_for_a_lock()):
                pass
    await granting
    assert await plan_of(ada) == "startup"


@pytest.mark.promise("6.2")
async def test_a_new_address_reaches_stripe_and_ada_can_see_that_it_did(ada, payments_on):
    await order(ada)
    async with transaction() as tx:
        await corrections.write(tx, ada.account_id, "e-mail address", "ada@example.com", "countess@example.com")
        (await tx.get(Account, ada.account_id)).email = "countess@example.com"
        await customers.tell_stripe(tx, ada.account_id)
    await jobs.run_waiting()
    (customer,) = payments_on.books.every("customer")
    assert customer["email"] == "countess@example.com"
    async with transaction() as tx:
        (one,) = await corrections.history(tx, ada)
    assert [(processor, bool(datetime.fromisoformat(at))) for processor, at in one.told] == [("stripe", True)]
