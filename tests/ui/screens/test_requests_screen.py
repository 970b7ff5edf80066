"""The request log: page by page, narrowed, and one call at a time; nobody else's."""

from datetime import timedelta

from uses import calls, has_key

from assisters_app.base.clock import now
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


async def test_one_call_is_found_by_the_id_its_answer_carried(ada, tab):
    key = await has_key(ada)
    (made,) = await calls(ada, key, cost_nano=7_000, first_token_ms=80)
    shown = (await tab(ada).send(RequestsState.find, sent={"request_id": f" req_{made.request_id.hex} "})).of(
        RequestsState
    )
    one = shown["one"]
    assert (shown["open"], one.key_name, one.cost, one.first_token) == (True, "Server", "$0.000007", "80 ms")


async def test_mallory_cannot_open_adas_call(ada, mallory, tab):
    (made,) = await calls(ada, await has_key(ada))
    page = tab(mallory)
    shown = (await page.send(RequestsState.find, sent={"request_id": f"req_{made.request_id.hex}"})).of(RequestsState)
    assert shown["problem"] == "That request does not exist."
    assert (shown["one"].handle, shown.get("open", False)) == ("", False)
    assert (await page.send(RequestsState.load)).of(RequestsState).get("calls", []) == []


async def test_nonsense_is_not_a_request(ada, tab):
    shown = (await tab(ada).send(RequestsState.find, sent={"request_id": "'; DROP TABLE"})).of(RequestsState)
    assert shown["problem"] == "That request does not exist."
