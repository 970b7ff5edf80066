"""Everything that is refused says why in OpenAI's shape, with the right status, and costs nothing."""

import json
from datetime import timedelta
from functools import partial

import httpx
import openai
import pytest
from cast import BOB, MALLORY
from customers import customer, key_of
from sqlmodel import select
from staleness import once

from assisters_app.accounts.tables import Account, Organization
from assisters_app.api import exchange
from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.valkey import announce
from assisters_app.gateway import gate
from assisters_app.keys import keys, secret

CHAT = "/v1/chat/completions"
ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def web(api):
    async with httpx.AsyncClient(base_url=api) as client:
        yield client


@pytest.fixture
async def key(ada):
    return (await key_of(ada, mode="test"))[2]


async def key_of_mallory():
    return (await key_of(await customer(MALLORY), mode="test"))[2]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def error(answer):
    found = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")
    return found["code"]


async def test_who_has_no_key_that_works_stays_outside(web, ada, key):
    stranger = secret.new_secret(secret.new_public_id()).reveal()
    forged = secret.new_secret(secret.public_id_of(key)).reveal()
    tries = [
        {},
        {"Authorization": "Basic x"},
        {"Authorization": "Bearer"},
        *map(bearer, ("sk-x", key[:-1] + "!", stranger, forged)),
    ]
    answers = [await web.post(CHAT, json=ASK, headers=headers) for headers in tries]
    assert [one.status_code for one in answers] == [401] * len(tries)
    assert [error(one) for one in answers] == ["missing_api_key"] * 3 + ["invalid_api_key"] * 4
    for path in ("/v1/models", "/v1/models/assisters-chat-v1", "/v1/rate-limit", "/v1/usage"):
        assert (await web.get(path)).status_code == 401


async def test_a_revoked_key_stops_at_once(web, ada):
    _, handle, key = await key_of(ada, mode="test")
    assert (await web.post(CHAT, json=ASK, headers=bearer(key))).status_code == 200
    async with transaction() as tx:
        await keys.revoke(tx, ada, handle)
    answer = await until(web, key, 401)
    assert error(answer) == "invalid_api_key"


async def until(web, key, status):
    """Ask until the answer changes: a push travels a moment, and one that is lost is caught within a second."""
    return await once(lambda told: told.status_code == status, partial(web.get, "/v1/models", headers=bearer(key)))


async def test_after_a_rotation_both_secrets_work_until_the_grace_is_over(web, ada):
    _, handle, old = await key_of(ada, mode="test")
    assert (await web.get("/v1/models", headers=bearer(old))).status_code == 200
    async with transaction() as tx:
        new = (await keys.rotate(tx, ada, handle, timedelta(hours=1))).secret.reveal()
    await until(web, new, 200)
    assert (await web.get("/v1/models", headers=bearer(old))).status_code == 200
    with clock.frozen(now() + timedelta(hours=1)):
        assert (await web.get("/v1/models", headers=bearer(old))).status_code == 401
        assert (await web.get("/v1/models", headers=bearer(new))).status_code == 200


async def test_an_expired_key_and_a_suspended_account_are_told_so(web, ada):
    async with transaction() as tx:
        short = await keys.issue(tx, ada, keys.NewKey(name="Short", expires_at=now() + timedelta(hours=1)))
    key = short.secret.reveal()
    with clock.frozen(now() + timedelta(hours=2)):
        answer = await web.get("/v1/models", headers=bearer(key))
    assert (answer.status_code, error(answer)) == (401, "expired_key")
    async with transaction() as tx:
        (await tx.exec(select(Account).where(Account.id == ada.account_id))).one().suspended_at = now()
        tx.afterwards(partial(announce, "organization", str(ada.organization_id)))
    assert error(await until(web, key, 403)) == "account_suspended"


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"model": None}, 400, "missing_model"),
        ({"model": 4}, 400, "missing_model"),
        ({"model": "gpt-99"}, 404, "model_not_found"),
        ({"model": "assisters-embed-v1"}, 400, "wrong_model"),
        ({"messages": None}, 400, "invalid_value"),
        ({"messages": []}, 400, "invalid_value"),
        ({"messages": ["Hello"]}, 400, "invalid_value"),
        ({"messages": [{"content": "Hello"}]}, 400, "invalid_value"),
        ({"stream": "yes"}, 400, "invalid_value"),
        ({"stream_options": {"include_usage": True}}, 400, "invalid_value"),
        ({"stream_options": 1, "stream": True}, 400, "invalid_value"),
        ({"n": 0}, 400, "invalid_value"),
        ({"n": True}, 400, "invalid_value"),
        ({"max_tokens": 0}, 400, "invalid_value"),
        ({"max_tokens": "many"}, 400, "invalid_value"),
        ({"max_completion_tokens": -1}, 400, "invalid_value"),
        ({"tools": {}}, 400, "invalid_value"),
        ({"response_format": "json"}, 400, "invalid_value"),
    ],
)
async def test_a_wrong_parameter_is_named(web, records, wrong, status, code):
    answer = await web.post(CHAT, json={**ASK, **wrong}, headers=bearer(await key_of_mallory()))
    assert (answer.status_code, error(answer)) == (status, code)
    assert answer.json()["error"]["param"] in wrong
    assert [(one.outcome, one.status, one.error_code) for one in await records()] == [("refused", status, code)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"a":1}}'])
