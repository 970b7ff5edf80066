"""People correct what they said about themselves, and what they said before is kept for them to read."""

from dataclasses import replace

import pytest
from cast import ADA
from sqlmodel import select

from assisters_app.accounts import corrections, organizations, profile, sessions
from assisters_app.accounts.tables import Organization
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused


async def history(person):
    async with transaction() as tx:
        return [(one.what, one.before, one.after, one.told) for one in await corrections.history(tx, person)]


@pytest.mark.promise("6.2")
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
    assert await history(seen) == [
        ("time zone", "UTC", "Europe/London", ()),
        ("name", "", "Ada Lovelace", ()),
    ]


async def test_correcting_nothing_is_no_correction(ada, trail):
    async with transaction() as tx:
        await profile.correct(tx, ada, "", "UTC")
    assert "account:corrected" not in await trail(ada.account_id)
    assert await history(ada) == []


@pytest.mark.parametrize(
    ("name", "zone", "field"),
    [("Ada", "Mars/Olympus", "time_zone"), ("Ada", "../../etc/passwd", "time_zone"), ("A" * 121, "UTC", "name")],
)
async def test_what_cannot_be_is_refused_by_its_field(ada, name, zone, field):
    with pytest.raises(Refused) as refused:
        async with transaction() as tx:
            await profile.correct(tx, ada, name, zone)
    assert refused.value.field == field


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
    assert await history(seen) == [("organization", "Personal", "Analytical Engines", (("stripe", ""),))]


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
    assert await history(mallory) == await history(ada) == []
    async with transaction() as tx:
        assert "Mine" not in (await tx.exec(select(Organization.name))).all()
