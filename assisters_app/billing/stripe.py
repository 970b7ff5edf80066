"""Stripe, the outsider: the only module that knows its client. Its objects come in as values, its errors as Refused.

Each block of calls has a client of its own, closed at its end: there are few of them, and none is on a hot path.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings

TIMEOUT = 15  # seconds for one answer
RETRIES = 2  # of a call that got no answer, with the same idempotency key
CURRENCY = "usd"
PRODUCT = "Assisters API credit"
KEPT = timedelta(days=90)  # for which Stripe cannot redact a payment
REDACTION = "/v1/privacy/redaction_jobs"
REDACTED_AT_ONCE = 10  # objects in one job
PREVIEW = "2026-06-24.preview"  # redaction is in public preview, and answers to no other version


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout session. `order` is what we wrote into it; amounts are cents."""

    id: str
    url: str | None
    status: str
    paid: bool
    amount_cents: int
    currency: str
    customer: str | None
    order: str | None
    payment: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment intent. `received_cents` is what came in."""

    id: str
    succeeded: bool
    received_cents: int
    currency: str
    customer: str | None
    order: str | None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back, or meant to be: `stands` is False once it failed or was cancelled."""

    id: str
    cents: int
    stands: bool


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that the cardholder's bank takes back, for now or for good."""

    id: str
    payment: str | None
    cents: int
    status: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook says: that something happened to an object, which is fetched before it is believed."""

    id: str
    type: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Left:
    """What Stripe keeps of a deleted customer: (kind, id) of each object, and when they last paid."""

    objects: tuple[tuple[str, str], ...]
    last_paid_at: datetime | None


class ForgottenError(Exception):
    """Stripe does not know what was named (any more); `param` says which of our parameters named it."""

    def __init__(self, param: str | None) -> None:
        super().__init__(param)
        self.param = param


def switched_on() -> bool:
    """Return whether payments can be taken at all."""
    return settings().stripe_api_key is not None


@asynccontextmanager
async def _client() -> AsyncIterator[Any]:
    async with _whole_client() as client:
        yield client.v1


@asynccontextmanager
async def _whole_client() -> AsyncIterator[Any]:
    """Yield the client itself, for what has no types yet: Stripe's previews."""
    key = settings().stripe_api_key
    if key is None:
        raise Refused("Top-ups are switched off: no payment provider is set up.", code="payments_off", status=503)
    import aiohttp
    import stripe

    stripe.enable_telemetry = False
    base = settings().stripe_api_base
    http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
    try:
        yield stripe.StripeClient(
            key, http_client=http, max_network_retries=RETRIES, base_addresses={"api": base} if base else None
        )
    except stripe.InvalidRequestError as wrong:
        if wrong.code == "resource_missing":
            raise ForgottenError(wrong.param) from None
        raise
    except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as down:
        raise Refused(
            "The payment provider cannot be reached right now. Nothing was charged; try again in a minute.",
            code="payments_unreachable",
            status=503,
        ) from down
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


async def new_customer(email: str, name: str, organization: str, *, attempt: str) -> str:
    """Make a customer and return its id; the same `attempt` within a day returns the same customer."""
    async with _client() as v1:
        customer = await v1.customers.create_async(
            {"email": email, "name": name, "metadata": {"organization": organization}},
            {"idempotency_key": f"customer:{attempt}"},
        )
    return str(customer.id)


async def correct_customer(customer: str, *, email: str, name: str) -> None:
    """Tell Stripe a corrected e-mail or name (GDPR Art. 19); a customer it no longer knows needs none."""
    try:
        async with _client() as v1:
            await v1.customers.update_async(customer, {"email": email, "name": name})
    except ForgottenError:
        return


async def forget_customer(customer: str) -> Left:
    """Delete a customer with their saved cards, and return what Stripe keeps of them; one already deleted stays so.

    What they have left unpaid can no longer be paid then, and no plan is renewed: nobody would be there to credit.
    """
    left = Left((("customers", customer),), None)
    with suppress(ForgottenError):
        async with _client() as v1:
            left = await _left(v1, customer)
    with suppress(ForgottenError):
        async with _client() as v1:
            await _end_what_runs(v1, customer)
    with suppress(ForgottenError):
        async with _client() as v1:
            await v1.customers.delete_async(customer)
    return left


async def _end_what_runs(v1: Any, customer: str) -> None:  # noqa: ANN401 (Stripe's client)
    unpaid = await v1.checkout.sessions.list_async({"customer": customer, "status": "open"})
    async for session in unpaid.auto_paging_iter():
        await v1.checkout.sessions.expire_async(session.id)
    plans = await v1.subscriptions.list_async({"customer": customer})
    async for plan in plans.auto_paging_iter():
        await v1.subscriptions.cancel_async(plan.id)


async def _left(v1: Any, customer: str) -> Left:  # noqa: ANN401 (Stripe's client)
    """Return what of a customer outlives their deletion; a customer brings along what is not listed here."""
    payments = await v1.payment_intents.list_async({"customer": customer, "limit": 100})
    intents = [intent async for intent in payments.auto_paging_iter()]
    sessions = await v1.checkout.sessions.list_async({"customer": customer, "limit": 100})
    visits = [session async for session in sessions.auto_paging_iter()]
    objects = [("customers", customer), *(("payment_intents", one.id) for one in intents)]
    objects += [("checkout_sessions", one.id) for one in visits]
    paid = [one.created for one in intents if one.amount_received]
    return Left(tuple(objects), datetime.fromtimestamp(max(paid), UTC) if paid else None)


