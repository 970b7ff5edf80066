"""What the policy says of API calls, proven by calls: one row for each (1.5), and sums that are the answers' (1.6)."""

import asyncio
import itertools
import random

import httpx
import pytest
import upstream as double
from aiohttp import web
from cast import ADA
from customers import customer, key_of
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts.tables import Organization
from assisters_app.api.app import Api
from assisters_app.base import settings
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.base.valkey import valkey
from assisters_app.billing import rating, wallet
from assisters_app.gateway import catalog, ingest
from assisters_app.gateway.scripts import TAG
from assisters_app.privacy.checks import metering
from assisters_app.privacy.promises import Broken
from assisters_app.usage import events
from assisters_app.usage.tables import UsageEvent

MANY = 1_000
ENDPOINT = "/v1/chat/completions"
SAY = {"model": "assisters-chat-v1", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello there, you."}]}


@pytest.fixture
async def ada(house):
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
        await rating.ensure_first_prices(tx)
    person = await customer(ADA)
    async with transaction() as tx:
        (await tx.get_one(Organization, person.organization_id)).plan = "made by hand"  # counted, and never reached
        await wallet.give(tx, person.organization_id, from_dollars("50"), "gift")
    return person


@pytest.fixture
async def talking(ada, monkeypatch):
    """Ada's calls, to an upstream whose usage is another each time, and which fails when it is told to."""
    chance = random.Random(7)  # noqa: S311 (the same calls each time)

    class Changing(double.Upstream):
        @property
        def usage(self):
            given, made = chance.randint(1, 60), chance.randint(1, 50)
            return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}

        @usage.setter
        def usage(self, _):
            return None

        async def chat(self, request):
            if (await request.json()).get("user") == "failing":
                return web.json_response({"error": {"message": "Out of memory."}}, status=500)
            return await super().chat(request)

    monkeypatch.setattr(double, "Upstream", Changing)
    async with double.running() as upstream:
        monkeypatch.setenv("UPSTREAM_BASE_URL", upstream.url)
        monkeypatch.setenv("UPSTREAM_API_KEY", "upstream-credential")
        settings.settings.cache_clear()
        app = Api()
        headers = {"authorization": f"Bearer {(await key_of(ada))[2]}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            yield client
        await app.close()


async def written():
    while await ingest.run_once():
        pass
    async with transaction() as tx:
        return (await tx.exec(select(UsageEvent).order_by(UsageEvent.at))).all()


def told(answer):
    """Return the usage that an answer told its caller, whole or in its last chunk; None when there was none."""
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json().get("usage")
    chunks = [httpx.Response(200, content=line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return chunks[-1].json()["usage"]


@pytest.mark.promise("1.5")
async def test_each_call_leaves_exactly_one_row_with_its_time_endpoint_and_status_and_nothing_it_said(talking):
    began, secret = now(), "A secret between Ada and the model."
    asks = [SAY | {"messages": [{"role": "user", "content": secret}]}, SAY | {"model": "none"}, SAY | {"stream": True}]
    answers = [await talking.post(ENDPOINT, json=ask) for ask in asks]
    rows = await written()
    assert [(row.endpoint, row.status) for row in rows] == [(ENDPOINT, 200), (ENDPOINT, 404), (ENDPOINT, 200)]
    assert [events.handle(row.request_id) for row in rows] == [one.headers["x-request-id"] for one in answers]
    assert all(began <= row.at <= now() for row in rows)
    async with transaction() as tx:
        for table in ("usage_event", "usage_tally", "usage_receipt", "receipt_day"):
            for content in (await tx.sql(text(f"SELECT t::text FROM {table} t"))).scalars():
                assert secret not in content
                assert "Hello from the upstream" not in content
        assert "3 calls in an hour, one row each" in await metering.calls_are_logged_without_content(tx)


@pytest.mark.promise("1.6")
async def test_the_sum_of_a_thousand_mixed_calls_is_the_sum_of_what_their_answers_told(talking):
    kinds = itertools.cycle(("whole", "stream", "whole", "failing", "stream"))
    answers = []

    async def ask(kind):
        streamed = {"stream": True, "stream_options": {"include_usage": True}} if kind == "stream" else {}
        answers.append(await talking.post(ENDPOINT, json={**SAY, **streamed, "user": kind}))

    async def caller(count):
        for _ in range(count):
            await ask(next(kinds))

    await asyncio.gather(*(caller(MANY // 20) for _ in range(20)))
    usages = [usage for usage in map(told, answers) if usage]
    rows = await written()
    assert (len(rows), len(usages)) == (MANY, MANY * 4 // 5)
    assert sum(row.input_tokens for row in rows) == sum(usage["prompt_tokens"] for usage in usages)
    assert sum(row.output_tokens for row in rows) == sum(usage["completion_tokens"] for usage in usages)
    assert sum(row.cost_nano for row in rows) == round(sum(usage["cost"] for usage in usages) * 10**9)
    async with transaction() as tx:
        assert f"{MANY} calls" in await metering.usage_adds_up(tx)


async def test_the_check_sees_a_call_that_is_logged_twice_or_not_at_all_and_sums_that_differ(ada):
    who = {"organization_id": ada.organization_id, "key_id": (await key_of(ada))[0]}
    how = {"mode": "live", "endpoint": ENDPOINT, "model": "assisters-chat-v1", "status": 200, "outcome": "completed"}
    made = events.Event(request_id=new_id(), at=now(), **who, **how, output_tokens=3)
    async with transaction() as tx:
        await events.insert(tx, [made])
        await metering.usage_adds_up(tx)
        await metering.calls_are_logged_without_content(tx)
    for change, look, complaint in (
        ("UPDATE usage_event SET status = 0", metering.calls_are_logged_without_content, "1 calls are logged twice"),
        ("UPDATE usage_event SET output_tokens = 1 + output_tokens", metering.usage_adds_up, "their sums differ"),
        ("DELETE FROM usage_event", metering.usage_adds_up, "their sums differ"),
        ("ALTER TABLE usage_event ADD body text", metering.calls_are_logged_without_content, "other columns"),
        (
            "ALTER TABLE usage_event ALTER model TYPE text",
            metering.calls_are_logged_without_content,
            "room for content",
        ),
    ):
        async with transaction() as tx, tx.rehearsal():
            await tx.sql(text(change))
            with pytest.raises(Broken, match=complaint):
                await look(tx)


@pytest.mark.promise("2.3")
async def test_what_limits_count_is_gone_within_their_minute_and_the_check_sees_what_stays(talking):
    answer = await talking.post(ENDPOINT, json=SAY)
    assert answer.status_code == 200
    [counter] = [name async for name in valkey().scan_iter(f"{TAG}:limits:*")]
    assert 0 < await valkey().ttl(counter) <= 60
    async with transaction() as tx:
        assert "1 counters" in await metering.limits_are_counted_and_forgotten(tx)
        await valkey().persist(counter)
        with pytest.raises(Broken, match="stays for longer"):
            await metering.limits_are_counted_and_forgotten(tx)
