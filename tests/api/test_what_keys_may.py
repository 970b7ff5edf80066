"""What a key may do, from where, and for how much: each refusal has its status, its code and its sentence."""

import asyncio
import contextlib

import httpx
import openai
import pytest
from staleness import once

from assisters_app.accounts import organizations
from assisters_app.base import settings
from assisters_app.base.db import transaction
from assisters_app.keys import keys
from assisters_app.keys.keys import NewKey
from assisters_app.keys.terms import SCOPES
from assisters_app.openapi.operations import OPERATIONS

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
COST = 11 * 100 + 5 * 400  # of one answer of the upstream's
BUDGET = 64_000  # what one call holds, but not what one has cost besides


async def key_with(person, **terms):
    async with transaction() as tx:
        return (await keys.issue(tx, person, NewKey(name="Key", **terms))).secret.reveal()


@pytest.fixture
async def web(api):
    async with httpx.AsyncClient(base_url=api) as client:
        yield client


async def models(web, key, **headers):
    answer = await web.get("/v1/models", headers={"Authorization": f"Bearer {key}", **headers})
    return answer.status_code, answer.json().get("error", {}).get("code")


@pytest.mark.parametrize(
    ("scope", "chat", "usage"), [("chat", 200, 403), ("read", 403, 200), ("write", 403, 403), ("chat read", 200, 200)]
)
async def test_a_key_does_what_its_scopes_say_and_nothing_else(web, ada, scope, chat, usage):
    key = await key_with(ada, mode="test", scopes=scope.split())
    bearer = {"Authorization": f"Bearer {key}"}
    answers = [
        await web.post("/v1/chat/completions", json=ASK, headers=bearer),
        await web.get("/v1/usage", headers=bearer),
    ]
    assert [one.status_code for one in answers] == [chat, usage]
    for one, needed in zip(answers, ("chat", "read"), strict=True):
        if one.status_code == 403:
            error = one.json()["error"]
            assert (error["code"], error["type"]) == ("scope_missing", "permission_error")
            assert f"`{needed}` scope" in error["message"]
    for path in ("/v1/models", "/v1/models/assisters-chat-v1", "/v1/rate-limit"):
        assert (await web.get(path, headers=bearer)).status_code == 200


async def test_every_address_needs_the_scope_that_is_written_down_for_it(web, ada):
    without = {
        scope: await key_with(ada, mode="test", scopes=[one for one in SCOPES if one != scope]) for scope in SCOPES
    }
    bearers = {scope: {"Authorization": f"Bearer {key}"} for scope, key in without.items()}
    asked = [one for one in OPERATIONS if one.path.startswith("/v1/") and not one.public]
    assert {one.scope for one in asked} == {*SCOPES, None}
    for one in asked:
        path = one.path.replace("{model}", "assisters-chat-v1")
        for scope, bearer in bearers.items():
            answer = await web.request(one.method, path, json={}, headers=bearer)
            missing = answer.status_code == 403 and answer.json()["error"]["code"] == "scope_missing"
            assert missing == (scope == one.scope), (path, scope)
            assert missing <= ("scope_missing" in one.problems)


async def test_a_key_calls_the_models_it_was_given_and_sees_no_others(api, ada, client_for, records):
    client = client_for(await key_with(ada, mode="test", models=["assisters-embed-v1"]))
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await client.chat.completions.create(**ASK)
    assert (refused.value.code, refused.value.param) == ("model_not_allowed", "model")
    assert "assisters-chat-v1" in str(refused.value)
    assert [one.id async for one in await client.models.list()] == ["assisters-embed-v1"]
    with pytest.raises(openai.PermissionDeniedError):
        await client.models.retrieve("assisters-chat-v1")
    assert (await client.embeddings.create(model="assisters-embed-v1", input="A text")).usage.total_tokens > 0
    assert [(one.outcome, one.status, one.cost_nano) for one in await records()] == [
        ("refused", 403, 0),
        ("completed", 200, 0),
    ]


