"""Who repeats a request under its Idempotency-Key gets the same answer, and pays once."""

import asyncio
import base64
import zlib
from datetime import timedelta

import httpx
import openai
import pytest
import redis.asyncio as redis
from cast import BOB
from customers import customer, key_of

from assisters_app.api import idempotency
from assisters_app.api.exchange import Exchange
from assisters_app.base import clock, settings
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.money import from_dollars
from assisters_app.base.valkey import valkey
from assisters_app.billing import wallet
from assisters_app.gateway import replays
from assisters_app.keys import keys
from assisters_app.privacy.belonging import subject_of
from assisters_app.privacy.erasing import remains
from assisters_app.usage.events import handle

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Tell me of the heron"}]}
STREAM = {**ASK, "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
async def key(ada):
    return (await key_of(ada))[2]


@pytest.fixture
async def web(upstream, api):
    async with httpx.AsyncClient(base_url=api) as client:
        yield client


@pytest.fixture
def send(web, key):
    """Send a request under a key, as Ada unless told otherwise."""

    async def send(body=ASK, under="first", path=CHAT, secret=key):
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": under}
        return await web.post(path, json=body, headers=headers)

    return send


def code(answer):
    return answer.json()["error"]["code"]


async def costs(records):
    return [(event.outcome, event.cost_nano) for event in await records()]


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["whole", "stream"])
async def test_a_repeated_request_gets_the_same_answer_and_is_charged_once(upstream, send, records, body):
    first = await send(body)
    upstream.words = ("Something", " else")
    again, once_more = await send(body), await send(body)
    assert (first.status_code, "idempotent-replayed" in first.headers) == (200, False)
    for repeated in (again, once_more):
        assert (repeated.status_code, repeated.content) == (200, first.content)
        assert repeated.headers["content-type"] == first.headers["content-type"]
        assert repeated.headers["idempotent-replayed"] == "true"
        assert repeated.headers["original-request-id"] == first.headers["x-request-id"]
        assert repeated.headers["x-request-id"] != first.headers["x-request-id"]
        assert repeated.headers["x-cost-usd"] == "0.000000000"
    assert await costs(records) == [("completed", 3_100)]
    assert len(upstream.asked) == 1


