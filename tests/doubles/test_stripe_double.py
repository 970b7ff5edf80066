"""The Stripe stand-in behaves as Stripe does, towards the official client and towards a person who pays."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import stripe
from cast import ADA
from nets import free_port
from payments import SECRET
from stripe import StripeClient

from assisters_app.base import clock
from assisters_app.doubles.stripe.serving import Served, served

BACK = "https://assisters.example/billing"


@dataclass
class Merchant:
    """The receiving end of webhooks: keeps what came, answers with `status`."""

    url: str = ""
    status: int = 200
    came: list[tuple[bytes, str]] = field(default_factory=list)

    def events(self):
        return [stripe.Webhook.construct_event(body, signature, SECRET) for body, signature in self.came]

    def types(self):
        return [event.type for event in self.events()]


@pytest.fixture(scope="module")
def shop() -> Iterator[Merchant]:
    merchant = Merchant()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            merchant.came.append((body, self.headers["Stripe-Signature"]))
            self.send_response(merchant.status)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    merchant.url = f"http://127.0.0.1:{server.server_port}/webhook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield merchant
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def merchant(shop) -> Merchant:
    shop.came, shop.status = [], 200
    return shop


@pytest.fixture(scope="module")
def standing(shop) -> Iterator[Served]:
    with served(shop.url, SECRET) as double:
        yield double


@pytest.fixture
def double(standing, merchant) -> Served:
    standing.control(reset=True, hold=True)
    return standing


@pytest.fixture
def client(double) -> StripeClient:
    return client_of(double.url)


def client_of(url):
    return StripeClient("sk_test_ada", base_addresses={"api": url})


def top_up(client, dollars=25, **more):
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": dollars * 100,
                        "product_data": {"name": "Assisters credit"},
                    },
                }
            ],
            "success_url": BACK + "?paid={CHECKOUT_SESSION_ID}",
            "cancel_url": BACK,
            "client_reference_id": "top_1",
            "metadata": {"order": "top_1"},
            **more,
        }
    )


def test_a_customer_is_made_changed_listed_and_deleted(client):
    ada = client.v1.customers.create({"email": ADA, "metadata": {"org": "org_1", "x": "y"}})
    client.v1.customers.update(ada.id, {"name": "Ada", "metadata": {"x": ""}})
    seen = client.v1.customers.retrieve(ada.id)
    assert (seen.email, seen.name, seen.metadata.to_dict()) == (ADA, "Ada", {"org": "org_1"})
    assert [c.id for c in client.v1.customers.list({"email": ADA}).data] == [ada.id]
    assert client.v1.customers.delete(ada.id).deleted
    assert client.v1.customers.retrieve(ada.id).deleted
    assert client.v1.customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such customer") as gone:
        client.v1.customers.update(ada.id, {"name": "Ada"})
    assert (gone.value.code, gone.value.http_status) == ("resource_missing", 404)


async def test_the_async_client_works_too(double):
    http = stripe.AIOHTTPClient()
    client = StripeClient("sk_test_ada", base_addresses={"api": double.url}, http_client=http)
    ada = await client.v1.customers.create_async({"email": ADA})
    assert (await client.v1.customers.retrieve_async(ada.id)).email == ADA
    await http.close_async()


def test_a_misspelt_or_missing_parameter_is_refused_as_stripe_does(client):
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: emial") as misspelt:
        client.v1.customers.create({"emial": ADA})
    assert misspelt.value.code == "parameter_unknown"
    with pytest.raises(stripe.InvalidRequestError, match=r"line_items\[0\]\[price_data\]\[colour\]"):
        top_up(client, line_items=[{"price_data": {"currency": "usd", "colour": "red"}}])
    with pytest.raises(stripe.InvalidRequestError, match="Missing required param: currency"):
        client.v1.payment_intents.create({"amount": 100})
    with pytest.raises(stripe.InvalidRequestError, match="Invalid integer"):
        client.v1.payment_intents.create({"amount": "ten", "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="Invalid reason"):
        client.v1.refunds.create({"charge": "ch_1", "reason": "whim"})


def test_a_live_key_and_no_key_are_refused(double):
    with pytest.raises(stripe.AuthenticationError, match="test keys only"):
        StripeClient("sk_live_ada", base_addresses={"api": double.url}).v1.customers.list()
    assert httpx.get(double.url + "/v1/customers", trust_env=False).status_code == 401


def test_an_idempotency_key_gives_the_same_answer_and_makes_one_object(client):
    first = client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"})
    again = client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.customers.list().data) == 1
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as other:
        client.v1.customers.create({"email": "bob@example.org"}, {"idempotency_key": "once"})
    assert other.value.http_status == 400


def test_an_idempotency_key_is_forgotten_after_a_day(client):
    first = client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"})
    with clock.frozen(clock.now() + timedelta(hours=25)):
        assert client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"}).id != first.id


def test_a_refused_call_may_be_repeated_with_the_same_key(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({"emial": ADA}, {"idempotency_key": "once"})
    assert client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"}).email == ADA


def test_ada_pays_and_is_sent_back_with_her_session(client, double, merchant):
    ada = client.v1.customers.create({"email": ADA})
    session = top_up(client, customer=ada.id)
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    page = httpx.get(session.url, trust_env=False).text
    assert "TEST STAND-IN" in page
    assert "$25.00" in page
    assert ADA in page
    answer = double.press(session.url, "pay")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{BACK}?paid={session.id}")
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge", "line_items"]})
    assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "paid", 2500)
    assert paid.client_reference_id == paid.metadata["order"] == "top_1"
    assert paid.payment_intent.status == "succeeded"
    assert paid.payment_intent.latest_charge.payment_method_details.card.last4 == "4242"
    assert paid.line_items.data[0].description == "Assisters credit"
    double.control(release=True)
    assert merchant.types()[-4:] == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed",
    ]  # fmt: skip
    assert double.press(session.url, "pay").status_code == 410


def test_a_declined_card_leaves_the_session_open(client, double):
    session = top_up(client)
    answer = double.press(session.url, "decline")
    assert answer.status_code == 402
    assert "Your card was declined." in answer.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    double.control(decline=1)
    assert double.press(session.url, "pay").status_code == 402
    assert double.press(session.url, "pay").status_code == 303


def test_cancelling_goes_back_and_pays_nothing(client, double):
    session = top_up(client)
    assert double.press(session.url, "cancel").headers["Location"] == BACK
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"


@pytest.mark.parametrize(
    ("arrives", "event", "status"),
    [
        (True, "checkout.session.async_payment_succeeded", "paid"),
        (False, "checkout.session.async_payment_failed", "unpaid"),
    ],
)
def test_a_bank_debit_is_complete_but_unpaid_until_it_settles(client, double, arrives, event, status):
    session = top_up(client)
    double.press(session.url, "later")
    seen = client.v1.checkout.sessions.retrieve(session.id)
    assert (seen.status, seen.payment_status) == ("complete", "unpaid")
    double.control(settle=session.id, paid=arrives)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == status
    assert client.v1.events.list({"type": "checkout.session.*"}).data[0].type == event


def test_a_session_expires_by_itself_and_on_request(client, double):
    session, other = top_up(client), top_up(client)
    assert client.v1.checkout.sessions.expire(other.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        client.v1.checkout.sessions.expire(other.id)
    with clock.frozen(clock.now() + timedelta(hours=25)):
        assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        assert double.press(session.url, "pay").status_code == 410


def test_a_saved_card_is_charged_off_session_and_refused_as_its_name_says(client):
    ada = client.v1.customers.create({"email": ADA})
    pay = {"amount": 2500, "currency": "usd", "customer": ada.id, "confirm": True, "off_session": True}
    assert client.v1.payment_intents.create({**pay, "payment_method": "pm_card_visa"}).status == "succeeded"
    with pytest.raises(stripe.CardError) as refused:
        client.v1.payment_intents.create({**pay, "payment_method": "pm_card_authenticationRequired"})
    assert (refused.value.code, refused.value.http_status) == ("authentication_required", 402)
    assert refused.value.error.payment_intent.status == "requires_payment_method"


def test_a_card_saved_at_checkout_can_be_listed_and_charged(client, double):
    ada = client.v1.customers.create({"email": ADA})
    session = top_up(client, customer=ada.id, payment_intent_data={"setup_future_usage": "off_session"})
    double.press(session.url, "pay")
    cards = client.v1.customers.payment_methods.list(ada.id).data
    assert [card.card.last4 for card in cards] == ["4242"]
    again = client.v1.payment_intents.create(
        {
            "amount": 900,
            "currency": "usd",
            "customer": ada.id,
            "payment_method": cards[0].id,
            "confirm": True,
            "off_session": True,
        }
    )
    assert again.amount_received == 900


def test_a_refund_gives_back_no_more_than_was_paid(client, double):
    session = top_up(client)
    double.press(session.url, "pay")
    intent = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    client.v1.refunds.create({"payment_intent": intent, "amount": 1000})
    with pytest.raises(stripe.InvalidRequestError, match=r"greater than unrefunded amount on charge \(\$15.00\)"):
        client.v1.refunds.create({"payment_intent": intent, "amount": 1501})
    client.v1.refunds.create({"payment_intent": intent})
    with pytest.raises(stripe.InvalidRequestError) as done:
        client.v1.refunds.create({"payment_intent": intent})
    assert done.value.code == "charge_already_refunded"
    charge = client.v1.charges.list({"payment_intent": intent}).data[0]
    assert (charge.amount_refunded, charge.refunded) == (2500, True)
    assert sum(refund.amount for refund in client.v1.refunds.list({"payment_intent": intent}).data) == 2500


def test_a_dispute_is_opened_and_decided(client, double):
    session = top_up(client)
    double.press(session.url, "pay")
    intent = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    name = double.control(dispute=intent)["made"]["dispute"]
    assert client.v1.disputes.retrieve(name).payment_intent == intent
    double.control(decide=name, won=False)
    assert client.v1.disputes.retrieve(name).status == "lost"
    assert [event.type for event in client.v1.events.list({"type": "charge.dispute.*"}).data] == [
        "charge.dispute.closed", "charge.dispute.funds_withdrawn", "charge.dispute.created",
    ]  # fmt: skip


def test_the_portal_shows_what_ada_has_and_ends_her_plan(client, double):
    ada = client.v1.customers.create({"email": ADA})
    product = client.v1.products.create({"name": "Developer"})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 1900, "recurring": {"interval": "month"}}
    )
    plan = client.v1.subscriptions.create({"customer": ada.id, "items": [{"price": price.id}]})
    assert client.v1.invoices.list({"customer": ada.id}).data[0].amount_paid == 1900
    portal = client.v1.billing_portal.sessions.create({"customer": ada.id, "return_url": BACK})
    page = httpx.get(portal.url, trust_env=False).text
    assert ADA in page
    assert "$19.00" in page
    assert BACK in page
    double.client.post(portal.url, data={"cancel": plan.id})
    assert client.v1.subscriptions.retrieve(plan.id).cancel_at_period_end
    assert client.v1.subscriptions.cancel(plan.id).status == "canceled"


def test_a_plan_is_bought_at_checkout(client, double):
    session = top_up(
        client,
        mode="subscription",
        customer_email=ADA,
        line_items=[
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 1900,
                    "recurring": {"interval": "month"},
                    "product_data": {"name": "Developer"},
                },
            }
        ],
    )
    assert double.press(session.url, "pay").status_code == 303
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "customer"]})
    assert paid.subscription.status == "active"
    assert paid.customer.email == ADA
    assert paid.subscription["items"].data[0].current_period_end > paid.created


def test_lists_are_paged(client):
    made = [client.v1.customers.create({"name": str(n)}).id for n in range(5)]
    page = client.v1.customers.list({"limit": 2})
    assert page.has_more
    assert [c.id for c in page.auto_paging_iter()] == made[::-1]


def test_an_answer_can_be_lost_after_the_work_was_done_and_the_retry_finds_it(client, double):
    double.control(lose_answers=1)
    with pytest.raises(stripe.APIError, match="lost on the way"):
        client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"})
    again = client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"})
    assert [c.id for c in client.v1.customers.list().data] == [again.id]


def test_events_are_held_doubled_and_reordered_on_request(client, double, merchant):
    client.v1.customers.create({"email": ADA})
    client.v1.products.create({"name": "Credit"})
    assert merchant.came == []
    double.control(copies=2, reorder=True)
    state = double.control(release=True)
    assert merchant.types() == ["product.created"] * 2 + ["customer.created"] * 2
    assert state["waiting"] == []
    assert client.v1.events.list().data[0].pending_webhooks == 0


def test_a_refused_delivery_is_tried_again(client, double, merchant):
    merchant.status = 500
    client.v1.customers.create({"email": ADA})
    double.control(release=True)
    double.control(hold=True)
    merchant.status = 200
    state = double.control(release=True)
    assert state["waiting"] == []
    first, second = merchant.events()
    assert first.id == second.id
    double.control(resend=first.id, release=True)
    assert len(merchant.came) == 3


def test_webhooks_are_signed_with_the_secret_and_nothing_else_opens_them(client, double, merchant):
    client.v1.customers.create({"email": ADA})
    double.control(release=True)
    body, signature = merchant.came[0]
    assert stripe.Webhook.construct_event(body, signature, SECRET).data.object.email == ADA
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, "whsec_mallory")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body.replace(b"ada@", b"bob@"), signature, SECRET)


def test_what_it_knows_survives_a_restart_when_it_is_given_a_file(tmp_path):
    kept = tmp_path / "stripe.json"
    with served(None, SECRET, kept) as double:
        ada = client_of(double.url).v1.customers.create({"email": ADA}, {"idempotency_key": "once"})
    with served(None, SECRET, kept) as double:
        client = client_of(double.url)
        assert client.v1.customers.retrieve(ada.id).email == ADA
        assert client.v1.customers.create({"email": ADA}, {"idempotency_key": "once"}).id == ada.id


def test_an_address_it_does_not_know_is_refused_in_stripes_shape(double):
    answer = httpx.get(double.url + "/v1/accounts", headers={"Authorization": "Bearer sk_test_x"}, trust_env=False)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "TEST STAND-IN" in httpx.get(double.url, trust_env=False).text
    assert httpx.get(double.url + "/c/pay/cs_none", trust_env=False).status_code == 404


def test_the_page_does_not_run_what_mallory_wrote_into_her_order(client):
    session = top_up(client, customer_email="x<script>@example.net")
    assert "<script>" not in httpx.get(session.url, trust_env=False).text


def test_it_runs_as_a_process_of_its_own_in_development_only(merchant):
    port = free_port()
    command = [sys.executable, "-m", "assisters_app.doubles.stripe", "--port", str(port), "--webhook-url", merchant.url]
    command += ["--webhook-secret-env", "WEBHOOK_SECRET"]
    root = Path(__file__).parents[2]
    env = {**os.environ, "ASSISTERS_ENV": "production", "WEBHOOK_SECRET": SECRET}
    refused = subprocess.run(command, env=env, capture_output=True, text=True, cwd=root, check=False)
    assert refused.returncode == 1
    assert "development only" in refused.stderr
    env["ASSISTERS_ENV"] = "development"
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        client_of(f"http://127.0.0.1:{port}").v1.customers.create({"email": ADA})
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert json.loads(merchant.came[0][0])["type"] == "customer.created"
