"""What the billing tests look into: balances, orders, and what was done about each notice."""

from sqlmodel import select

from assisters_app.base.db import transaction
from assisters_app.billing import wallet
from assisters_app.billing.tables import StripeEvent, TopUp


async def balance(organization_id):
    async with transaction() as tx:
        return await wallet.balance(tx, organization_id)


async def outcomes():
    """Return what was done about each stored event: id → word."""
    async with transaction() as tx:
        return {event.id: event.details.get("outcome") for event in await tx.exec(select(StripeEvent))}


async def orders():
    async with transaction() as tx:
        return (await tx.exec(select(TopUp))).all()
