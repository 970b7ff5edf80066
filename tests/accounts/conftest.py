"""People of the account tests: cheap password hashes, a mailbag to look into, and a house with somebody in it."""

import json
import re

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from cast import ADA, PASSWORD
from places import HERE
from sqlmodel import select

from assisters_app.accounts import passwords, sessions, signing_in, signing_up, verifying
from assisters_app.base import crypto, jobs
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail, TrailEntry


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
        async with transaction() as tx:
            waiting = await tx.exec(select(OutgoingMail).where(OutgoingMail.to_email == to).order_by(OutgoingMail.id))
            return [json.loads(crypto.unseal("mail", one.sealed)) for one in waiting]

    async def token(self, to):
        """Return the token in the last mail to `to`."""
        letter = (await self.letters(to))[-1]
        return re.search(r"token=([\w-]+)", letter["action"][1]).group(1)


@pytest.fixture
def mailbag(house, monkeypatch):
    """Keep mail in the house: the worker finds nothing to deliver."""

    async def keep(mail_id):
        return None

    monkeypatch.setitem(jobs._jobs, "mail.deliver", jobs.Job("mail.deliver", keep, 1, None))
    jobs.app.cache_clear()
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
