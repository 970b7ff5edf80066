"""A program reads the wallet of its key's organization to the billionth of a dollar, and orders credit for it."""

import re

import httpx
import pytest
from cast import MALLORY
from customers import customer
from sqlmodel import select

from assisters_app.base.db import transaction
from assisters_app.base.money import exact, from_dollars
from assisters_app.billing import ledger, topups, wallet
from assisters_app.billing.tables import TopUp
from assisters_app.keys import keys

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def web(api):
    async with httpx.AsyncClient(base_url=api, timeout=30) as client:
        yield client


async def key_with(person, *scopes, mode="live"):
    async with transaction() as tx:
        issued = await keys.issue(tx, person, keys.NewKey(name="K", mode=mode, scopes=scopes))
    return {"Authorization": f"Bearer {issued.secret.reveal()}"}


@pytest.fixture
async def reader(ada):
    return await key_with(ada, "chat", "read")


@pytest.fixture
async def writer(ada):
    return await key_with(ada, "write")


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0.000000000"), (1, "0.000000001"), (-3_100, "-0.000003100"), (-12_345_678_900, "-12.345678900")],
)
def test_an_amount_is_written_exactly(nano, text):
    assert exact(nano) == text


async def test_ada_sees_what_is_there_what_is_pending_and_what_is_left(upstream, web, reader, records):
    await web.post("/v1/chat/completions", json=ASK, headers=reader)
    before = (await web.get("/v1/wallet/balance", headers=reader)).json()
    assert before == {
        "object": "wallet.balance", "currency": "usd",
        "balance": "1.000000000", "balance_nano_usd": 1_000_000_000,
        "pending": "0.000003100", "pending_nano_usd": 3_100,
        "held": "0.000000000", "held_nano_usd": 0,
        "available": "0.999996900", "available_nano_usd": 999_996_900,
    }  # fmt: skip
    await records()
    after = (await web.get("/v1/wallet/balance", headers=reader)).json()
    assert (after["balance_nano_usd"], after["pending_nano_usd"]) == (999_996_900, 0)
    assert after["available"] == before["available"]


async def test_every_movement_is_listed_once_page_by_page(upstream, web, ada, reader, records):
    await web.post("/v1/chat/completions", json=ASK, headers=reader)
    await records()
    async with transaction() as tx:
        for number in range(4):
            legs = {"wallet": number + 1, "stripe": -number - 1}
            await ledger.post(tx, ledger.Movement(ada.organization_id, "topup", f"topup:{number}", legs))
        mallory = await customer(MALLORY)
        await wallet.give(tx, mallory.organization_id, from_dollars("9"), "gift:mallory")
    seen, query = [], {"limit": 2}
    while True:
        page = (await web.get("/v1/wallet/transactions", params=query, headers=reader)).json()
        seen += page["data"]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert [(one["kind"], one["amount_nano_usd"]) for one in seen] == [
        ("topup", 4), ("topup", 3), ("topup", 2), ("topup", 1), ("usage", -3_100), ("bonus", 1_000_000_000),
    ]  # fmt: skip
    assert (seen[4]["amount"], seen[4]["model"]) == ("-0.000003100", "assisters-chat-v1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", seen[4]["day"])
    used = (await web.get("/v1/wallet/transactions", params={"kind": "usage"}, headers=reader)).json()
    assert used["data"] == [seen[4]]
    nothing = (await web.get("/v1/wallet/transactions", params={"kind": "refund"}, headers=reader)).json()
    assert nothing == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "txn_1"}, {"after": ""}, {"kind": "gift"}]
)
async def test_a_page_that_cannot_be_is_refused(web, reader, asked):
    answer = await web.get("/v1/wallet/transactions", params=asked, headers=reader)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(asked)))


async def test_a_program_orders_credit_a_person_pays_for_it_and_it_is_there(payments_on, web, ada, reader, writer):
    headers = {**writer, "Idempotency-Key": "order-1"}
    ordered = await web.post("/v1/wallet/top-up", json={"amount": "50.00"}, headers=headers)
    assert ordered.status_code == 200
    told = ordered.json()
    assert (told["amount"], told["bonus"], told["bonus_nano_usd"]) == ("50.000000000", "2.500000000", 2_500_000_000)
    again = await web.post("/v1/wallet/top-up", json={"amount": "50.00"}, headers=headers)
    assert (again.json(), again.headers["idempotent-replayed"]) == (told, "true")
    payments_on.press(told["checkout_url"], "pay")
    async with transaction() as tx:
        assert (await topups.look_again(tx, ada, told["id"])).state == "paid"
        assert len((await tx.exec(select(TopUp))).all()) == 1
    found = (await web.get("/v1/wallet/balance", headers=reader)).json()
    assert found["available"] == "53.500000000"


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (None, "invalid_value"),
        (True, "invalid_value"),
        (25.5, "invalid_value"),
        ("25.555", "invalid_value"),
        ("-25", "invalid_value"),
        ("٢٥", "invalid_value"),
        (-25, "invalid_value"),
        ("9.99", "amount_too_small"),
        (500, "amount_too_large"),
    ],
)
async def test_an_amount_that_is_none_is_refused(payments_on, web, writer, amount, code):
    answer = await web.post("/v1/wallet/top-up", json={"amount": amount}, headers=writer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_what_a_key_may_not_do_to_the_wallet_it_is_told(payments_on, web, ada, reader, writer):
    test_key = await key_with(ada, "write", mode="test")
    refusals = [
        await web.post("/v1/wallet/top-up", json={"amount": 25}, headers=reader),
        await web.get("/v1/wallet/balance", headers=writer),
        await web.get("/v1/wallet/transactions", headers=writer),
        await web.post("/v1/wallet/top-up", json={"amount": 25}, headers=test_key),
        await web.post("/v1/wallet/top-up", json={"amount": 25}),
    ]
    told = [(one.status_code, one.json()["error"]["code"]) for one in refusals]
    assert told == [(403, "scope_missing")] * 3 + [(403, "live_key_required"), (401, "missing_api_key")]
    async with transaction() as tx:
        assert (await tx.exec(select(TopUp))).all() == []


async def test_without_a_payment_provider_there_are_no_top_ups(web, writer):
    answer = await web.post("/v1/wallet/top-up", json={"amount": 25}, headers=writer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "payments_off")


async def test_the_wallet_cannot_be_asked_about_all_the_time(web, reader):
    answers = [await web.get("/v1/wallet/balance", headers=reader) for _ in range(61)]
    assert [one.status_code for one in answers] == [200] * 60 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