async def test_without_the_header_nothing_is_remembered(upstream, web, key):
    for _ in range(2):
        assert (await web.post(CHAT, json=ASK, headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert len(upstream.asked) == 2
    assert await valkey().keys("*replay*") == []


async def test_a_key_is_for_one_request_only(upstream, send):
    await send()
    for body, path in (({**ASK, "seed": 1}, CHAT), ({"model": "assisters-embed-v1", "input": "x"}, EMBEDDINGS)):
        answer = await send(body, path=path)
        assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused")
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("under", ["x" * 256, "é"])
async def test_a_key_that_is_none_is_refused(upstream, send, under):
    answer = await send(under=under.encode())
    assert (answer.status_code, code(answer)) == (400, "invalid_idempotency_key")
    assert upstream.asked == []


async def test_a_key_belongs_to_the_secret_that_sent_it(upstream, send, ada):
    bob = await customer(BOB)
    async with transaction() as tx:
        await wallet.give(tx, bob.organization_id, from_dollars("1"), "gift")
    for secret in ((await key_of(ada))[2], (await key_of(bob))[2]):
        assert (await send(secret=secret)).status_code == 200
    assert (await send()).headers.get("idempotent-replayed") is None
    assert len(upstream.asked) == 3
    assert (await send(secret="ask_wrong")).status_code == 401


async def test_who_repeats_with_the_new_secret_of_a_rotated_key_is_not_charged_again(upstream, send, ada, records):
    async with transaction() as tx:
        issued = await keys.issue(tx, ada, keys.NewKey(name="to be rotated"))
    old = issued.secret.reveal()
    first = await send(secret=old)
    async with transaction() as tx:
        new = (await keys.rotate(tx, ada, issued.key.handle)).secret.reveal()
    again = await send(secret=new)
    assert (again.status_code, code(again)) == (409, "idempotency_answer_lost")
    assert first.headers["x-request-id"] in again.json()["error"]["message"]
    assert (await send(secret=old)).content == first.content
    assert (await send({**ASK, "seed": 1}, secret=new)).status_code == 409
    assert await costs(records) == [("completed", 3_100)]
    assert (await send(secret=new, under="another")).status_code == 200


async def test_who_repeats_after_the_pepper_was_replaced_is_not_charged_again(upstream, send, records, monkeypatch):
    first = await send()
    monkeypatch.setenv("ASSISTERS_PEPPER_BEFORE", base64.b64encode(settings.settings().pepper).decode())
    monkeypatch.setenv("ASSISTERS_PEPPER", base64.b64encode(b"another pepper for tests, 32 bytes").decode())
    settings.settings.cache_clear()
    again = await send()
    assert (again.status_code, code(again)) == (409, "idempotency_answer_lost")
    assert first.headers["x-request-id"] in again.json()["error"]["message"]
    assert (await costs(records), len(upstream.asked)) == ([("completed", 3_100)], 1)
    fresh = await send(under="another")
    assert (fresh.status_code, (await send(under="another")).content) == (200, fresh.content)


async def test_while_the_first_runs_a_second_waits_and_then_gets_its_answer(upstream, send, key, client_for, records):
    upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(send())
    await asyncio.wait_for(upstream.heard.wait(), 10)
    second = await send()
    assert (second.status_code, code(second)) == (409, "idempotency_in_progress")
    assert second.headers["retry-after"] == "1"
    upstream.heard.clear()
    patient = client_for(key, max_retries=3)
    asking = asyncio.ensure_future(patient.chat.completions.create(**ASK, extra_headers={"Idempotency-Key": "other"}))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    waiting = asyncio.ensure_future(patient.chat.completions.create(**ASK, extra_headers={"Idempotency-Key": "other"}))
    upstream.gate.set()
    answers = [await asking, await waiting]
    assert answers[0] == answers[1]
    assert (await first).status_code == 200
    assert await costs(records) == [("completed", 3_100)] * 2


async def test_what_failed_may_be_tried_again_under_its_key(upstream, send, records):
    upstream.status = 500
    assert (await send()).status_code == 502
    upstream.status, upstream.cut_after = 200, 2
    assert "upstream_error" in (await send(STREAM, under="stream")).text
    upstream.cut_after = None
    assert (await send()).status_code == 200
    assert "[DONE]" in (await send(STREAM, under="stream")).text
    assert [cost for _, cost in await costs(records)] == [0, 0, 3_100, 3_100]


async def test_who_was_refused_by_a_limit_may_try_again_under_the_key(upstream, send):
    at = now()
    with clock.frozen(at) as move:
        for number in range(10):
            await send(under=str(number))
        assert (await send(under="late")).status_code == 429
        move(at + timedelta(seconds=61))
        answer = await send(under="late")
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["whole", "stream"])
async def test_who_hangs_up_finds_the_whole_answer_when_they_come_back(upstream, send, records, body):
    upstream.gate, upstream.pause_after = asyncio.Event(), 2 if body is STREAM else None
    asking = asyncio.ensure_future(send(body))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    asking.cancel()
    upstream.gate.set()
    began = now()
    while (answer := await send(body)).status_code == 409:
        assert now() - began < timedelta(seconds=10)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    assert "upstream" in answer.text
    assert ("[DONE]" in answer.text) == (body is STREAM)
    assert await costs(records) == [("completed", 3_100)]
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("limit", ["LARGEST", "MOST"])
async def test_an_answer_that_is_too_large_to_keep_is_not_made_twice(upstream, send, records, monkeypatch, limit):
    monkeypatch.setattr(replays, limit, 100)
    assert (await send()).status_code == 200
    again = await send()
    assert (again.status_code, code(again)) == (409, "idempotency_answer_lost")
    assert again.headers["x-should-retry"] == "false"
    assert handle((await records())[0].request_id) in again.text
    assert await costs(records) == [("completed", 3_100)]


async def test_when_the_process_died_nothing_is_done_twice(upstream, send):
    upstream.gate = asyncio.Event()
    dying = asyncio.ensure_future(send())
    await asyncio.wait_for(upstream.heard.wait(), 10)
    with clock.frozen(now() + timedelta(minutes=16)):
        again = await send()
    assert (again.status_code, code(again)) == (409, "idempotency_answer_lost")
    assert len(upstream.asked) == 1
    upstream.gate.set()
    await dying


async def test_nothing_that_is_kept_can_be_read_and_all_of_it_goes_within_a_day(upstream, send, key, house):
    upstream.words = ("Grey", " wading", " bird")
    await send(under="my-own-reference")
    seen, names = b"", await valkey().keys("*replay*")
    assert len(names) == 2
    async with redis.from_url(house.valkey) as raw:
        for name in await raw.keys("*replay*"):
            value = await raw.get(name)
            seen += name + value
            if b"|" in value:  # the other is a count of bytes
                sealed = base64.b64decode(value.rpartition(b"|")[2])
                with pytest.raises(zlib.error):  # it does not stand there packed either
                    zlib.decompress(sealed)
                seen += sealed
            assert 0 < await raw.ttl(name) <= 24 * 3600
    for canary in ("heron", "wading", "my-own-reference", key, key[16:40]):
        assert canary.encode() not in seen


async def test_what_is_kept_goes_with_the_account(upstream, send, ada):
    await send()
    async with transaction() as tx:
        subject = await subject_of(tx, ada.account_id)
    await remains.forget_in_valkey(subject)
    assert await valkey().keys("*replay*") == []
    upstream.gate, upstream.heard = asyncio.Event(), asyncio.Event()
    late = asyncio.ensure_future(send(under="late"))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    await replays.forget(ada.organization_id)
    upstream.gate.set()
    assert (await late).status_code == 200
    assert await valkey().keys("*replay*") == []


async def test_a_key_that_may_no_longer_ask_gets_no_old_answer_either(upstream, send, ada, records):
    _, named, secret = await key_of(ada)
    assert (await send(secret=secret)).status_code == 200
    async with transaction() as tx:
        await keys.restrict(tx, ada, named, keys.Terms(scopes=["read"]))
    async with asyncio.timeout(5):
        while (await send(secret=secret, under="new")).status_code == 200:
            pass
    assert code(await send(secret=secret)) == "scope_missing"


async def test_when_nobody_can_remember_nothing_is_begun(upstream, send, monkeypatch):
    class Down:
        async def set(self, *_, **__):
            raise redis.ConnectionError

    monkeypatch.setattr(replays, "valkey", Down)
    answer = await send()
    assert (answer.status_code, code(answer)) == (503, "service_unavailable")
    assert upstream.asked == []


def test_a_form_is_known_again_although_its_boundary_differs():
    def told(content):
        form = httpx.Request("POST", "http://x", files={"file": content})
        kind = [(b"content-type", form.headers["content-type"].encode())]
        scope = {"path": "/v1/audio/transcriptions", "query_string": b"", "headers": kind}
        return idempotency._request(Exchange(None, scope, None, None), form.read())

    first, again = told(b"sound"), told(b"sound")
    assert first == again
    assert told(b"noise") != first


async def test_the_official_client_repeats_safely(upstream, key, client_for):
    client = client_for(key)
    words = {**ASK, "extra_headers": {"Idempotency-Key": "official"}}
    first = await client.chat.completions.with_raw_response.create(**words)
    again = await client.chat.completions.with_raw_response.create(**words)
    assert first.parse() == again.parse()
    assert again.headers["idempotent-replayed"] == "true"
    with pytest.raises(openai.UnprocessableEntityError):
        await client.chat.completions.create(**{**words, "seed": 1})
