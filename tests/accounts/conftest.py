"""People of the account tests: cheap password hashes, a mailbag to look into, and a house with somebody in it."""

import re

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from cast import ADA, PASSWORD
from mails import waiting_mail
from places import HERE
from sqlmodel import select

from assisters_app.accounts import passwords, sessions, signing_in, signing_up, verifying
from assisters_app.base.db import transaction
from assisters_app.base.tables import TrailEntry


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch):
    """Hash at the lowest cost; nothing but tests can ask for it."""
    monkeypatch.setattr(passwords, "hasher", PasswordHasher.from_parameters(CHEAPEST))


@pytest.fixture(autouse=True)
def nothing_remembered():
    sessions._known.clear()


class Mailbag:
    """What waits to be delivered."""

    async def letters(self, to):
        """Return the mails that wait for `to`, oldest first."""
        return await waiting_mail(to)

    async def token(self, to):
        """Return the token in the last mail to `to`."""
        letter = (await self.letters(to))[-1]
        return re.search(r"token=([\w-]+)", letter["action"][1]).group(1)


@pytest.fixture
def mailbag(mail_waits):
    """Keep mail in the house, and look into it."""
    return Mailbag()


@pytest.fixture
def joins(house, mailbag):
    """Take somebody through sign-up and verification; give back their cookie and who it stands for."""

    async def join(email=ADA, password=PASSWORD):
        async with transaction() as tx:
            await signing_up.sign_up(tx, email, password, HERE)
        async with transaction() as tx:
            await verifying.verify(tx, await mailbag.token(email))
        async with transaction() as tx:
            cookie = (await signing_in.sign_in(tx, email, password, HERE)).reveal()
        return cookie, await sessions.resolve(cookie)

    return join


@pytest.fixture
async def ada(joins):
    """Ada, signed in."""
    _, person = await joins(ADA)
    return person


@pytest.fixture
def trail(house):
    """Read the trail of one account as a list of actions, oldest first."""

    async def read(account_id):
        async with transaction() as tx:
            entries = await tx.exec(
                select(TrailEntry).where(TrailEntry.account_id == account_id).order_by(TrailEntry.id)
            )
            return [entry.action for entry in entries]

    return read
