"""One request on a page of its own: what it was, how its cost adds up, and a receipt to take away; nobody else's."""

import json
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette
from uses import calls, has_key

from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.billing import months, proofs, receipts
from assisters_app.ui.receipt_routes import ROUTES
from assisters_app.ui.request_detail import RequestState
from assisters_app.usage import ddl


async def opened(page, handle):
    return (await page.send(RequestState.load, path=f"/dashboard/requests/{handle}")).of(RequestState)


async def test_ada_sees_how_a_call_went_and_how_its_cost_adds_up(ada, tab):
    (made,) = await calls(ada, await has_key(ada), first_token_ms=80, overhead_ms=20.0, estimated=True)
    shown = await opened(tab(ada), made.handle)
    one, proof = shown["one"], shown["proof"]
    assert (shown["phase"], one.key_name, one.cost, one.first_token) == ("ready", "Server", "$0.000003", "80 ms")
    assert (shown["waited"], one.estimated, proof.genuine, proof.number) == ("100 ms", True, True, 1)
    assert [(part.unit, part.count, part.each, part.amount) for part in shown["parts"]] == [
        ("input token", 10, "$0.0000001", "$0.000001"),
        ("output token", 5, "$0.0000004", "$0.000002"),
    ]
    assert json.loads(proof.text)["request"] == made.handle


async def test_what_an_error_means_is_said_in_words(ada, tab):
    (made,) = await calls(ada, await has_key(ada), status=502, outcome="failed", error_code="upstream_error")
    assert "did not answer" in (await opened(tab(ada), made.handle))["meaning"]


async def test_what_is_adas_and_what_is_nonsense_do_not_exist_for_mallory(ada, mallory, tab):
    (made,) = await calls(ada, await has_key(ada))
    page = tab(mallory)
    for handle in (made.handle, "req_" + "0" * 32, "nonsense", "req_%7D"):
        shown = await opened(page, handle)
        assert shown["phase"] == "none"
        assert not shown["one"].handle


async def test_a_call_whose_receipt_is_dropped_is_still_shown(ada, tab):
    at = now()
    (made,) = await calls(ada, await has_key(ada), at=at)
    with clock.frozen(at + timedelta(days=30)):
        async with transaction() as tx:
            await ddl.drop_expired_receipts(tx)
    shown = await opened(tab(ada), made.handle)
    assert (shown["phase"], shown["has_receipt"]) == ("ready", False)


# Downloads


@pytest.fixture
async def http(house):
    transport = httpx.ASGITransport(Starlette(routes=ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


def cookie(who):
    return {"cookie": f"session={who.cookie}"}


async def test_ada_takes_away_what_a_stranger_can_check(ada, http):
    made = await calls(ada, await has_key(ada), 3)
    async with transaction() as tx:
        await receipts.ensure_key(tx)
    month = await http.get(f"/download/receipt-months/{months.current()}", headers=cookie(ada))
    assert "attachment" in month.headers["content-disposition"]
    published = [key["public_key"] for key in (await http.get("/.well-known/receipt-keys.json")).json()["requests"]]
    found = proofs.check_month(month.content, published)
    assert (found.receipts, found.total_nano) == (3, 9_000)
    one = await http.get(f"/download/request-receipts/{made[1].handle}", headers=cookie(ada))
    assert proofs.check_one(one.json(), published)["number"] == 2
    assert one.headers["cache-control"] == "no-store"


async def test_mallory_downloads_nothing_of_adas(ada, mallory, http):
    (made,) = await calls(ada, await has_key(ada))
    for path in (f"request-receipts/{made.handle}", f"receipt-months/{months.current()}", "receipt-months/2026-13"):
        answer = await http.get(f"/download/{path}", headers=cookie(mallory))
        assert (answer.status_code, made.handle in answer.text) == (404, False)
        assert (await http.get(f"/download/{path}")).headers["location"].startswith("/sign-in")
        framed = await http.get(f"/download/{path}", headers={**cookie(ada), "sec-fetch-site": "cross-site"})
        assert framed.status_code == 403


async def test_a_month_is_not_asked_for_without_end(ada, http):
    await calls(ada, await has_key(ada))
    answers = [await http.get(f"/download/receipt-months/{months.current()}", headers=cookie(ada)) for _ in range(31)]
    assert [answer.status_code for answer in answers][-2:] == [200, 429]
