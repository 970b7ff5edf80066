"""Ada has lost her mailbox: two of staff, two proofs and seven days later she has another; Mallory gets none so."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from cast import ADA, GRACE, MALLORY, PASSWORD
from places import HERE
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import oauth, people, recovering, resetting, roles, sessions, signing_in, signing_up
from assisters_app.accounts.oauth_providers import Claimed
from assisters_app.accounts.tables import Account, ExternalIdentity, MailboxRecovery
from assisters_app.base import clock
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.keys import keys
from assisters_app.privacy.rights import correction

IRIS, HENRY, NEW = "iris@assisters.example", "henry@assisters.example", "ada@new.example"
TWO = ("key", "invoice")


@pytest.fixture
async def staff(joins):
    """Grace and Iris, admins, and Henry from support, by their first names."""
    signed = {}
    for name, email, role in (("grace", GRACE, "admin"), ("iris", IRIS, "admin"), ("henry", HENRY, "support")):
        cookie, _ = await joins(email)
        async with transaction() as tx:
            await people.create_account(tx, email, role)
        signed[name] = await sessions.resolve(cookie)
    return signed


async def act(function, *arguments):
    async with transaction() as tx:
        return await function(tx, *arguments)


async def address_of(who):
    async with transaction() as tx:
        return (await tx.exec(select(Account.email).where(Account.id == who.account_id))).one()


async def at_the_end(moment):
    with frozen(moment):
        await correction.replace_mailboxes()


async def approved(staff, mailbag):
    """Take it as far as two admins and the new mailbox can."""
    begun = await act(recovering.ask, staff["grace"], ADA, NEW, TWO)
    await act(recovering.confirm, await mailbag.token(NEW))
    await act(recovering.approve, staff["iris"], begun.handle)
    return begun.handle


async def test_ada_gets_another_mailbox_after_two_admins_and_seven_days_and_not_a_minute_before(
    joins, staff, mailbag, trail
):
    cookie, ada = await joins(ADA)
    await approved(staff, mailbag)
    ends = clock.now() + recovering.WAIT
    await at_the_end(ends - timedelta(minutes=1))
    assert await address_of(ada) == ADA
    await at_the_end(ends + timedelta(minutes=1))
    assert await address_of(ada) == NEW
    assert await sessions.resolve(cookie) is None
    for email in (ADA, NEW):  # the old password opens nothing any more
        with pytest.raises(Refused, match="do not go together"):
            async with transaction() as tx:
                await signing_in.sign_in(tx, email, PASSWORD, HERE)
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your account has another e-mail address now"
    async with transaction() as tx:
        await resetting.reset(tx, await mailbag.token(NEW), "another horse battery staple", HERE)
    async with transaction() as tx:
        await signing_in.sign_in(tx, NEW, "another horse battery staple", HERE)
    done = [one for one in await trail(ada.account_id) if one.startswith("mailbox:")]
    assert done == ["mailbox:asked", "mailbox:confirmed", "mailbox:approved", "mailbox:replaced"]


async def test_the_old_mailbox_and_every_other_admin_hear_of_it_at_once_and_the_old_one_can_stop_it(
    joins, staff, mailbag
):
    _, ada = await joins(ADA)
    heard = len(await mailbag.letters(GRACE))
    begun = await act(recovering.ask, staff["grace"], ADA, NEW, TWO)
    warned = (await mailbag.letters(ADA))[-1]
    assert warned["subject"] == "Somebody says that they can no longer read this mailbox"
    assert NEW not in str(warned)  # whoever reads the old mailbox now need not learn the new one
    assert (await mailbag.letters(IRIS))[-1]["subject"] == f"{begun.handle}: a second admin is needed"
    assert len(await mailbag.letters(GRACE)) == heard
    assert "A second admin" not in str(await mailbag.letters(HENRY))
    await act(recovering.confirm, await mailbag.token(NEW))
    await act(recovering.approve, staff["iris"], begun.handle)
    await act(recovering.stop_by_link, await mailbag.token(ADA))
    await at_the_end(clock.now() + timedelta(days=30))
    assert await address_of(ada) == ADA


async def test_who_linked_a_provider_while_they_had_the_old_mailbox_does_not_come_in_by_it_afterwards(
    joins, staff, mailbag
):
    _, ada = await joins(ADA)
    thief = Claimed("https://idp.example", "thief", None, "")
    async with transaction() as tx:
        tx.add(ExternalIdentity(account_id=ada.account_id, issuer=thief.issuer, subject=thief.subject))
    await approved(staff, mailbag)
    proof = oauth.Proof("idp", thief, "sign-in", "", "/dashboard")
    assert (await act(oauth.finish, proof, HERE)).cookie is not None
    await at_the_end(clock.now() + recovering.WAIT + timedelta(minutes=1))
    with pytest.raises(Refused) as refused:
        await act(oauth.finish, proof, HERE)
    assert refused.value.code == "no_email"  # a stranger, like everybody who comes for the first time


async def test_a_key_that_mallory_may_hold_ends_in_two_weeks_and_ada_is_told_which_at_her_new_mailbox(
    joins, staff, mailbag, trail
):
    _, ada = await joins(ADA)
    soon = clock.now() + timedelta(days=8)
    await act(keys.issue, ada, keys.NewKey(name="Server"))
    await act(keys.issue, ada, keys.NewKey(name="Trial", expires_at=soon))
    await approved(staff, mailbag)
    ends = clock.now() + recovering.WAIT + timedelta(minutes=1)
    await at_the_end(ends)
    trial, server = sorted(await act(keys.live, ada), key=lambda key: key.expires_at)
    assert (trial.expires_at, server.expires_at) == (soon, ends + keys.RUN_OUT)
    told = (await mailbag.letters(NEW))[-1]
    assert told["subject"] == "Your API keys end in two weeks"
    assert f"“Server” ({server.prefix}…), never used" in told["paragraphs"]
    assert "API keys" not in str(await mailbag.letters(ADA)), "whoever has the old mailbox learns nothing"
    assert "key:all-running-out" in await trail(ada.account_id)
    with frozen(ends + keys.RUN_OUT):
        assert await act(keys.live, ada) == []


@pytest.mark.parametrize("first", ["grace", "mallory"])
async def test_an_admin_gone_bad_does_not_make_the_second_admin_they_need(joins, staff, mailbag, first):
    await joins(ADA)
    cookie, _ = await joins(MALLORY)
    await act(roles.give, staff["grace"], MALLORY, "admin")
    two = [staff["grace"], await sessions.resolve(cookie)]
    one, other = two if first == "grace" else reversed(two)
    handle = (await act(recovering.ask, one, ADA, NEW, TWO)).handle
    await act(recovering.confirm, await mailbag.token(NEW))
    with pytest.raises(Refused) as refused:
        await act(recovering.approve, other, handle)
    assert refused.value.code == "new_admin"
    third = staff["iris"]
    if first == "mallory":  # whoever was made an admin just now is not one of the two at all
        with pytest.raises(Refused, match="less than seven days"):
            await act(recovering.approve, third, handle)
        later = clock.now() + recovering.WAIT + timedelta(minutes=1)
        await at_the_end(later)
        with frozen(later):
            fresh = [replace(one, reauthenticated_at=later) for one in two]
            again = (await act(recovering.ask, fresh[1], ADA, NEW, TWO)).handle
            await act(recovering.confirm, await mailbag.token(NEW))
            await act(recovering.approve, fresh[0], again)
    else:
        await act(recovering.approve, third, handle)


async def test_who_becomes_staff_meanwhile_keeps_their_mailbox(joins, staff, mailbag):
    _, ada = await joins(ADA)
    await approved(staff, mailbag)
    await act(roles.give, staff["grace"], ADA, "admin")
    await at_the_end(clock.now() + recovering.WAIT + timedelta(minutes=1))
    assert await address_of(ada) == ADA
    async with transaction() as tx:
        assert (await tx.exec(select(MailboxRecovery.outcome))).one() == "lapsed"


async def test_a_yes_and_a_stop_at_the_same_moment_wait_for_each_other_in_one_order(joins, staff, mailbag):
    _, ada = await joins(ADA)
    handle = (await act(recovering.ask, staff["grace"], ADA, NEW, TWO)).handle
    await act(recovering.confirm, await mailbag.token(NEW))
    stop = await mailbag.token(ADA)
    async with transaction() as tx:
        await tx.exec(select(MailboxRecovery).with_for_update())
        both = [asyncio.create_task(act(recovering.approve, staff["iris"], handle))]
        await others_wait(1)
        both.append(asyncio.create_task(act(recovering.stop_by_link, stop)))
        await others_wait(2)
    assert await asyncio.gather(*both, return_exceptions=True) == [None, None]
    async with transaction() as tx:
        assert (await tx.exec(select(MailboxRecovery.outcome))).one() == "stopped"
    assert await address_of(ada) == ADA


async def others_wait(many):
    """Return once so many transactions wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60):
        while True:
            async with transaction() as tx:  # another each time: within one the view stands still
                if (await tx.sql(waiting)).scalar_one() >= many:
                    return


