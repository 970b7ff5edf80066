"""Top-ups: ordered here, paid at Stripe, granted once; given back when Stripe or the bank gives back.

    payer(tx, organization_id) -> Payer                the owner, for whom a key acts
    order(tx, who, amount_cents) -> Ordered            our order first, then Stripe's page to pay on
    look_again(tx, who, handle) -> TopUpRow            on the way back from that page: grant at once what is paid
    listed(tx, organization_id) -> list[TopUpRow]
    portal_link(tx, who) -> str                        cards and receipts, at Stripe

What follows is called with fresh objects only (by `inbox`, and by `look_again`), in any order and any number of times:
`session_changed`, `payment_succeeded`, `payment_refunded`, `payment_disputed`. Each returns what it did, in one word.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, text
from sqlmodel import col, func, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import trail
from assisters_app.base.clock import now
from assisters_app.base.crypto import keyed_hash
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.base.money import from_cents
from assisters_app.base.settings import settings
from assisters_app.billing import ledger, stripe
from assisters_app.billing.ledger import Movement
from assisters_app.billing.plans import LEAST_TOP_UP, SALES_FROM, bonus_cents, earned
from assisters_app.billing.tables import TopUp

logger = logging.getLogger(__name__)

BILLING_PAGE = "/dashboard/billing"
ENDED = "ended with its account"


class Payer(Protocol):
    """Whoever pays: a signed-in person, or the owner of a key, for one organization."""

    @property
    def account_id(self) -> UUID:
        """Whose act it is."""

    @property
    def organization_id(self) -> UUID:
        """Whose wallet it is."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of an organization, as a payer."""

    account_id: UUID
    organization_id: UUID


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, and where it is paid."""

    handle: str
    url: str


@dataclass(frozen=True, slots=True)
class TopUpRow:
    """A top-up as its owner sees it; `state` is open, paid, failed or refunded."""

    handle: str
    amount_cents: int
    bonus_cents: int
    state: str
    created_at: datetime
    paid_at: datetime | None

    @classmethod
    def of(cls, row: TopUp) -> "TopUpRow":
        """Take what may be shown from a table's row."""
        return cls(row.handle, row.amount_cents, row.bonus_cents, row.state, row.created_at, row.paid_at)


async def payer(tx: Tx, organization_id: UUID) -> Owner:
    """Return who pays when a key orders: the organization's owner."""
    owner = await tx.exec(select(Organization.owner_id).where(Organization.id == organization_id))
    return Owner(owner.one(), organization_id)


async def order(tx: Tx, who: Payer, amount_cents: int, *, back: str = BILLING_PAGE) -> Ordered:
    """Order credit for `amount_cents` and return where to pay. The person comes back to `back` with `?top_up=handle`.

    Raises Refused when payments are off, the amount is outside what is offered, or Stripe cannot be reached.
    """
    if not stripe.switched_on():
        raise Refused("Top-ups are switched off: no payment provider is set up.", code="payments_off", status=503)
    _check_amount(amount_cents)
    placed = TopUp(
        handle=handle("top"),
        organization_id=who.organization_id,
        amount_cents=amount_cents,
        bonus_cents=bonus_cents(amount_cents),
    )
    tx.add(placed)
    await tx.flush()
    opened = await _opened(tx, who, placed, f"{settings().public_url}{back}?top_up={placed.handle}")
    placed.checkout_session_id = opened.id
    trail.write(tx, "topup:ordered", account_id=who.account_id, actor_id=who.account_id, topup=placed.handle)
    return Ordered(placed.handle, opened.url or "")


def _check_amount(amount_cents: int) -> None:
    if amount_cents < LEAST_TOP_UP:
        raise Refused(f"The smallest top-up is ${LEAST_TOP_UP // 100}.", code="amount_too_small", field="amount")
    if amount_cents >= SALES_FROM:
        raise Refused(
            f"For ${SALES_FROM // 100} and more please write to sales: it comes with a better bonus.",
            code="amount_too_large",
            field="amount",
        )


async def _opened(tx: Tx, who: Payer, placed: TopUp, back: str) -> stripe.Checkout:
    organization = await _locked_organization(tx, who.organization_id)
    customer = organization.stripe_customer_id or await _new_customer(tx, organization)
    urls = {"success_url": back, "cancel_url": f"{back}&cancelled=1"}
    try:
        return await stripe.open_checkout(placed.handle, customer, placed.amount_cents, **urls)
    except stripe.ForgottenError as gone:  # deleted at Stripe's side, or the keys now belong to another account there
        if gone.param != "customer":
            raise
    customer = await _new_customer(tx, organization)
    return await stripe.open_checkout(placed.handle, customer, placed.amount_cents, **urls)


async def _locked_organization(tx: Tx, organization_id: UUID) -> Organization:
    """Lock an organization against other orders, not against the ingest, which must not wait until Stripe answers."""
    one = select(Organization).where(Organization.id == organization_id)
    return (await tx.exec(one.with_for_update(key_share=True))).one()


