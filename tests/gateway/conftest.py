"""Calls without a network: grants made by hand, wallets filled by hand."""

import pytest
from cast import ADA
from customers import customer, key_of
from sqlmodel import select

from assisters_app.base.db import transaction
from assisters_app.base.money import from_dollars
from assisters_app.billing import rating, wallet
from assisters_app.gateway import catalog, grants, ingest
from assisters_app.gateway.calls import Call
from assisters_app.gateway.scripts import Scripts
from assisters_app.keys.tables import ApiKey


@pytest.fixture
async def stocked(house):
    """Put models and prices in place."""
    ingest._scripts = Scripts()
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
        await rating.ensure_first_prices(tx)


@pytest.fixture
async def ada(stocked):
    """Ada, with a dollar in her wallet."""
    person = await customer(ADA)
    async with transaction() as tx:
        await wallet.give(tx, person.organization_id, from_dollars("1"), "gift")
    return person


@pytest.fixture
async def grant(ada):
    """What Ada's key may do."""
    await key_of(ada)
    return await grant_of(ada)


async def grant_of(person):
    async with transaction() as tx:
        [public_id] = await tx.exec(select(ApiKey.public_id).where(ApiKey.organization_id == person.organization_id))
        return (await grants.load(tx, [public_id]))[public_id]


@pytest.fixture
async def price(stocked):
    """The price of a chat model: 100 and 400 nano-USD a token."""
    async with transaction() as tx:
        return (await rating.prices(tx))["assisters-chat-v1"]


@pytest.fixture
def calls(grant, price):
    """Make calls of Ada's."""

    def make(**more):
        return Call(grant, "/v1/chat/completions", **{"model": "assisters-chat-v1", "price": price, **more})

    return make
