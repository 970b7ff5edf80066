"""People with sessions, and tabs to click in: the real event pipeline, without a browser or a server."""

from dataclasses import dataclass

import pytest
from cast import ADA, GRACE, MALLORY
from reflex_base.event.processor import BaseStateEventProcessor
from tabs import Tab

from assisters_app.accounts import sessions, signing_up
from assisters_app.accounts.client import Client
from assisters_app.accounts.sessions import Person
from assisters_app.base.db import transaction
from assisters_app.billing import rating

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True)
class Signed:
    """Somebody signed in: who they are, and their cookie."""

    person: Person
    cookie: str


@pytest.fixture
async def processor(house):
    """Run the app's event pipeline, its states in memory."""
    from assisters_app.assisters_app import app

    pipeline = BaseStateEventProcessor(middleware=app, backend_exception_handler=app.backend_exception_handler)
    async with pipeline.configure():
        yield pipeline


@pytest.fixture
async def signs_in(house):
    """Open an account and a session for somebody."""
    sessions._known.clear()
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)

    async def sign_in(email=ADA, role="member"):
        async with transaction() as tx:
            account = await signing_up.find(tx, email) or await signing_up.open_account(tx, email, role=role)
            cookie = (await sessions.open_session(tx, account, Client("192.0.2.7", FIREFOX))).reveal()
        return Signed(await sessions.resolve(cookie), cookie)

    yield sign_in
    sessions._known.clear()


@pytest.fixture
async def ada(signs_in):
    return await signs_in(ADA)


@pytest.fixture
async def grace(signs_in):
    return await signs_in(GRACE, role="admin")


@pytest.fixture
async def mallory(signs_in):
    return await signs_in(MALLORY)


@pytest.fixture
def tab(processor):
    """Open a tab for somebody signed in, or for nobody."""
    count = iter(range(100))

    def open_tab(somebody=None):
        return Tab(processor, somebody.cookie if somebody else "", f"tab-{next(count)}")

    return open_tab