async def begin_redaction(objects: Iterable[tuple[str, str]]) -> str:
    """Have Stripe look whether these (kind, id) can be redacted, ten at most; return the name of the job.

    Raises ForgottenError when Stripe does not know one of them any more.
    """
    named: dict[str, list[str]] = {}
    for kind, name in objects:
        named.setdefault(kind, []).append(name)
    return str((await _preview("post", REDACTION, objects=named, validation_behavior="fix")).id)


async def redaction(job: str) -> str:
    """Return how far a redaction is, and set it going once Stripe has found that it may: Stripe's own words."""
    status = str((await _preview("get", f"{REDACTION}/{job}")).status)
    if status == "ready":
        status = str((await _preview("post", f"{REDACTION}/{job}/run")).status)
    return status


async def _preview(method: str, path: str, **params: Any) -> Any:  # noqa: ANN401 (a StripeObject)
    async with _whole_client() as client:
        answer = await client.raw_request_async(method, path, stripe_version=PREVIEW, **params)
        return client.deserialize(answer, api_mode="V1")


async def still_told(customer: str) -> str:
    """Return all that Stripe still tells of a customer, as text; of one who was deleted, that and nothing else."""
    try:
        async with _client() as v1:
            return str(await v1.customers.retrieve_async(customer))
    except ForgottenError:
        return ""


async def open_checkout(order: str, customer: str, amount_cents: int, *, success_url: str, cancel_url: str) -> Checkout:
    """Open a page on which `customer` pays `order` once. Raises ForgottenError("customer") when they are gone."""
    line = {"currency": CURRENCY, "unit_amount": amount_cents, "product_data": {"name": PRODUCT}}
    async with _client() as v1:
        session = await v1.checkout.sessions.create_async(
            {
                "mode": "payment",
                "customer": customer,
                "line_items": [{"quantity": 1, "price_data": line}],
                "client_reference_id": order,
                "metadata": {"order": order},
                "payment_intent_data": {"metadata": {"order": order}, "description": f"{PRODUCT} ({order})"},
                "success_url": success_url,
                "cancel_url": cancel_url,
            },
            {"idempotency_key": f"checkout:{order}:{customer}"},
        )
    return _checkout(session)


async def checkout(name: str) -> Checkout:
    """Fetch a checkout session as it is now."""
    async with _client() as v1:
        return _checkout(await v1.checkout.sessions.retrieve_async(name))


def _checkout(session: Any) -> Checkout:  # noqa: ANN401 (a StripeObject)
    written = session.metadata.to_dict().get("order") if session.metadata else None
    agrees = written == session.client_reference_id
    return Checkout(
        session.id, session.url, session.status, session.payment_status == "paid", session.amount_total or 0,
        session.currency, session.customer, written if agrees else None, session.payment_intent,
    )  # fmt: skip


async def payment(name: str) -> Payment:
    """Fetch a payment intent as it is now."""
    async with _client() as v1:
        intent = await v1.payment_intents.retrieve_async(name)
    order = intent.metadata.to_dict().get("order") if intent.metadata else None
    return Payment(
        intent.id, intent.status == "succeeded", intent.amount_received, intent.currency, intent.customer, order
    )


async def payment_of_charge(name: str) -> str | None:
    """Return the payment intent that a charge belongs to."""
    async with _client() as v1:
        found = (await v1.charges.retrieve_async(name)).payment_intent
    return str(found) if found else None


async def payment_of_refund(name: str) -> str | None:
    """Return the payment intent that a refund belongs to."""
    async with _client() as v1:
        found = (await v1.refunds.retrieve_async(name)).payment_intent
    return str(found) if found else None


async def refunds(payment_name: str) -> list[Refund]:
    """Fetch every refund of a payment, the oldest first."""
    async with _client() as v1:
        page = await v1.refunds.list_async({"payment_intent": payment_name, "limit": 100})
        found = [refund async for refund in page.auto_paging_iter()]
    found.sort(key=lambda refund: (refund.created, refund.id))
    return [Refund(r.id, r.amount, r.status not in ("failed", "canceled")) for r in found]


async def dispute(name: str) -> Dispute:
    """Fetch a dispute as it is now."""
    async with _client() as v1:
        found = await v1.disputes.retrieve_async(name)
    return Dispute(found.id, found.payment_intent, found.amount, found.status)


async def portal(customer: str, return_url: str) -> str:
    """Return a link, good for a few minutes, to Stripe's pages for cards and receipts."""
    async with _client() as v1:
        session = await v1.billing_portal.sessions.create_async({"customer": customer, "return_url": return_url})
    return str(session.url)


def read_notice(body: bytes, signature: str | None) -> Notice:
    """Return what a webhook says once its signature over the raw body holds.

    Raises Refused (404) when no secret is set, so that nobody can forge a payment, and (400) when it does not hold.
    """
    secret = settings().stripe_webhook_secret
    if not secret:
        raise Refused("There is nothing here.", code="not_found", status=404)
    import stripe

    try:
        event = stripe.Webhook.construct_event(body, signature, secret)
    except (ValueError, stripe.SignatureVerificationError):
        raise Refused("The signature does not match the message.", code="bad_signature") from None
    return Notice(event.id, event.type, getattr(event.data.object, "id", ""))  # a balance, for one, has no id
