"""Ada's organization with prices in force, a Stripe stand-in, and a postman who brings its webhooks."""

import json
from dataclasses import dataclass
from uuid import UUID

import pytest
from cast import ADA
from payments import KEY, SECRET
from stripe import StripeClient, WebhookSignature

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs
from assisters_app.base.db import transaction
from assisters_app.base.ids import handle
from assisters_app.billing import inbox, rating
from assisters_app.doubles.stripe.serving import Served


@dataclass(frozen=True)
class Person:
    """Who pays."""

    account_id: UUID
    organization_id: UUID
    role: str = "member"


@pytest.fixture
async def people(house):
    """Make a person with an organization of their own, by e-mail."""
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)

    async def make(email=ADA, role="member"):
        async with transaction() as tx:
            account = Account(email=email, role=role)
            tx.add(account)
            await tx.flush()
            organization = Organization(handle=handle("org"), owner_id=account.id, name=email.split("@")[0])
            tx.add(organization)
        return Person(account.id, organization.id, role)

    return make


@pytest.fixture
async def ada(people):
    return await people()


@pytest.fixture
def stripe_client(payments_on):
    return StripeClient(KEY, base_addresses={"api": payments_on.url})


@dataclass
class Postman:
    """Brings what the stand-in has to say, in the order asked for, and lets the worker act on it."""

    double: Served

    def letters(self, *types):
        """Return the events of these types (all when none), oldest first."""
        events = self.double.books.every("event")[::-1]
        return [event for event in events if not types or event["type"] in types]

    async def bring(self, *events):
        for event in events:
            body = json.dumps(event)
            async with transaction() as tx:
                await inbox.receive(tx, body.encode(), WebhookSignature.generate_signature_header(body, SECRET))
        await jobs.run_waiting()

    async def bring_all(self):
        await self.bring(*self.letters())


@pytest.fixture
def postman(payments_on) -> Postman:
    return Postman(payments_on)
