"""The API served over a real socket, an upstream that does as told, and customers with money in their wallets."""

import asyncio

import pytest
import upstream as double
from cast import ADA
from customers import customer, key_of
from granian.constants import Interfaces
from granian.server.embed import Server
from nets import free_port, listening
from openai import AsyncOpenAI
from sqlmodel import select

from assisters_app.api.app import Api
from assisters_app.base import settings
from assisters_app.base.db import transaction
from assisters_app.base.money import from_dollars
from assisters_app.billing import rating, wallet
from assisters_app.gateway import catalog, ingest
from assisters_app.hearing_out import HeardOut
from assisters_app.usage.tables import UsageEvent


@pytest.fixture
async def stocked(house):
    """Put models and prices in place."""
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
        await rating.ensure_first_prices(tx)
    return house


@pytest.fixture
async def upstream(stocked, monkeypatch):
    """Start an upstream and send live keys to it."""
    async with double.running() as running:
        monkeypatch.setenv("UPSTREAM_BASE_URL", running.url)
        monkeypatch.setenv("UPSTREAM_API_KEY", "upstream-credential")
        settings.settings.cache_clear()
        yield running


@pytest.fixture
async def api(stocked):
    """Serve the API; return its address. Ask for `upstream` before it where one is wanted."""
    app = Api()
    port = free_port()
    server = Server(HeardOut(app), "127.0.0.1", port, interface=Interfaces.ASGI, log_enabled=False)
    serving = asyncio.ensure_future(server.serve())
    await listening(port)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await serving
    await app.close()


async def fund(person, dollars="1"):
    async with transaction() as tx:
        await wallet.give(tx, person.organization_id, from_dollars(dollars), f"gift:{person.organization_id}")


@pytest.fixture
async def ada(stocked):
    """Ada, with a dollar in her wallet."""
    person = await customer(ADA)
    await fund(person)
    return person


@pytest.fixture
async def client_for(api):
    """Make official clients that are closed when the test ends."""
    made = []

    def make(key, **more):
        made.append(AsyncOpenAI(api_key=key, base_url=f"{api}/v1", **{"max_retries": 0, **more}))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def live(ada, client_for):
    """Ada's client with a live key."""
    return client_for((await key_of(ada))[2])


@pytest.fixture
async def test_mode(ada, client_for):
    """Ada's client with a test key: always the sandbox."""
    return client_for((await key_of(ada, mode="test"))[2])


@pytest.fixture
def records(stocked):
    """Ingest what was settled; return the events, oldest first."""

    async def read():
        await ingest.run_once()
        async with transaction() as tx:
            return (await tx.exec(select(UsageEvent).order_by(UsageEvent.at, UsageEvent.request_id))).all()

    return read
