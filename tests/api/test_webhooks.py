"""What Stripe tells us counts once; what anybody else tells us in its name counts never."""

import json

import httpx
import pytest
from payments import KEY, SECRET
from sqlmodel import select
from stripe import WebhookSignature

from assisters_app.api import webhooks
from assisters_app.base import settings
from assisters_app.base.db import transaction
from assisters_app.billing.tables import StripeEvent

EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "data": {"object": {"id": "cs_1", "object": "checkout.session"}},
}


@pytest.fixture
async def hook(api, monkeypatch):
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    settings.settings.cache_clear()
    async with httpx.AsyncClient(base_url=api) as client:

        async def post(body, secret=SECRET):
            headers = {"stripe-signature": WebhookSignature.generate_signature_header(body, secret)} if secret else {}
            return await client.post("/webhooks/stripe", content=body, headers=headers)

        yield post


async def stored():
    async with transaction() as tx:
        return [event.id for event in await tx.exec(select(StripeEvent))]


@pytest.mark.promise("2.2")
async def test_a_signed_event_is_stored_once_however_often_it_comes(hook):
    for _ in range(3):
        assert (await hook(json.dumps(EVENT))).status_code == 200
    assert await stored() == ["evt_1"]


async def test_an_event_about_something_without_an_id_is_taken_and_left_alone(hook):
    event = {**EVENT, "type": "balance.available", "data": {"object": {"object": "balance"}}}
    assert (await hook(json.dumps(event))).status_code == 200
    assert await stored() == []


@pytest.mark.parametrize("secret", ["whsec_of_mallory", None])
async def test_a_forged_or_unsigned_event_is_refused(hook, secret):
    assert (await hook(json.dumps(EVENT), secret)).status_code == 400
    assert await stored() == []


async def test_without_a_secret_there_is_no_webhook(hook, monkeypatch):
    monkeypatch.delenv("STRIPE_API_KEY")
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET")
    settings.settings.cache_clear()
    assert (await hook(json.dumps(EVENT))).status_code == 404


async def test_too_much_is_refused_before_it_is_read(hook):
    assert (await hook("x" * (webhooks.LARGEST + 1))).status_code == 413