async def test_a_key_works_from_its_addresses_and_believes_no_stranger_about_them(web, ada):
    elsewhere = await key_with(ada, networks=["203.0.113.0/24", "2001:db8::/32"])
    forwarded = "X-Forwarded-For"
    assert await models(web, elsewhere) == (403, "ip_not_allowed")
    assert await models(web, elsewhere, **{forwarded: "203.0.113.5"}) == (403, "ip_not_allowed")
    for here in ("127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104"):
        assert await models(web, await key_with(ada, networks=[here])) == (200, None)


@pytest.mark.parametrize(
    ("forwarded", "allowed"),
    [
        ("203.0.113.5", True),
        ("::ffff:203.0.113.5", True),
        ("2001:db8::1", True),
        ("198.51.100.1, 203.0.113.5", True),
        ("203.0.113.5, 198.51.100.1", False),
        ("203.0.113.5, unknown", False),
        ("2001:db9::1", False),
        ("", False),
    ],
)
async def test_behind_our_own_proxy_the_address_is_the_one_it_saw(web, ada, monkeypatch, forwarded, allowed):
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1/32")
    settings.settings.cache_clear()
    key = await key_with(ada, networks=["203.0.113.0/24", "2001:db8::/32"])
    status, _ = await models(web, key, **({"X-Forwarded-For": forwarded} if forwarded else {}))
    assert status == (200 if allowed else 403)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Origin": "https://app.example.com"}, True),
        ({"Origin": "HTTPS://APP.Example.COM:8443"}, True),
        ({"Origin": "https://app.example.com."}, True),
        ({"Origin": "http://app.example.com"}, True),
        ({"Origin": "https://a.b.example.org"}, True),
        ({"Origin": "https://xn--bcher-kva.example"}, True),
        ({"Referer": "https://app.example.com/page?x=https://evil.example"}, True),
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "null", "Referer": "https://app.example.com/"}, False),
        ({"Origin": "https://evil.example", "Referer": "https://app.example.com/"}, False),
        ({"Origin": "https://example.org"}, False),
        ({"Origin": "https://evilexample.org"}, False),
        ({"Origin": "https://app.example.com.evil.example"}, False),
        ({"Origin": "https://app.example.com@evil.example"}, False),
        ({"Origin": "https://evil.example/app.example.com"}, False),
        ({"Origin": "https://evil.example, https://app.example.com"}, False),
        ({"Origin": "https://app.example.com.."}, False),
        ({"Origin": "ftp://app.example.com"}, False),
        ({"Origin": "app.example.com"}, False),
        ({"Referer": "https://evil.example/?https://app.example.com/"}, False),
        ({"Referer": "https://app.example.com@evil.example/"}, False),
        ({"Referer": "https://[not-an-address/"}, False),
    ],
)
async def test_a_key_works_on_pages_of_its_domains_and_a_call_that_names_none_is_refused(web, ada, headers, allowed):
    key = await key_with(ada, domains=["app.example.com", "*.example.org", "bücher.example"])
    assert await models(web, key, **headers) == ((200, None) if allowed else (403, "domain_not_allowed"))


async def test_two_origins_are_none(web, ada):
    key = await key_with(ada, domains=["app.example.com"])
    headers = [("Authorization", f"Bearer {key}"), *[("Origin", "https://app.example.com")] * 2]
    assert (await web.get("/v1/models", headers=headers)).status_code == 403


