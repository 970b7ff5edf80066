"""A signed-in browser stays signed in while it is used, and is signed out everywhere at once when it is to be."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from cast import ADA, BOB, PASSWORD
from places import ELSEWHERE, HERE
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import sessions, signing_in
from assisters_app.accounts.tables import Session
from assisters_app.base import clock, crypto, valkey
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound


async def sign_in(client=ELSEWHERE, email=ADA):
    async with transaction() as tx:
        return (await signing_in.sign_in(tx, email, PASSWORD, client)).reveal()


def later(by):
    """Let some time pass; nothing that a process remembers lasts that long."""
    return clock.frozen(clock.now() + by)


async def test_the_cookie_is_nowhere_in_the_database(joins):
    cookie, _ = await joins(ADA)
    async with transaction() as tx:
        connection = await tx.connection()
        tables = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'assisters'"))
        dump = [str((await connection.execute(text(f'SELECT * FROM "{name}"'))).all()) for (name,) in tables]
        stored = (await tx.exec(select(Session))).one().fingerprint
    assert not any(cookie in rows for rows in dump)
    assert any(stored in rows for rows in dump)
    assert await sessions.resolve(stored) is None


@pytest.mark.parametrize("cookie", ["", "a", "a" * 5000, "\x00", "ünïcödé", "' OR 1=1 --"])
async def test_what_is_no_cookie_of_ours_is_nobody(house, cookie):
    assert await sessions.resolve(cookie) is None


async def test_a_session_that_is_used_lasts_and_one_that_is_not_ends(joins):
    cookie, person = await joins(ADA)
    with later(sessions.IDLE - timedelta(hours=1)):
        assert await sessions.resolve(cookie) == person
    with later(2 * sessions.IDLE - timedelta(hours=2)):
        assert await sessions.resolve(cookie) == person
    with later(3 * sessions.IDLE):
        assert await sessions.resolve(cookie) is None


async def test_no_session_lasts_longer_than_the_cookie_however_much_it_is_used(joins):
    cookie, _ = await joins(ADA)
    days = timedelta(days=10)
    for turn in range(1, 9):
        with later(turn * days):
            assert await sessions.resolve(cookie) is not None
    with later(sessions.AT_MOST + timedelta(minutes=1)):
        assert await sessions.resolve(cookie) is None


async def test_signing_out_ends_this_browser_at_once_and_no_other(joins):
    here, person = await joins(ADA)
    there = await sign_in()
    async with transaction() as tx:
        await sessions.sign_out(tx, person)
    assert await sessions.resolve(here) is None
    assert await sessions.resolve(there) is not None


async def test_signing_out_everywhere_ends_every_browser_of_hers_and_no_one_elses(joins, trail):
    here, person = await joins(ADA)
    there = await sign_in()
    bobs, _ = await joins(BOB)
    await sessions.resolve(there)
    async with transaction() as tx:
        assert await sessions.sign_out_everywhere(tx, person) == 2
    assert [await sessions.resolve(one) is None for one in (here, there, bobs)] == [True, True, False]
    assert (await trail(person.account_id))[-1] == "session:ended-all"


async def test_ada_sees_her_browsers_and_ends_one(joins):
    here, person = await joins(ADA)
    there = await sign_in()
    await joins(BOB)
    async with transaction() as tx:
        rows = await sessions.listed(tx, person)
    assert {(row.user_agent, row.ip, row.current) for row in rows} == {
        (HERE.user_agent, HERE.ip, True),
        (ELSEWHERE.user_agent, ELSEWHERE.ip, False),
    }
    (other,) = [row for row in rows if not row.current]
    async with transaction() as tx:
        await sessions.revoke(tx, person, other.id)
    assert await sessions.resolve(there) is None
    assert await sessions.resolve(here) is not None
    async with transaction() as tx:
        assert [row.current for row in await sessions.listed(tx, person)] == [True]


async def test_mallory_cannot_end_adas_session(joins):
    cookie, ada = await joins(ADA)
    _, mallory = await joins("mallory@example.net")
    with pytest.raises(NotFound, match="does not exist"):
        async with transaction() as tx:
            await sessions.revoke(tx, mallory, ada.session_id)
    assert await sessions.resolve(cookie) is not None


async def test_a_sign_out_that_is_rolled_back_signs_nobody_out(joins):
    cookie, person = await joins(ADA)
    with suppress(ZeroDivisionError):
        async with transaction() as tx:
            await sessions.sign_out(tx, person)
            raise ZeroDivisionError
    sessions.forget(crypto.fingerprint(cookie))
    assert await sessions.resolve(cookie) == person


async def test_other_processes_are_told_of_the_end_of_a_session(joins):
    cookie, person = await joins(ADA)
    told = asyncio.Queue()
    ready = asyncio.Event()

    async def another_process():
        async with valkey.valkey().pubsub(ignore_subscribe_messages=False) as inbox:
            await inbox.subscribe(valkey.CHANNEL)
            async for message in inbox.listen():
                if message["type"] == "subscribe":
                    ready.set()
                else:
                    await told.put(message["data"])

    listening = asyncio.create_task(another_process())
    await asyncio.wait_for(ready.wait(), 5)
    async with transaction() as tx:
        await sessions.sign_out(tx, person)
    assert await asyncio.wait_for(told.get(), 5) == f"session:{crypto.fingerprint(cookie)}"
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def test_a_process_that_was_told_nothing_believes_what_it_knew_for_a_second_at_most(joins):
    cookie, person = await joins(ADA)
    moment = clock.now()
    with clock.frozen(moment) as move:
        assert await sessions.resolve(cookie) == person
        async with transaction() as tx:
            await (await tx.connection()).execute(text("UPDATE session SET revoked_at = now()"))
        assert await sessions.resolve(cookie) == person
        move(moment + sessions.REMEMBERED)
        assert await sessions.resolve(cookie) is None


async def test_being_told_makes_a_process_look_again(joins):
    cookie, person = await joins(ADA)
    with clock.frozen(clock.now()):
        assert await sessions.resolve(cookie) == person
        async with transaction() as tx:
            await (await tx.connection()).execute(text("UPDATE session SET revoked_at = now()"))
        sessions.forget(crypto.fingerprint(cookie))
        assert await sessions.resolve(cookie) is None


async def test_made_up_cookies_fill_no_memory(joins):
    await joins(ADA)
    before = len(sessions._known)
    for turn in range(20):
        await sessions.resolve(f"made up {turn}")
    assert len(sessions._known) == before


async def test_a_session_that_was_left_of_a_suspended_account_is_nobodys(joins):
    cookie, _ = await joins(ADA)
    async with transaction() as tx:
        await (await tx.connection()).execute(text("UPDATE account SET suspended_at = now()"))
    sessions.forget(crypto.fingerprint(cookie))
    assert await sessions.resolve(cookie) is None