@pytest.mark.parametrize("how", ["signed in", "new password", "admin"])
async def test_it_ends_when_ada_stops_it_or_gets_in_by_the_old_mailbox_or_an_admin_doubts(joins, staff, mailbag, how):
    _, ada = await joins(ADA)
    handle = await approved(staff, mailbag)
    if how == "signed in":
        await act(recovering.keep, ada)
    elif how == "admin":
        await act(recovering.stop, staff["grace"], handle)
    else:
        link = await act(lambda tx: people.create_account(tx, ADA))
        async with transaction() as tx:
            await resetting.reset(tx, link.partition("token=")[2], "another horse battery staple", HERE)
    await at_the_end(clock.now() + timedelta(days=8))
    assert await address_of(ada) == ADA
    async with transaction() as tx:
        assert (await tx.exec(select(MailboxRecovery.outcome))).one() == "stopped"


async def test_nobody_alone_and_nobody_without_the_right_can_do_it(joins, staff, mailbag):
    _, ada = await joins(ADA)
    _, mallory = await joins(MALLORY)
    grace, iris, henry = staff["grace"], staff["iris"], staff["henry"]
    old = replace(grace, reauthenticated_at=clock.now() - timedelta(minutes=11))
    for who, email, new, proofs, code in (
        (mallory, ADA, MALLORY, TWO, "not_found"),
        (henry, ADA, NEW, TWO, "not_found"),
        (old, ADA, NEW, TWO, "reauthenticate"),
        (grace, ADA, NEW, ("key", "key", "a feeling"), "few_proofs"),
        (grace, ADA, MALLORY, TWO, "email_taken"),
        (grace, IRIS, NEW, TWO, "of_staff"),
        (grace, "nobody@example.com", NEW, TWO, "not_found"),
    ):
        with pytest.raises(Refused) as refused:
            await act(recovering.ask, who, email, new, proofs)
        assert refused.value.code == code
    handle = (await act(recovering.ask, grace, ADA, NEW, TWO)).handle
    with pytest.raises(Refused, match="under way"):
        await act(recovering.ask, iris, ADA, "other@new.example", TWO)
    for who, code in ((iris, "unconfirmed"), (grace, "same_admin"), (henry, "not_found"), (mallory, "not_found")):
        with pytest.raises(Refused) as refused:
            await act(recovering.approve, who, handle)
        assert refused.value.code == code
    for door in (recovering.listed, lambda tx, who: recovering.stop(tx, who, handle)):
        for who in (henry, mallory):
            with pytest.raises(NotFound):
                await act(door, who)
    await act(recovering.confirm, await mailbag.token(NEW))
    with pytest.raises(Refused, match="another admin"):
        await act(recovering.approve, grace, handle)
    assert await address_of(ada) == ADA


