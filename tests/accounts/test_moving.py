"""An address changes once both have said yes, the old one and the new one; who else holds it is told."""

import asyncio
from datetime import timedelta

import pytest
from cast import ADA, BOB, PASSWORD
from places import HERE
from sqlmodel import col, select, update

from assisters_app.accounts import corrections, moving, reauthentication, resetting, sessions, signing_in
from assisters_app.accounts.people import masked
from assisters_app.accounts.tables import AddressChange, Correction
from assisters_app.base import clock, jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.billing import customers
from assisters_app.privacy import promises
from assisters_app.privacy.rights import correction

NEW = "ada@lovelace.example"


async def ask(person, new=NEW):
    async with transaction() as tx:
        await moving.ask(tx, person, new, HERE)


async def confirm(token):
    async with transaction() as tx:
        return await moving.confirm(tx, token)


async def pending(person):
    async with transaction() as tx:
        return await moving.pending(tx, person)


@pytest.fixture(params=["old first", "new first"])
def order(request):
    """Say yes with the old address first, or with the new one."""
    return (ADA, NEW) if request.param == "old first" else (NEW, ADA)


@pytest.mark.promise("6.2")
async def test_ada_moves_once_both_addresses_have_said_yes(joins, mailbag, trail, order):
    cookie, person = await joins(ADA)
    await ask(person, " Ada@Lovelace.example")
    first, second = [await mailbag.token(address) for address in order]
    assert await confirm(first) is None
    assert (await sessions.resolve(cookie)).email == ADA
    under_way = await pending(person)
    assert (under_way.new_email, under_way.old_confirmed) == (NEW, order[0] == ADA)
    moved = await confirm(second)
    assert (moved.account_id, moved.old, moved.new) == (person.account_id, ADA, NEW)
    assert (await sessions.resolve(cookie)).email == NEW
    assert await pending(person) is None
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your e-mail address was changed"
    assert "email:changed" in await trail(person.account_id)
    async with transaction() as tx:
        assert await signing_in.sign_in(tx, NEW, PASSWORD, HERE)
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)


@pytest.mark.promise("6.2")
async def test_mallory_in_one_of_the_two_mailboxes_or_in_the_account_moves_nothing(joins, mailbag):
    cookie, person = await joins(ADA)
    await ask(person)
    for address in (NEW, ADA):
        token = await mailbag.token(address)
        assert await confirm(token) is None
        with pytest.raises(Refused, match="no longer valid"):  # the same yes twice is not two
            await confirm(token)
        await ask(person)  # a new beginning: what was confirmed before counts no more
    assert (await sessions.resolve(cookie)).email == ADA
    under_way = await pending(person)
    assert (under_way.old_confirmed, under_way.new_confirmed) == (False, False)


async def test_ada_ends_what_is_under_way_and_both_links_with_it(joins, mailbag):
    _, person = await joins(ADA)
    await ask(person)
    async with transaction() as tx:
        await moving.cancel(tx, person)
    assert await pending(person) is None
    for address in (ADA, NEW):
        with pytest.raises(Refused, match="no longer valid"):
            await confirm(await mailbag.token(address))


async def test_of_two_who_ask_at_once_in_adas_name_one_waits_and_the_old_mailbox_is_told_which(joins, mailbag):
    _, ada = await joins(ADA)
    await asyncio.gather(ask(ada), ask(ada, "thief@stolen.example"))
    waits = (await pending(ada)).new_email
    async with transaction() as tx:
        asked = await tx.exec(select(AddressChange).where(col(AddressChange.ended_at).is_(None)))
        assert [one.new_email for one in asked] == [waits]
    assert masked(waits) in str((await mailbag.letters(ADA))[-1])
    ended = ({NEW, "thief@stolen.example"} - {waits}).pop()
    with pytest.raises(Refused, match="no longer valid"):
        await confirm(await mailbag.token(ended))
    await confirm(await mailbag.token(ADA))
    assert (await confirm(await mailbag.token(waits))).new == waits


