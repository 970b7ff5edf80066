"""What is said in calls is kept where Ada turns it on, read by her alone, and retention is for staff to see."""

from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette
from uses import calls, has_key

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.gateway.content import contents
from assisters_app.gateway.content.contents import Said, Side
from assisters_app.privacy.keeping import alarms, retention
from assisters_app.privacy.keeping.tables import Sweep
from assisters_app.ui.content_routes import ROUTES
from assisters_app.ui.privacy.content import ContentState
from assisters_app.ui.request_detail import RequestState
from assisters_app.ui.staff.retention import RetentionState

SENT = Side("application/json", '{"prompt": "<script>alert(1)</script>"}', 39)
GOT = Side("text/event-stream", "data: [DONE]", 12, cut=True)


@pytest.fixture
async def http(house):
    transport = httpx.ASGITransport(Starlette(routes=ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


async def said(person, keys_page):
    """Turn keeping on, call once, and return the request's id as people see it."""
    key = await has_key(person)
    shown = (await keys_page.send(ContentState.load)).of(ContentState)
    await keys_page.send(ContentState.turn, handle=shown["rows"][0].handle, on=True)
    (made,) = await calls(person, key)
    async with transaction() as tx:
        assert await contents.keep(tx, [Said(made.request_id, person.person.organization_id, made.at, SENT, GOT)]) == 1
    return made.handle


def cookie(who):
    return {"cookie": f"session={who.cookie}"}


async def test_ada_turns_it_on_for_a_key_reads_what_was_said_and_deletes_it(ada, tab, http):
    page = tab(ada)
    handle = await said(ada, page)
    shown = (await page.send(ContentState.load)).of(ContentState)
    assert (shown["rows"][0].since != "", shown["requests"]) == (True, 1)
    shown = (await page.send(RequestState.load, path=f"/dashboard/requests/{handle}")).of(RequestState)
    assert shown["content_until"] > now().isoformat()
    assert "alert" not in str(shown)
    read = await http.get(f"/download/request-content/{handle}", headers=cookie(ada))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in read.text
    assert "<script>alert" not in read.text
    assert "Only the beginning is kept." in read.text
    assert read.headers["cache-control"] == "no-store"
    await page.send(RequestState.forget, path=f"/dashboard/requests/{handle}", sent={})
    gone = await http.get(f"/download/request-content/{handle}", headers=cookie(ada))
    assert (gone.status_code, "does not exist" in gone.text) == (404, True)


async def test_all_of_it_goes_at_once_and_turning_off_keeps_no_more(ada, tab):
    page = tab(ada)
    await said(ada, page)
    assert (await page.send(ContentState.delete, sent={})).of(ContentState)["requests"] == 0
    handle = (await page.send(ContentState.load)).of(ContentState)["rows"][0].handle
    assert (await page.send(ContentState.turn, handle=handle, on=False)).of(ContentState)["rows"][0].since == ""


@pytest.mark.promise("4.3", "5.5")
async def test_neither_mallory_nor_staff_reads_what_ada_said_or_turns_it_on_for_her(ada, mallory, grace, tab, http):
    handle = await said(ada, tab(ada))
    ours = (await tab(ada).send(ContentState.load)).of(ContentState)["rows"][0].handle
    for other in (mallory, grace):
        refused = await http.get(f"/download/request-content/{handle}", headers=cookie(other))
        assert (refused.status_code, "alert" in refused.text) == (404, False)
        await tab(other).send(ContentState.turn, handle=ours, on=False)
        await tab(other).send(ContentState.delete, sent={})
    assert (await tab(ada).send(ContentState.load)).of(ContentState)["requests"] == 1
    elsewhere = {**cookie(ada), "sec-fetch-site": "cross-site"}
    assert (await http.get(f"/download/request-content/{handle}", headers=elsewhere)).status_code == 403
    assert (await http.get(f"/download/request-content/{handle}")).status_code == 303


async def test_staff_sees_the_oldest_row_of_each_table_what_was_swept_and_what_is_overdue(house, ada, grace, tab):
    async with transaction() as tx:
        await retention.sweep(tx)
        old = now() - timedelta(days=31)
        tx.add(Sweep(rule="request-logs", table_name="usage_event", removed=7, oldest_left_at=old))
    async with transaction() as tx:
        await alarms.look(tx)
    shown = (await tab(grace).send(RetentionState.load)).of(RetentionState)
    first = shown["lines"][0]
    assert (shown["phase"], shown["overdue"], first.table, first.kept) == ("ready", 1, "usage_event", False)
    assert [(run.title, run.removed) for run in shown["runs"]] == [("Your API request log", 7)]
    assert [(alarm.title, alarm.ended) for alarm in shown["alarms"]] == [("Your API request log", "")]
    assert shown["chain"] == ""


async def test_retention_is_for_staff(ada, tab):
    assert (await tab(ada).send(RetentionState.load)).of(RetentionState).get("lines", []) == []
