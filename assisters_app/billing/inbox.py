"""Stripe's webhooks: each stored once, handled once, and never believed beyond "look at this object again".

receive(tx, body, signature)         what the route calls with the raw body; then it answers 200
handle (job)                         fetches the object fresh and acts, in one transaction
handle_forgotten (job, by itself)    takes up what an outage left behind
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from assisters_app.accounts.tables import Organization
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.jobs import enqueue, job
from assisters_app.billing import stripe, topups
from assisters_app.billing.tables import StripeEvent

logger = logging.getLogger(__name__)

FORGOTTEN = timedelta(minutes=15)  # an event not handled by then had its job fail for good
LOUD = timedelta(hours=1)  # an event not handled by then is an invariant broken

Outcome = tuple[str, UUID | None]  # one word, and whose wallet it was about


async def receive(tx: Tx, body: bytes, signature: str | None) -> None:
    """Store a webhook and enqueue its handling in one transaction; one that came before changes nothing.

    Raises Refused: 404 when no secret is set, 400 when the signature does not hold. Types we do not handle are
    not stored.
    """
    notice = stripe.read_notice(body, signature)
    if notice.type not in HANDLERS:
        return
    row = {"id": notice.id, "type": notice.type, "object_id": notice.object_id, "details": {}, "received_at": now()}
    stored = insert(StripeEvent).values(row).on_conflict_do_nothing().returning(col(StripeEvent.id))
    if (await tx.sql(stored)).scalar_one_or_none():
        await enqueue(tx, "billing.handle-event", event_id=notice.id)


@job("billing.handle-event")
async def handle(event_id: str) -> None:
    """Act on one stored event, unless that was done; what fails is tried again by the queue."""
    async with transaction() as tx:
        waiting = select(StripeEvent).where(StripeEvent.id == event_id).with_for_update()
        event = (await tx.exec(waiting)).one_or_none()
        if event is None or event.handled_at is not None:
            return
        try:
            outcome, event.organization_id = await HANDLERS[event.type](tx, event.object_id)
        except stripe.ForgottenError:
            outcome = "gone"
            logger.error("Stripe does not know the object of event %s.", event.id)  # noqa: TRY400 (no trace helps)
        event.details = {"outcome": outcome}
        event.handled_at = now()
        if event.organization_id is None or await tx.get(Organization, event.organization_id) is None:
            event.object_id = ""  # it came after an erasure, or is not ours: it would lead to somebody at Stripe


@job("billing.handle-forgotten", every="*/10 * * * *")
async def handle_forgotten() -> None:
    """Enqueue again every event that was stored a while ago and is still not handled."""
    async with transaction() as tx:
        late = select(StripeEvent.id).where(
            col(StripeEvent.handled_at).is_(None), StripeEvent.received_at < now() - FORGOTTEN
        )
        for event_id in await tx.exec(late):
            await enqueue(tx, "billing.handle-event", once=f"stripe-event:{event_id}", event_id=event_id)


async def _session(tx: Tx, name: str) -> Outcome:
    return await topups.session_changed(tx, await stripe.checkout(name))


async def _bounced(tx: Tx, name: str) -> Outcome:
    return await topups.debit_bounced(tx, await stripe.checkout(name))


async def _payment(tx: Tx, name: str) -> Outcome:
    return await topups.payment_succeeded(tx, await stripe.payment(name))


async def _charge(tx: Tx, name: str) -> Outcome:
    return await _refunds(tx, await stripe.payment_of_charge(name))


async def _refund(tx: Tx, name: str) -> Outcome:
    return await _refunds(tx, await stripe.payment_of_refund(name))


async def _refunds(tx: Tx, payment: str | None) -> Outcome:
    if payment is None:
        return "not ours", None
    await _payment(tx, payment)  # the refund may be heard of before the payment was
    return await topups.payment_refunded(tx, payment, await stripe.refunds(payment))


async def _dispute(tx: Tx, name: str) -> Outcome:
    dispute = await stripe.dispute(name)
    if dispute.payment is None:
        return "not ours", None
    await _payment(tx, dispute.payment)  # as above
    return await topups.payment_disputed(tx, dispute)


HANDLERS: dict[str, Callable[[Tx, str], Awaitable[Outcome]]] = {
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _bounced,
    "checkout.session.expired": _session,
    "payment_intent.succeeded": _payment,
    "charge.refunded": _charge,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,  # an inquiry that became a dispute is not created again
    "charge.dispute.closed": _dispute,
}