async def test_a_browser_shows_answers_to_pages_of_the_keys_domains_only(web, ada):
    page, named = "https://app.example.com", await key_with(ada, mode="test", domains=["app.example.com"])
    asked = {"Origin": page, "Access-Control-Request-Method": "POST"}
    headers = "authorization,content-type,x-stainless-lang"
    may = await web.options("/v1/chat/completions", headers={**asked, "Access-Control-Request-Headers": headers})
    assert (may.status_code, may.content) == (204, b"")
    assert may.headers["access-control-allow-origin"] == "*"
    assert may.headers["access-control-allow-headers"] == headers
    for body in (ASK, {**ASK, "stream": True}, {**ASK, "model": "gpt-99"}):
        bearer = {"Authorization": f"Bearer {named}", "Origin": page}
        shown = await web.post("/v1/chat/completions", json=body, headers=bearer)
        assert shown.headers["access-control-allow-origin"] == page
        assert "x-request-id" in shown.headers["access-control-expose-headers"]
    for key, origin in ((named, "https://evil.example"), (await key_with(ada, mode="test"), page), ("ask_x", page)):
        bearer = {"Authorization": f"Bearer {key}", "Origin": origin}
        hidden = await web.post("/v1/chat/completions", json=ASK, headers=bearer)
        assert "access-control-allow-origin" not in hidden.headers
    assert (await web.options("/v1/chat/completions")).status_code == 405


async def test_changed_terms_hold_on_the_next_call(web, ada):
    async with transaction() as tx:
        issued = await keys.issue(tx, ada, NewKey(name="Key"))
    key = issued.secret.reveal()
    assert await models(web, key) == (200, None)
    async with transaction() as tx:
        await keys.restrict(tx, ada, issued.key.handle, keys.Terms(networks=["203.0.113.1"]))
    await once(lambda told: told == (403, "ip_not_allowed"), lambda: models(web, key))


async def test_a_budget_that_is_reached_says_so_and_when_it_is_whole_again(upstream, ada, client_for, records):
    client = client_for(await key_with(ada, budget_day=BUDGET), max_retries=3)
    await client.chat.completions.create(**ASK)
    with pytest.raises(openai.RateLimitError) as refused:
        await client.chat.completions.create(**ASK)
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert "This key's budget of $0.000064 a day has $0.0000609 left" in str(refused.value)
    assert "00:00 UTC" in str(refused.value)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.asked) == 1
    assert sorted((one.outcome, one.cost_nano) for one in await records()) == [("completed", COST), ("refused", 0)]


async def test_a_spend_cap_holds_for_every_key_until_it_is_lifted(upstream, ada, client_for):
    async with transaction() as tx:
        await organizations.cap_spending(tx, ada, COST)
    first, second = client_for(await key_with(ada)), client_for(await key_with(ada))
    for client in (first, second):
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(**ASK)
        assert "Your organization's spend cap of $0.0000031 a month has $0.0000031 left" in str(refused.value)
    async with transaction() as tx:
        await organizations.cap_spending(tx, ada, None)

    async def ask():
        with contextlib.suppress(openai.RateLimitError):
            return await first.chat.completions.create(**ASK)

    await once(bool, ask)


async def test_one_call_too_many_at_the_same_time_is_told_to_come_again(upstream, ada, client_for):
    client = client_for(await key_with(ada, concurrency=1))
    upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(client.chat.completions.create(**ASK))
    await upstream.heard.wait()
    with pytest.raises(openai.RateLimitError) as refused:
        await client.chat.completions.create(**ASK)
    assert (refused.value.code, refused.value.type) == ("too_many_at_once", "rate_limit_error")
    assert refused.value.response.headers["retry-after"] == "1"
    upstream.gate.set()
    await first
    assert (await client.chat.completions.create(**ASK)).usage.total_tokens == 16


async def test_a_keys_own_limit_is_what_its_headers_tell(web, ada):
    bearer = {"Authorization": f"Bearer {await key_with(ada, mode='test', requests_per_minute=2)}"}
    answers = [await web.post("/v1/chat/completions", json=ASK, headers=bearer) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [one.headers["x-ratelimit-limit-rpm"] for one in answers] == ["2"] * 3
    left = (await web.get("/v1/rate-limit", headers=bearer)).json()
    assert (left["limit"], left["remaining"]) == (2, 0)
    other = {"Authorization": f"Bearer {await key_with(ada, mode='test')}"}
    assert (await web.post("/v1/chat/completions", json=ASK, headers=other)).status_code == 200
