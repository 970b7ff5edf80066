"""Ada closes her account, changes her mind, and erases it; nobody does it for her."""

import asyncio
import json
from datetime import timedelta

import pytest
from cast import ADA, MALLORY
from routes import OURS, SCRIPT, client
from sqlmodel import select
from test_privacy_screen import proved_long_ago
from uses import has_key

from assisters_app.accounts import sessions
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit
from assisters_app.base.db import transaction
from assisters_app.privacy.erasing import erasure, purge, receipts
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.ui import receipt as receipt_page
from assisters_app.ui.closing import ClosingState
from assisters_app.ui.receipt import ReceiptState
from assisters_app.ui.undoing import UndoingState


async def close(who, email, how, **headers):
    async with client(who.cookie, **(headers or SCRIPT)) as http:
        answer = await http.post("/privacy/close", data={"email": email, "how": how})
    sessions._known.clear()
    return answer


async def closings():
    async with transaction() as tx:
        return (await tx.exec(select(Erasure))).all()


async def carried_out():
    (asked,) = await closings()
    await purge.carry_out(str(asked.id))


async def test_ada_sees_what_goes_and_what_stays_before_anything_is_decided(ada, tab):
    await has_key(ada)
    shown = (await tab(ada).send(ClosingState.load)).of(ClosingState)
    assert shown["phase"] == "ready"
    assert {line.table: line.goes for line in shown["going"]}["api_key"] == 1
    kept = {line.table: line for line in shown["staying"]}
    assert "Art. 5(2)" in kept["trail_entry"].ground
    assert all(line.until and line.ground for line in kept.values())
    assert await closings() == []  # it was a rehearsal
    assert await sessions.resolve(ada.cookie) is not None


async def test_the_plan_is_shown_only_to_who_has_just_proven_who_they_are(ada, tab):
    await proved_long_ago(ada)
    shown = (await tab(ada).send(ClosingState.load)).of(ClosingState)
    assert shown["phase"] == "confirm"
    assert (shown.get("going", []), shown.get("goes", "")) == ([], "")


async def test_closing_asks_for_the_address_of_the_account(ada):
    answer = await close(ada, MALLORY, "now")
    assert (answer.status_code, answer.json()["field"]) == (400, "email")
    assert await closings() == []


async def test_closing_asks_for_a_choice(ada):
    answer = await close(ada, ADA, "")
    assert answer.json()["field"] == "how"
    assert await closings() == []


async def test_a_session_left_open_cannot_close_the_account(ada):
    await proved_long_ago(ada)
    answer = await close(ada, ADA, "now")
    assert answer.json() == {"next": "/confirm?next=/dashboard/privacy/delete"}
    assert await closings() == []


