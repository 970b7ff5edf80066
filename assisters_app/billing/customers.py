"""What Stripe knows of a person, kept as correct as what we know (GDPR Art. 19)."""

from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts import corrections
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs
from assisters_app.base.db import Tx, transaction
from assisters_app.billing import stripe


async def tell_stripe(tx: Tx, account_id: UUID) -> None:
    """Pass a corrected address or name on to Stripe once `tx` commits."""
    await jobs.enqueue(tx, "billing.correct-customer", once=f"customer:{account_id}", account_id=str(account_id))


@jobs.job("billing.correct-customer")
async def _correct(account_id: str) -> None:
    """Tell Stripe the present address and name of every organization of an account that it has a customer for."""
    async with transaction() as tx:
        theirs = (
            select(Organization.stripe_customer_id, Account.email, Organization.name)
            .join(Account, col(Account.id) == col(Organization.owner_id))
            .where(Account.id == UUID(account_id), col(Organization.stripe_customer_id).is_not(None))
        )
        known = (await tx.exec(theirs)).all()
    for customer, email, name in known:
        if customer:
            await stripe.correct_customer(customer, email=email, name=name)
    async with transaction() as tx:
        await corrections.told(tx, UUID(account_id), "stripe", "" if known else corrections.NOTHING_THERE)
