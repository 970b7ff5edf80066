"""People correct what they said about themselves, and move to another address once they have proven it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cast import ADA, BOB, PASSWORD
from places import HERE
from sqlmodel import select

from assisters_app.accounts import organizations, profile, reauthentication, resetting, sessions, signing_in
from assisters_app.accounts.tables import Organization
from assisters_app.base import clock, jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused

NEW = "ada@lovelace.example"


async def ask(person, new=NEW):
    async with transaction() as tx:
        await profile.request_email_change(tx, person, new, HERE)


async def confirm(token):
    async with transaction() as tx:
        return await profile.confirm_email_change(tx, token)


async def test_a_correction_shows_at_once_in_every_browser(joins, trail):
    cookie, person = await joins(ADA)
    async with transaction() as tx:
        await profile.correct(tx, person, "  Ada   Lovelace ", "Europe/London")
    seen = await sessions.resolve(cookie)
    assert (seen.name, seen.time_zone) == ("Ada Lovelace", "Europe/London")
    async with transaction() as tx:
        told = await profile.view(tx, seen)
    assert (told.name, told.time_zone, told.email, told.has_password) == ("Ada Lovelace", "Europe/London", ADA, True)
    assert (await trail(person.account_id))[-1] == "account:corrected"


async def test_correcting_nothing_is_no_correction(ada, trail):
    async with transaction() as tx:
        await profile.correct(tx, ada, "", "UTC")
    assert "account:corrected" not in await trail(ada.account_id)


@pytest.mark.parametrize(
    ("name", "zone", "field"),
    [("Ada", "Mars/Olympus", "time_zone"), ("Ada", "../../etc/passwd", "time_zone"), ("A" * 121, "UTC", "name")],
)
async def test_what_cannot_be_is_refused_by_its_field(ada, name, zone, field):
    with pytest.raises(Refused) as refused:
        async with transaction() as tx:
            await profile.correct(tx, ada, name, zone)
    assert refused.value.field == field


async def test_ada_moves_to_another_address(joins, mailbag, trail):
    cookie, person = await joins(ADA)
    await ask(person, " Ada@Lovelace.example")
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your e-mail address is about to change"
    assert (await sessions.resolve(cookie)).email == ADA
    change = await confirm(await mailbag.token(NEW))
    assert (change.account_id, change.old, change.new) == (person.account_id, ADA, NEW)
    assert (await sessions.resolve(cookie)).email == NEW
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your e-mail address was changed"
    assert "email:changed" in await trail(person.account_id)
    async with transaction() as tx:
        assert await signing_in.sign_in(tx, NEW, PASSWORD, HERE)
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)


async def test_a_link_in_the_old_mailbox_opens_nothing_after_the_move(joins, mailbag):
    _, person = await joins(ADA)
    async with transaction() as tx:
        await resetting.request_reset(tx, ADA, HERE)
    await jobs.run_waiting()
    old_link = await mailbag.token(ADA)
    await ask(person)
    await confirm(await mailbag.token(NEW))
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await resetting.reset(tx, old_link, "staple battery horse correct 8", HERE)


async def test_mallory_cannot_tell_whose_address_she_asks_for_and_cannot_have_it(joins, mailbag):
    await joins(BOB)
    _, mallory = await joins("mallory@example.net")
    before = len(await mailbag.letters(BOB))
    assert await ask(mallory, BOB) is None
    assert await ask(mallory, NEW) is None
    (told,) = (await mailbag.letters(BOB))[before:]
    assert (told["subject"], told["action"]) == ("This address has an account already", None)


async def test_an_address_that_was_taken_meanwhile_stays_with_who_took_it(joins, mailbag):
    _, person = await joins(ADA)
    await ask(person)
    token = await mailbag.token(NEW)
    await joins(NEW)
    with pytest.raises(Refused) as refused:
        await confirm(token)
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


async def test_ada_names_her_organization(joins, trail):
    cookie, person = await joins(ADA)
    async with transaction() as tx:
        await organizations.rename(tx, person, " Analytical  Engines ")
    seen = await sessions.resolve(cookie)
    assert seen.organization_name == "Analytical Engines"
    async with transaction() as tx:
        told = await organizations.view(tx, seen)
    assert (told.id, told.name, told.role) == (person.organization_id, "Analytical Engines", "owner")
    assert (await trail(person.account_id))[-1] == "organization:renamed"


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "bell\x07"])
async def test_an_organization_needs_a_plain_name(ada, name):
    with pytest.raises(Refused) as refused:
        async with transaction() as tx:
            await organizations.rename(tx, ada, name)
    assert refused.value.field == "name"


async def test_mallory_cannot_rename_what_is_not_hers(joins):
    _, ada = await joins(ADA)
    _, mallory = await joins("mallory@example.net")
    with pytest.raises(NotFound):
        async with transaction() as tx:
            await organizations.rename(tx, replace(mallory, organization_id=ada.organization_id), "Mine")
    async with transaction() as tx:
        assert "Mine" not in (await tx.exec(select(Organization.name))).all()