async def test_a_yes_that_comes_a_day_late_is_none(joins, mailbag):
    _, person = await joins(ADA)
    await ask(person)
    await confirm(await mailbag.token(NEW))
    with clock.frozen(clock.now() + timedelta(days=1, seconds=1)):
        assert await pending(person) is None
        with pytest.raises(Refused, match="no longer valid"):
            await confirm(await mailbag.token(ADA))


@pytest.mark.promise("6.2")
async def test_a_correction_is_kept_until_who_else_holds_it_was_told_and_after(joins, mailbag):
    _, person = await joins(ADA)
    await ask(person)
    for address in (ADA, NEW):
        moved = await confirm(await mailbag.token(address))
    assert await told(person) == [("e-mail address", ADA, NEW, (("stripe", ""),))]
    async with transaction() as tx:
        await customers.tell_stripe(tx, moved.account_id)
    await jobs.run_waiting()
    assert await told(person) == [("e-mail address", ADA, NEW, (("stripe", corrections.NOTHING_THERE),))]


@pytest.mark.promise("6.2")
async def test_a_correction_that_was_not_passed_on_for_a_day_is_found(joins, mailbag):
    _, person = await joins(ADA)
    async with transaction() as tx:
        await corrections.write(tx, person.account_id, "organization", "A", "B")
        assert "1 corrections" in await correction.corrections_are_passed_on(tx)
        await tx.exec(update(Correction).values(created_at=clock.now() - timedelta(hours=25)))
        with pytest.raises(promises.Broken, match="1 corrections"):
            await correction.corrections_are_passed_on(tx)
        await corrections.told(tx, person.account_id, "stripe")
        await correction.corrections_are_passed_on(tx)


async def test_a_link_in_the_old_mailbox_opens_nothing_after_the_move(joins, mailbag):
    _, person = await joins(ADA)
    async with transaction() as tx:
        await resetting.request_reset(tx, ADA, HERE)
    await jobs.run_waiting()
    old_link = await mailbag.token(ADA)
    await ask(person)
    for address in (ADA, NEW):
        await confirm(await mailbag.token(address))
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await resetting.reset(tx, old_link, "staple battery horse correct 8", HERE)


async def test_mallory_cannot_tell_whose_address_she_asks_for_and_cannot_have_it(joins, mailbag):
    await joins(BOB)
    _, mallory = await joins("mallory@example.net")
    before = len(await mailbag.letters(BOB))
    assert await ask(mallory, BOB) is None
    assert await confirm(await mailbag.token("mallory@example.net")) is None
    assert (await pending(mallory)).new_confirmed is False
    (told_bob,) = (await mailbag.letters(BOB))[before:]
    assert (told_bob["subject"], told_bob["action"]) == ("This address has an account already", None)


async def test_an_address_that_was_taken_meanwhile_stays_with_who_took_it(joins, mailbag):
    _, person = await joins(ADA)
    await ask(person)
    new, old = await mailbag.token(NEW), await mailbag.token(ADA)
    await confirm(new)
    await joins(NEW)
    with pytest.raises(Refused) as refused:
        await confirm(old)
    assert refused.value.code == "email_taken"


async def test_moving_needs_a_recent_proof_of_who_one_is(joins):
    cookie, _ = await joins(ADA)
    with clock.frozen(clock.now() + reauthentication.RECENT + timedelta(seconds=1)):
        person = await sessions.resolve(cookie)
        with pytest.raises(Refused) as refused:
            await ask(person)
    assert refused.value.code == "reauthenticate"


async def test_moving_to_where_one_is_is_refused(ada):
    with pytest.raises(Refused) as refused:
        await ask(ada, ADA.upper())
    assert refused.value.code == "same_email"


async def told(person):
    async with transaction() as tx:
        return [(one.what, one.before, one.after, one.told) for one in await corrections.history(tx, person)]