async def test_what_nobody_approves_lapses_and_an_address_that_was_taken_meanwhile_is_not_taken_away(
    joins, staff, mailbag
):
    _, ada = await joins(ADA)
    await act(recovering.ask, staff["grace"], ADA, NEW, TWO)
    await at_the_end(clock.now() + recovering.WAIT + timedelta(minutes=1))
    async with transaction() as tx:
        assert (await tx.exec(select(MailboxRecovery.outcome))).one() == "lapsed"
    await approved(staff, mailbag)
    async with transaction() as tx:
        await signing_up.open_account(tx, NEW)
    await at_the_end(clock.now() + recovering.WAIT + timedelta(minutes=1))
    assert await address_of(ada) == ADA


async def test_a_look_of_an_admins_at_lost_mailboxes_stands_in_adas_trail_and_shows_no_whole_address(
    joins, staff, mailbag, trail
):
    _, ada = await joins(ADA)
    await act(recovering.ask, staff["grace"], ADA, NEW, TWO)
    [row] = await act(recovering.listed, staff["iris"])
    assert (row.old, row.new, row.asked_by, row.mine) == ("a…@example.com", "a…@new.example", GRACE, False)
    assert "mailbox:listed" in await trail(ada.account_id)
    assert (await act(recovering.mine, ada)).asked_by == ""