async def _new_customer(tx: Tx, organization: Organization) -> str:
    owner = (await tx.exec(select(Account).where(Account.id == organization.owner_id))).one()
    # what the customer is made of goes into the attempt's name: Stripe refuses a known name with another content
    content = keyed_hash("stripe", f"{owner.email}\n{organization.name}\n{organization.stripe_customer_id}")
    organization.stripe_customer_id = await stripe.new_customer(
        owner.email, organization.name, organization.handle, attempt=f"{organization.handle}:{content[:24]}"
    )
    return organization.stripe_customer_id


async def look_again(tx: Tx, who: Payer, name: str) -> TopUpRow:
    """Ask Stripe about one order of `who` now, grant it when it is paid, and return how it stands."""
    theirs = select(TopUp).where(TopUp.handle == name, TopUp.organization_id == who.organization_id)
    placed = (await tx.exec(theirs)).one_or_none()
    if placed is None:
        raise NotFound("top-up")
    if placed.state == "open" and placed.checkout_session_id:
        await session_changed(tx, await stripe.checkout(placed.checkout_session_id))
    return TopUpRow.of(placed)


async def listed(tx: Tx, organization_id: UUID) -> list[TopUpRow]:
    """Return the top-ups of an organization that were paid or are still open, the latest first (at most 100)."""
    theirs = select(TopUp).where(TopUp.organization_id == organization_id).order_by(col(TopUp.created_at).desc())
    return [TopUpRow.of(row) for row in await tx.exec(theirs.limit(100))]


async def portal_link(tx: Tx, who: Payer, *, back: str = BILLING_PAGE) -> str:
    """Return a link to Stripe's pages where `who` sees cards and receipts; raises Refused as `order` does."""
    organization = await _locked_organization(tx, who.organization_id)
    back = f"{settings().public_url}{back}"
    customer = organization.stripe_customer_id or await _new_customer(tx, organization)
    try:
        return await stripe.portal(customer, back)
    except stripe.ForgottenError:
        return await stripe.portal(await _new_customer(tx, organization), back)


async def session_changed(tx: Tx, session: stripe.Checkout) -> tuple[str, UUID | None]:
    """Act on a checkout session: grant it when paid, close the order when it expired or the debit bounced."""
    placed = await _locked_order(tx, session.order)
    if placed is not None and placed.checkout_session_id is None and not session.paid:
        return _ended_with_its_account(placed, session)
    if placed is None or placed.checkout_session_id != session.id:
        return _strange("checkout session", session.id), None
    if session.paid and session.payment:
        paid = stripe.Payment(
            session.payment, True, session.amount_cents, session.currency, session.customer, session.order
        )
        return await _grant(tx, placed, paid)
    if session.status == "expired" and placed.state == "open":
        placed.state = "failed"
        return "expired", placed.organization_id
    return "waiting", placed.organization_id


async def debit_bounced(tx: Tx, session: stripe.Checkout) -> tuple[str, UUID | None]:
    """Close the order whose bank debit did not arrive."""
    placed = await _locked_order(tx, session.order)
    if placed is None:
        return "not ours", None
    if session.paid or placed.state != "open":
        return "waiting", placed.organization_id
    placed.state = "failed"
    return "failed", placed.organization_id


async def payment_succeeded(tx: Tx, paid: stripe.Payment) -> tuple[str, UUID | None]:
    """Act on a payment intent: grant its order when the money came in. Payments of others' orders are left alone."""
    placed = await _locked_order(tx, paid.order)
    if placed is None:
        return "not ours", None
    if not paid.succeeded:
        return "waiting", placed.organization_id
    return await _grant(tx, placed, paid)


async def _grant(tx: Tx, placed: TopUp, paid: stripe.Payment) -> tuple[str, UUID | None]:
    if placed.payment_intent_id == paid.id:
        return "granted before", placed.organization_id
    # locked: two top-ups granted at once would each decide the plan without the other
    organization = await tx.get(Organization, placed.organization_id, with_for_update=True, populate_existing=True)
    customer = organization.stripe_customer_id if organization else None
    came, ordered = (
        (paid.received_cents, paid.currency, paid.customer),
        (placed.amount_cents, placed.currency, customer),
    )
    if organization is None and placed.state in {"paid", "refunded"}:
        return ENDED, placed.organization_id  # paid while its owner was here; the notice comes once more, or late
    if organization is None or came != ordered or placed.payment_intent_id is not None:
        return _strange("payment", paid.id), placed.organization_id
    credit, bonus = from_cents(placed.amount_cents), from_cents(placed.bonus_cents)
    owner = organization.id
    await ledger.post(tx, Movement(owner, "topup", f"topup:{paid.id}", {"wallet": credit, "stripe": -credit}))
    if bonus:
        await ledger.post(tx, Movement(owner, "bonus", f"bonus:{paid.id}", {"wallet": bonus, "bonus": -bonus}))
    placed.state, placed.payment_intent_id, placed.paid_at = "paid", paid.id, now()
    await tx.flush()
    organization.plan = earned(await _paid_in(tx, owner)).id
    trail.write(tx, "topup:paid", account_id=organization.owner_id, topup=placed.handle)
    return "granted", owner