async def test_a_body_that_is_no_json_object_is_refused(web, key, body):
    answer = await web.post(CHAT, content=body, headers=bearer(key))
    assert (answer.status_code, error(answer)) == (400, "invalid_json")


@pytest.mark.parametrize("number", [f"{2**64}", f"{-(2**63) - 1}", "1" + 40 * "0", "-" + 300 * "9"])
async def test_a_whole_number_that_would_be_rounded_on_its_way_is_refused(web, key, number):
    asked = json.dumps({**ASK, "metadata": {"of": [0]}}).replace("[0]", f"[1, {number}]")
    answer = await web.post(CHAT, content=asked, headers=bearer(key))
    assert (answer.status_code, error(answer)) == (400, "number_too_large")


async def test_numbers_that_fit_reach_the_model_as_they_are_and_digits_in_texts_are_no_numbers(upstream, web, ada):
    kept = {
        "seed": 2**64 - 1,
        "logit_bias": {"a": -(2**63)},
        "user": f'\\"{2**70}\\',
        "metadata": {str(2**80): f"{2**90}"},
        "temperature": 0.12345678901234567,
    }
    sent = {**ASK, **kept, "messages": [{"role": "user", "content": f"{2**100}, {10**30}"}]}
    live = (await key_of(ada))[2]
    assert (await web.post(CHAT, json=sent, headers=bearer(live))).status_code == 200
    assert {name: upstream.asked[0][name] for name in kept} == kept
    assert upstream.asked[0]["messages"] == sent["messages"]


