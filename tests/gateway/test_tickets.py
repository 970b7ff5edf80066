"""A ticket opens what its key opens, for a minute, in its own session, and nothing else."""

import pytest
from cast import MALLORY
from customers import customer, key_of
from sqlmodel import select

from assisters_app.accounts import sessions
from assisters_app.accounts.client import Client
from assisters_app.accounts.tables import Account
from assisters_app.base import clock, crypto
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.gateway import tickets
from assisters_app.gateway.gate import Gate
from assisters_app.keys import keys


@pytest.fixture
async def gate(stocked):
    opened = Gate()
    await opened.open()
    yield opened
    await opened.close()
    sessions._known.clear()


async def browser_of(person):
    """Open a session; return the fingerprint of its cookie."""
    async with transaction() as tx:
        account = (await tx.exec(select(Account).where(Account.id == person.account_id))).one()
        cookie = await sessions.open_session(tx, account, Client())
    return crypto.fingerprint(cookie.reveal())


async def ticket_of(person, mark, handle):
    async with transaction() as tx:
        return (await tickets.issue(tx, person, mark, handle)).reveal()


async def refused(gate, presented):
    with pytest.raises(Refused) as caught:
        await gate.enter(presented)
    return caught.value.status, caught.value.code


async def test_adas_browser_calls_under_the_key_she_chose(ada, gate):
    key_id, handle, _ = await key_of(ada)
    grant = await gate.enter(await ticket_of(ada, await browser_of(ada), handle))
    assert (grant.key_id, grant.organization_id) == (key_id, ada.organization_id)
    assert grant.scopes == {"chat"}  # not to read, nor to top up, what the key itself may


async def test_a_ticket_lasts_a_minute(ada, gate):
    _, handle, _ = await key_of(ada)
    ticket = await ticket_of(ada, await browser_of(ada), handle)
    with clock.frozen(clock.now() + tickets.LASTS):
        assert await refused(gate, ticket) == (401, "invalid_ticket")


async def test_a_ticket_ends_with_its_session(ada, gate):
    _, handle, _ = await key_of(ada)
    ticket = await ticket_of(ada, await browser_of(ada), handle)
    await gate.enter(ticket)
    async with transaction() as tx:
        await sessions.end_all(tx, ada.account_id, actor_id=ada.account_id)
    assert await refused(gate, ticket) == (401, "invalid_ticket")


async def test_a_ticket_ends_with_its_key(ada, gate):
    _, handle, _ = await key_of(ada)
    mark = await browser_of(ada)
    ticket = await ticket_of(ada, mark, handle)
    async with transaction() as tx:
        await keys.revoke(tx, ada, handle)
    assert await refused(gate, ticket) == (401, "invalid_ticket")
    with pytest.raises(NotFound):
        await ticket_of(ada, mark, handle)


async def test_mallory_gets_no_ticket_for_adas_key(ada, gate):
    _, handle, _ = await key_of(ada)
    mallory = await customer(MALLORY)
    with pytest.raises(NotFound):
        await ticket_of(mallory, await browser_of(mallory), handle)


async def test_a_ticket_whose_session_acts_for_another_organization_opens_nothing(ada, gate):
    _, handle, _ = await key_of(ada)
    mallory = await customer(MALLORY)
    ticket = await ticket_of(ada, await browser_of(mallory), handle)  # as if one had been sealed by mistake
    assert await refused(gate, ticket) == (401, "invalid_ticket")


@pytest.mark.parametrize("made_up", ["", "AAAA", "é", "%%%", "A" * 400], ids=repr)
async def test_a_ticket_that_is_made_up_opens_nothing(gate, made_up):
    assert await refused(gate, tickets.PREFIX + made_up) == (401, "invalid_ticket")


async def test_a_ticket_shows_neither_the_key_nor_the_session(ada, gate):
    _, handle, key = await key_of(ada)
    mark = await browser_of(ada)
    ticket = await ticket_of(ada, mark, handle)
    assert mark not in ticket
    assert key[4:16] not in ticket
