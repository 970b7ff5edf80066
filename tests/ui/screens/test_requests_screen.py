"""The request log: page by page, narrowed, and one call at a time; nobody else's."""

from datetime import timedelta

import pytest
from uses import calls, has_key

from assisters_app.base.clock import now
from assisters_app.ui import requests_log
from assisters_app.ui.requests_log import RequestsState


async def test_the_log_is_read_page_by_page_and_back(ada, tab):
    key, page = await has_key(ada), tab(ada)
    for hour in range(3):
        await calls(ada, key, 25, at=now() - timedelta(hours=hour))
    first = (await page.send(RequestsState.load)).of(RequestsState)
    assert (len(first["calls"]), first["older"]) == (50, True)
    second = (await page.send(RequestsState.turn, older=True)).of(RequestsState)
    assert (len(second["calls"]), second["older"], second["page_number"]) == (25, False, 2)
    assert not {one.handle for one in first["calls"]} & {one.handle for one in second["calls"]}
    back = (await page.send(RequestsState.turn, older=False)).of(RequestsState)
    assert [one.handle for one in back["calls"]] == [one.handle for one in first["calls"]]


async def test_failed_calls_stand_alone(ada, tab):
    key, page = await has_key(ada), tab(ada)
    await calls(ada, key, 2)
    (failed,) = await calls(ada, key, status=503, outcome="failed", error_code="upstream_unavailable", cost_nano=0)
    await page.send(RequestsState.load)
    shown = (await page.send(RequestsState.only_failed, failed=True)).of(RequestsState)
    assert [(one.status, one.tone) for one in shown["calls"]] == [(503, "bad")]
    assert shown["calls"][0].handle == f"req_{failed.request_id.hex}"


@pytest.fixture
def led_to(monkeypatch):
    """Collect where a handler leads the browser."""
    found = []
    monkeypatch.setattr(requests_log.rx, "redirect", found.append)
    return found


async def test_one_call_is_found_by_the_id_its_answer_carried(ada, tab, led_to):
    (made,) = await calls(ada, await has_key(ada))
    shown = await tab(ada).send(RequestsState.find, sent={"request_id": f" {made.handle} "})
    assert shown.of(RequestsState).get("problem", "") == ""
    assert led_to == [f"/dashboard/requests/{made.handle}"]


@pytest.mark.parametrize("theirs", [True, False])
async def test_nonsense_and_what_is_adas_are_both_no_request_of_mallorys(ada, mallory, tab, led_to, theirs):
    (made,) = await calls(ada, await has_key(ada))
    page = tab(mallory)
    asked = made.handle if theirs else "'; DROP TABLE"
    shown = await page.send(RequestsState.find, sent={"request_id": asked})
    assert shown.of(RequestsState)["problem"] == "That request does not exist."
    assert led_to == []
    assert (await page.send(RequestsState.load)).of(RequestsState).get("calls", []) == []