async def test_another_site_cannot_close_the_account(ada):
    answer = await close(ada, ADA, "now", **{"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert await closings() == []


async def test_nobody_closes_adas_account_without_her_cookie(ada):
    async with client(**SCRIPT) as http:
        answer = await http.post("/privacy/close", data={"email": ADA, "how": "now"})
    assert answer.status_code == 401
    assert await closings() == []


async def test_closing_signs_ada_out_and_the_banner_takes_it_back(ada, signs_in, tab):
    answer = await close(ada, ADA.upper(), "later")
    assert answer.json() == {"next": "/closed"}
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert await sessions.resolve(ada.cookie) is None
    page = tab(await signs_in(ADA))
    banner = (await page.send(UndoingState.look, zone="UTC")).of(UndoingState)
    (asked,) = await closings()
    assert banner["erased_at"] == asked.carry_out_at.isoformat()
    undone = await page.send(UndoingState.undo)
    assert undone.of(UndoingState)["erased_at"] == ""
    assert "open again" in undone.said()
    assert (await closings())[0].withdrawn_at is not None


async def test_an_open_account_has_no_banner(ada, tab):
    shown = (await tab(ada).send(UndoingState.look, zone="UTC")).of(UndoingState)
    assert shown.get("erased_at", "") == ""
    assert (await tab(ada).send(UndoingState.undo)).said() == "There is nothing to undo."


async def test_erasing_now_leads_to_a_receipt_that_verifies_and_counts_what_was_shown(ada, tab):
    await has_key(ada)
    plan = (await tab(ada).send(ClosingState.load)).of(ClosingState)
    answer = await close(ada, ADA, "now", **SCRIPT)
    path = answer.json()["next"]
    assert path.startswith("/receipts/rcp_")
    await carried_out()
    shown = (await tab().send(ReceiptState.load, path=path)).of(ReceiptState)
    assert (shown["phase"], shown["genuine"]) == ("ready", True)
    assert {(one.table, one.goes) for one in shown["gone"]} == {(one.table, one.goes) for one in plan["going"]}
    async with client() as http:
        saved = (await http.get("/download" + path)).json()
    facts = receipts.verify(saved["body"], saved["signature"], saved["public_key"])
    assert facts["receipt"] == path.rpartition("/")[2]
    assert ADA not in json.dumps(saved)
    async with transaction() as tx:
        assert (await tx.exec(select(Account).where(Account.email == ADA))).first() is None


@pytest.fixture
def looks(monkeypatch):
    """Count how often a receipt is looked for, and wait for none."""
    asked, read = [], receipt_page._read

    async def counted(handle):
        asked.append(handle)
        return await read(handle)

    monkeypatch.setattr(receipt_page, "_read", counted)
    monkeypatch.setattr(receipt_page, "WAITS", (0, 0))
    monkeypatch.setattr(receipt_page, "_looks", {})
    return asked


async def test_a_receipt_that_nobody_asked_for_is_looked_for_once(ada, tab, looks):
    shown = (await tab().send(ReceiptState.load, path="/receipts/rcp_000000000000")).of(ReceiptState)
    assert shown["phase"] == "none"
    assert looks == ["rcp_000000000000"]


async def test_a_receipt_that_is_still_to_come_is_waited_for_by_one_look_for_all(ada, tab, looks):
    path = (await close(ada, ADA, "now", **SCRIPT)).json()["next"]
    shown = await asyncio.gather(*(tab().send(ReceiptState.load, path=path) for _ in range(5)))
    assert {one.of(ReceiptState)["phase"] for one in shown} == {"none"}  # in vain: no worker runs
    assert looks == [path.rpartition("/")[2]]  # five people, three looks each, within a second
    receipt_page._looks.clear()
    await carried_out()
    assert (await tab().send(ReceiptState.load, path=path)).of(ReceiptState)["phase"] == "ready"


async def test_nobody_waits_for_the_receipt_of_an_account_in_its_grace(ada, tab, looks):
    await close(ada, ADA, "later", **SCRIPT)
    (asked,) = await closings()
    path = "/receipts/" + asked.progress["receipt"]
    assert (await tab().send(ReceiptState.load, path=path)).of(ReceiptState)["phase"] == "none"
    assert len(looks) == 1


async def test_mallory_cannot_have_us_look_for_receipts_without_end(house, tab, looks, monkeypatch):
    monkeypatch.setattr(receipt_page, "READING", Limit("reading", 3, timedelta(minutes=1)))
    page = tab()  # its first event finds a tab unknown, which loads its page by itself
    seen = [
        (await page.send(ReceiptState.load, path=f"/receipts/rcp_00000000000{n}")).of(ReceiptState) for n in range(3)
    ]
    assert [one["phase"] for one in seen] == ["none", "none", "failed"]
    assert len(looks) == 2


async def test_without_scripts_the_browser_is_led_on_by_itself(ada):
    answer = await close(ada, ADA, "later", **OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/closed")


async def test_no_receipt_is_handed_out_that_does_not_exist(house):
    async with client() as http:
        assert (await http.get("/download/receipts/rcp_%00")).status_code == 404
        answer = await http.get("/download/receipts/rcp_000000000000")
    assert answer.status_code == 404


@pytest.mark.parametrize("how", ["later", "now"])
async def test_mallory_closes_only_her_own_account(ada, mallory, how):
    await close(mallory, MALLORY, how)
    (asked,) = await closings()
    assert asked.account_id == mallory.person.account_id
    async with transaction() as tx:
        assert await erasure.pending(tx, ada.person.account_id) is None
    assert await sessions.resolve(ada.cookie) is not None