async def test_a_body_that_is_too_large_is_refused_announced_or_not(web, key, monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST_BODY", 2**20)
    large = b" " * (2**20 + 1)

    async def unannounced():
        yield large

    for content in (large, unannounced()):
        answer = await web.post(CHAT, content=content, headers=bearer(key))
        assert (answer.status_code, error(answer)) == (413, "body_too_large")


async def test_unknown_addresses_and_methods_are_told_apart(web, key):
    for path in ("/v1/nothing", "/v1/models/", "/v1/chat/completions/x", "/nothing"):
        answer = await web.post(path, json={}, headers=bearer(key))
        assert (answer.status_code, error(answer)) == (404, "unknown_url")
    answer = await web.get(CHAT, headers=bearer(key))
    assert (answer.status_code, error(answer)) == (405, "method_not_allowed")
    assert (await web.delete("/healthz")).status_code == 405


async def test_the_unexpected_gives_a_reference_and_no_detail(web, key, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(gate.Gate, "offer", broken)
    answer = await web.post(CHAT, json=ASK, headers=bearer(key))
    assert (answer.status_code, error(answer)) == (500, "internal_error")
    assert answer.headers["x-request-id"] in answer.text
    assert "secret" not in answer.text
    assert [one.ref for one in caplog.records if hasattr(one, "ref")] == [answer.headers["x-request-id"]]


@pytest.mark.promise("2.3")
async def test_the_eleventh_request_of_a_minute_is_told_when_to_come_back(web, key):
    at = now()
    with clock.frozen(at) as move:
        answers = [await web.post(CHAT, json=ASK, headers=bearer(key)) for _ in range(11)]
        assert [one.status_code for one in answers] == [200] * 10 + [429]
        left = [one.headers["x-ratelimit-remaining-rpm"] for one in answers]
        assert left == [str(n) for n in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)]
        limited = answers[-1]
        assert (error(limited), limited.json()["error"]["type"]) == ("rate_limit_exceeded", "rate_limit_error")
        assert limited.json()["error"]["message"] == "Rate limit exceeded. Please retry after 60 seconds."
        assert limited.headers["retry-after"] == "60"
        move(at + timedelta(seconds=59))
        assert (await web.post(CHAT, json=ASK, headers=bearer(key))).status_code == 429
        move(at + timedelta(seconds=61))
        assert (await web.post(CHAT, json=ASK, headers=bearer(key))).status_code == 200


async def test_all_keys_of_an_organization_share_its_limit_and_nobody_elses(web, ada):
    first, second = (await key_of(ada, mode="test"))[2], (await key_of(ada, mode="test"))[2]
    mallorys = (await key_of(await customer(MALLORY), mode="test"))[2]
    for _ in range(5):
        for key in (first, second):
            assert (await web.post(CHAT, json=ASK, headers=bearer(key))).status_code == 200
    assert (await web.post(CHAT, json=ASK, headers=bearer(first))).status_code == 429
    assert (await web.post(CHAT, json=ASK, headers=bearer(mallorys))).status_code == 200


async def test_a_plan_that_changes_changes_the_limit(web, ada, key):
    async with transaction() as tx:
        (await tx.exec(select(Organization).where(Organization.owner_id == ada.account_id))).one().plan = "developer"
        tx.afterwards(partial(announce, "organization", str(ada.organization_id)))
    ask = partial(web.post, CHAT, json=ASK, headers=bearer(key))
    answer = await once(lambda told: told.headers["x-ratelimit-limit-rpm"] == "100", ask)
    assert answer.headers["x-ratelimit-limit-tpm"] == "1000000"


async def test_a_request_that_is_larger_than_the_limit_is_not_worth_trying_again(web, ada):
    key = (await key_of(ada, mode="test"))[2]
    large = {**ASK, "messages": [{"role": "user", "content": "word " * 100_000}]}
    answer = await web.post(CHAT, json=large, headers=bearer(key))
    assert (answer.status_code, error(answer)) == (429, "request_too_large")
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


async def test_who_has_no_money_is_refused_before_anybody_works(upstream, api, client_for, records):
    bob = await customer(BOB)
    client = client_for((await key_of(bob))[2], max_retries=3)
    with pytest.raises(openai.RateLimitError) as refused:
        await client.chat.completions.create(**ASK)
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert upstream.asked == []
    assert [(one.outcome, one.status) for one in await records()] == [("refused", 429)]


async def test_the_official_client_tries_again_when_that_helps(test_mode, records):
    patient = test_mode.with_options(max_retries=1)
    words = {**ASK, "messages": [{"role": "user", "content": "sandbox:error"}]}
    with pytest.raises(openai.InternalServerError):
        await patient.chat.completions.create(**words)
    assert [one.status for one in await records()] == [500, 500]


async def test_every_answer_to_a_known_key_says_what_it_cost_what_is_left_and_what_we_added(web, key):
    told = {"x-request-id", "x-processing-time-ms", "x-overhead-ms", "x-cost-usd", "x-ratelimit-remaining-rpm"}
    read = [await web.get(path, headers=bearer(key)) for path in ("/v1/models", "/v1/models/no", "/v1/usage")]
    read.append(await web.get("/v1/wallet/balance", headers=bearer(key)))
    for answer in read:
        assert told <= answer.headers.keys()
        assert (answer.headers["x-cost-usd"], answer.headers["x-ratelimit-remaining-rpm"]) == ("0.000000000", "10")
    stranger = await web.get("/v1/models")
    assert (stranger.status_code, told - stranger.headers.keys()) == (401, {"x-ratelimit-remaining-rpm"})
    answers = [
        await web.post(CHAT, headers=bearer(key), json=asked)
        for asked in (ASK, {**ASK, "model": "nope"}, {"model": ASK["model"]}, {**ASK, "max_tokens": 0})
    ]
    broken = await web.post(CHAT, headers=bearer(key), content=b"{")
    assert [one.status_code for one in (*answers, broken)] == [200, 404, 400, 400, 400]
    for answer in (*answers, broken):
        assert told <= answer.headers.keys()
        assert answer.headers["x-cost-usd"] == "0.000000000"
        assert answer.headers["x-ratelimit-remaining-rpm"] == "9"