async def _paid_in(tx: Tx, organization_id: UUID) -> int:
    paid = select(func.coalesce(func.sum(TopUp.amount_cents), 0)).where(
        TopUp.organization_id == organization_id, TopUp.state == "paid"
    )
    return int((await tx.exec(paid)).one())


RETURNED_BONUS = text("""
SELECT coalesce(sum(e.amount_nano), 0)::bigint FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
WHERE e.account = 'bonus' AND t.cause = ANY(:causes)
""")
POSTED = text("SELECT cause FROM ledger_transaction WHERE cause = ANY(:causes)")


async def payment_refunded(tx: Tx, payment: str, refunds: list[stripe.Refund]) -> tuple[str, UUID | None]:
    """Take back what Stripe gave back, each refund once, and the bonus in proportion; undo refunds that failed.

    The bonus taken back is always the refunded share of it, so that a full refund leaves nothing behind.
    """
    placed = await _locked_payment(tx, payment)
    if placed is None:
        return "not ours", None
    causes = [f"{word}:{refund.id}" for refund in refunds for word in ("refund", "refund-undone")]
    posted = set((await tx.sql(POSTED, {"causes": causes})).scalars())
    returned = int((await tx.sql(RETURNED_BONUS, {"causes": causes})).scalar_one())
    standing = sum(r.cents for r in refunds if f"refund:{r.id}" in posted and f"refund-undone:{r.id}" not in posted)
    for cause, cents in _unposted(refunds, posted):
        standing += cents
        bonus = from_cents(placed.bonus_cents) * standing // placed.amount_cents - returned
        returned += bonus
        amount = from_cents(cents)
        legs: dict[ledger.Book, int] = {"wallet": -amount - bonus, "stripe": amount, "bonus": bonus}
        await ledger.post(tx, Movement(placed.organization_id, "refund", cause, legs))
    placed.state = "refunded" if standing == placed.amount_cents else "paid"
    return "refunded", placed.organization_id


def _unposted(refunds: list[stripe.Refund], posted: set[str]) -> list[tuple[str, int]]:
    wanted = []
    for refund in refunds:
        done, undone = f"refund:{refund.id}", f"refund-undone:{refund.id}"
        if refund.stands and done not in posted:
            wanted.append((done, refund.cents))
        if not refund.stands and done in posted and undone not in posted:
            wanted.append((undone, -refund.cents))
    return wanted


async def payment_disputed(tx: Tx, dispute: stripe.Dispute) -> tuple[str, UUID | None]:
    """Hold back what a bank holds back, with its share of the bonus; give both back when we win.

    An inquiry (`warning_…`) or a dispute prevented in time moves no money.
    """
    placed = await _locked_payment(tx, dispute.payment)
    if placed is None:
        return "not ours", None
    if dispute.status.startswith("warning_") or dispute.status == "prevented":
        return "inquiry", placed.organization_id
    owner, amount = placed.organization_id, from_cents(dispute.cents)
    bonus = from_cents(placed.bonus_cents) * dispute.cents // placed.amount_cents
    held: dict[ledger.Book, int] = {"wallet": -amount - bonus, "disputes": amount, "bonus": bonus}
    await ledger.post(tx, Movement(owner, "dispute", f"dispute:{dispute.id}", held))
    if dispute.status == "won":
        won: dict[ledger.Book, int] = {"wallet": amount + bonus, "disputes": -amount, "bonus": -bonus}
        await ledger.post(tx, Movement(owner, "dispute", f"dispute-won:{dispute.id}", won))
    if dispute.status == "lost":
        lost: dict[ledger.Book, int] = {"disputes": -amount, "stripe": amount}
        await ledger.post(tx, Movement(owner, "dispute", f"dispute-lost:{dispute.id}", lost))
    return f"dispute {dispute.status}", owner


async def _locked_order(tx: Tx, name: str | None) -> TopUp | None:
    return await _locked(tx, col(TopUp.handle) == (name or ""))


async def _locked_payment(tx: Tx, payment: str | None) -> TopUp | None:
    return await _locked(tx, col(TopUp.payment_intent_id) == (payment or ""))


async def _locked(tx: Tx, which: ColumnElement[bool]) -> TopUp | None:
    # read anew: what this transaction saw before it held the lock may have changed meanwhile
    one = select(TopUp).where(which).with_for_update().execution_options(populate_existing=True)
    return (await tx.exec(one)).one_or_none()


def _ended_with_its_account(placed: TopUp, session: stripe.Checkout) -> tuple[str, UUID | None]:
    """Close an order whose owner was erased: what names its visit at Stripe is gone, and nobody can pay it any more."""
    if session.status == "expired" and placed.state == "open":
        placed.state = "failed"
    return ENDED, placed.organization_id


def _strange(what: str, name: str) -> str:
    """Say loudly that a paid thing does not match its order: money came in that a person must look at."""
    logger.error("Stripe's %s %s does not match the order it names; nothing was granted.", what, name)
    return "does not match"
