"""Ada, Bob and Grace with accounts, each a moment after having proven who they are."""

from collections.abc import Iterator

import pytest
from cast import ADA, BOB, GRACE
from customers import customer

from assisters_app.base import settings
from assisters_app.doubles.stripe.serving import Served, served

SECRET = "whsec_for_the_tests"


@pytest.fixture
async def ada(house):
    return await customer(ADA)


@pytest.fixture
async def bob(house):
    return await customer(BOB)


@pytest.fixture
async def grace(house):
    return await customer(GRACE)


@pytest.fixture(scope="session")
def standing() -> Iterator[Served]:
    with served(None, SECRET) as double:
        yield double


@pytest.fixture
def stripe(house, standing, monkeypatch):
    """Have payments go to the stand-in that honours deletion."""
    standing.control(reset=True)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_tests")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("STRIPE_API_BASE", standing.url)
    settings.settings.cache_clear()
    return standing
