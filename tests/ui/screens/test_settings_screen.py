"""Ada corrects what we know of her, and ends sessions that are hers; Mallory ends none of them."""

from datetime import timedelta

import pytest
from cast import ADA

from assisters_app.accounts import moving, sessions
from assisters_app.accounts.client import Client
from assisters_app.base import clock, jobs
from assisters_app.base.db import transaction
from assisters_app.ui.session import AppState
from assisters_app.ui.settings import SettingsState


async def test_ada_sees_what_she_told_us_and_where_she_is_signed_in(ada, tab):
    shown = (await tab(ada).send(SettingsState.load, zone="Europe/Paris")).of(SettingsState)
    assert (shown["browser_zone"], shown["time_zone"]) == ("Europe/Paris", "UTC")
    (browser,) = shown["browsers"]
    assert (browser.device, browser.ip, browser.current) == ("Firefox on Linux", "192.0.2.7", True)
    assert shown["proven"] is True


async def test_ada_corrects_her_name_and_zone(ada, tab):
    page = tab(ada)
    await page.send(SettingsState.load, zone="UTC")
    shown = await page.send(SettingsState.correct, sent={"name": "Ada Lovelace", "time_zone": "Europe/London"})
    assert shown.said() == "Saved."
    assert shown.of(SettingsState)["name"] == "Ada Lovelace"
    assert shown.of(SettingsState)["time_zone"] == "Europe/London"
    assert (await page.state(AppState)).times_in == "Europe/London"


async def test_who_chose_no_zone_reads_times_in_their_browsers(ada, tab):
    page = tab(ada)
    for zone, read_in in (("Asia/Tokyo", "Asia/Tokyo"), ("UTC", "")):
        await page.send(SettingsState.correct, sent={"name": "Ada", "time_zone": zone})
        assert (await page.state(AppState)).times_in == read_in


async def test_a_zone_that_does_not_exist_is_refused_beside_its_field(ada, tab):
    shown = (await tab(ada).send(SettingsState.correct, sent={"name": "", "time_zone": "Mars/Base"})).of(SettingsState)
    assert shown["problem"] == "Choose a time zone from the list."


async def test_ada_renames_her_organization(ada, tab):
    shown = await tab(ada).send(SettingsState.rename, sent={"organization": "Analytical Engines"})
    assert "Analytical Engines" in shown.values()


@pytest.mark.promise("6.2")
async def test_ada_sees_what_she_corrected_and_who_else_was_told(ada, mallory, tab):
    page = tab(ada)
    await page.send(SettingsState.rename, sent={"organization": "Analytical Engines"})
    await jobs.run_waiting()
    (row,) = (await page.send(SettingsState.load, zone="UTC")).of(SettingsState)["corrected"]
    assert (row.what, row.before, row.after) == ("Organization", "Personal", "Analytical Engines")
    assert row.told == "Stripe: knows nothing of you"
    assert (await tab(mallory).send(SettingsState.load, zone="UTC")).of(SettingsState).get("corrected", []) == []


async def test_ada_sees_which_address_has_not_said_yes_and_stays_where_she_is(ada, tab):
    async with transaction() as tx:
        await moving.ask(tx, ada.person, "ada@new.example", Client("192.0.2.7", "Firefox"))
    page = tab(ada)
    change = (await page.send(SettingsState.load, zone="UTC")).of(SettingsState)["change"]
    assert (change.new_email, change.old_confirmed, change.new_confirmed) == ("ada@new.example", False, False)
    stayed = await page.send(SettingsState.stay)
    assert stayed.said() == "Your address stays as it is."
    assert stayed.of(SettingsState)["change"].until == ""


async def test_ada_signs_another_browser_out(ada, signs_in, tab):
    other, page = await signs_in(ADA), tab(ada)
    shown = (await page.send(SettingsState.load, zone="UTC")).of(SettingsState)
    (theirs,) = [one for one in shown["browsers"] if not one.current]
    after = await page.send(SettingsState.end, session=theirs.id)
    assert after.said() == "That browser is signed out."
    assert len(after.of(SettingsState)["browsers"]) == 1
    assert await sessions.resolve(other.cookie) is None


async def test_mallory_cannot_end_adas_session(ada, mallory, tab):
    said = (await tab(mallory).send(SettingsState.end, session=str(ada.person.session_id))).said()
    assert said == "That session does not exist."
    assert await sessions.resolve(ada.cookie) is not None


async def test_after_a_while_ada_must_prove_again_who_she_is(ada, tab):
    page = tab(ada)
    with clock.frozen(clock.now() + timedelta(minutes=11)):
        shown = (await page.send(SettingsState.load, zone="UTC")).of(SettingsState)
    assert shown.get("proven", False) is False


async def test_nobody_reads_settings(house, tab):
    assert (await tab().send(SettingsState.load, zone="UTC")).of(SettingsState).get("browsers", []) == []
