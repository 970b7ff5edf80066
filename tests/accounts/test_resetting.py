"""A forgotten password is replaced by whoever reads the account's mail, and by nobody else."""

from datetime import timedelta

import pytest
from cast import ADA, BOB, PASSWORD
from places import ELSEWHERE, HERE
from sqlalchemy import text

from assisters_app.accounts import links, passwords, reauthentication, resetting, sessions, signing_in, signing_up
from assisters_app.base import clock, jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused

NEW = "staple battery horse correct 8"


async def sign_in(password, email=ADA):
    async with transaction() as tx:
        return (await signing_in.sign_in(tx, email, password, HERE)).reveal()


async def ask(email=ADA):
    async with transaction() as tx:
        await resetting.request_reset(tx, email, HERE)
    await jobs.run_waiting()


async def reset(token, password=NEW):
    async with transaction() as tx:
        return await resetting.reset(tx, token, password, HERE)


async def test_ada_resets_her_password_and_every_browser_is_signed_out(joins, mailbag, trail):
    cookie, person = await joins(ADA)
    await ask()
    assert await reset(await mailbag.token(ADA)) == ADA
    assert await sessions.resolve(cookie) is None
    assert await sign_in(NEW)
    with pytest.raises(Refused, match="do not go together"):
        await sign_in(PASSWORD)
    assert "password:reset" in await trail(person.account_id)
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your password was changed"


async def test_asking_for_an_address_that_nobody_has_takes_the_same_steps_and_sends_nothing(joins, mailbag):
    await joins(ADA)
    asked = []
    for email in (ADA, BOB):
        async with transaction() as tx:
            assert await resetting.request_reset(tx, email, HERE) is None
            waiting = "SELECT task_name, args - 'account_id' FROM procrastinate_jobs WHERE task_name LIKE 'accounts.%'"
            asked.append((await (await tx.connection()).execute(text(waiting))).all())
        await jobs.run_waiting()
    assert asked[0] == asked[1]
    assert len(asked[0]) == 1
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Choose a new password"
    assert await mailbag.letters(BOB) == []


async def test_a_reset_link_is_over_after_an_hour(joins, mailbag):
    await joins(ADA)
    await ask()
    token = await mailbag.token(ADA)
    with clock.frozen(clock.now() + links.LASTING["reset"] + timedelta(seconds=1)), pytest.raises(Refused) as over:
        await reset(token)
    assert over.value.code == "bad_link"


async def test_a_weak_password_does_not_use_the_link_up(joins, mailbag):
    await joins(ADA)
    await ask()
    token = await mailbag.token(ADA)
    with pytest.raises(Refused, match="at least 10"):
        await reset(token, "short")
    await reset(token)


async def test_a_used_link_is_worth_nothing_and_so_are_the_others_that_waited(joins, mailbag):
    await joins(ADA)
    await ask()
    first = await mailbag.token(ADA)
    await ask()
    second = await mailbag.token(ADA)
    with pytest.raises(Refused, match="no longer valid"):
        await reset(first)
    await reset(second)
    with pytest.raises(Refused, match="no longer valid"):
        await reset(second)


async def test_the_token_is_not_in_the_database(joins, mailbag):
    await joins(ADA)
    await ask()
    token = await mailbag.token(ADA)
    async with transaction() as tx:
        connection = await tx.connection()
        rows = str((await connection.execute(text("SELECT * FROM mail_token"))).all())
        waiting = str((await connection.execute(text("SELECT args FROM procrastinate_jobs"))).all())
    assert token not in rows + waiting
    assert ADA not in waiting


async def test_who_reads_the_mail_has_proven_the_address(house, mailbag):
    async with transaction() as tx:
        await signing_up.sign_up(tx, ADA, PASSWORD, HERE)
    await ask()
    await reset(await mailbag.token(ADA))
    assert (await sessions.resolve(await sign_in(NEW))).verified


async def test_one_place_cannot_ask_without_end(house):
    for turn in range(resetting.BY_PLACE.most):
        async with transaction() as tx:
            await resetting.request_reset(tx, f"m{turn}@example.net", HERE)
    with pytest.raises(Refused) as refused:
        await ask()
    assert (refused.value.status, refused.value.retry_after > 0) == (429, True)


async def test_a_changed_password_keeps_this_browser_and_ends_the_others(joins, mailbag):
    here, person = await joins(ADA)
    there = await sign_in(PASSWORD)
    async with transaction() as tx:
        await resetting.change_password(tx, person, NEW, HERE)
    assert await sessions.resolve(there) is None
    assert await sessions.resolve(here) is not None
    assert await sign_in(NEW)
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your password was changed"


async def test_who_found_the_browser_open_cannot_change_the_password(joins):
    cookie, _ = await joins(ADA)
    with clock.frozen(clock.now() + reauthentication.RECENT + timedelta(seconds=1)):
        person = await sessions.resolve(cookie)
        with pytest.raises(Refused) as refused:
            async with transaction() as tx:
                await resetting.change_password(tx, person, NEW, HERE)
    assert refused.value.code == "reauthenticate"


async def test_ada_proves_again_who_she_is_in_this_browser_only(joins, trail):
    here, _ = await joins(ADA)
    there = await sign_in(PASSWORD)
    with clock.frozen(clock.now() + timedelta(minutes=11)):
        person = await sessions.resolve(here)
        with pytest.raises(Refused, match="Confirm that it is you"):
            reauthentication.require_recent(person)
        async with transaction() as tx:
            await reauthentication.reauthenticate(tx, person, PASSWORD, HERE)
        reauthentication.require_recent(await sessions.resolve(here))
        with pytest.raises(Refused, match="Confirm that it is you"):
            reauthentication.require_recent(await sessions.resolve(there))
    assert (await trail(person.account_id))[-1] == "session:reauthenticated"


async def test_proving_again_who_one_is_cannot_be_guessed(joins):
    _, person = await joins(ADA)

    async def guess(password):
        async with transaction() as tx:
            await reauthentication.reauthenticate(tx, person, password, ELSEWHERE)

    for _ in range(reauthentication.TRIES.most):
        with pytest.raises(Refused) as wrong:
            await guess("a guess")
        assert (wrong.value.code, wrong.value.field) == ("bad_password", "password")
    with pytest.raises(Refused) as refused:
        await guess(PASSWORD)
    assert refused.value.code == "too_many"


async def test_who_tries_the_old_password_in_the_moment_of_its_end_is_not_left_signed_in(joins, mailbag, monkeypatch):
    await joins(ADA)
    await ask()
    token, compare = await mailbag.token(ADA), passwords.verified

    async def overtaken(stored, password):
        right = await compare(stored, password)
        await reset(token)
        return right

    monkeypatch.setattr(passwords, "verified", overtaken)
    with pytest.raises(Refused, match="do not go together"):
        await sign_in(PASSWORD)
