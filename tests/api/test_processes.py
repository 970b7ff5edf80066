"""Several processes of the API give one answer, and the death of one loses nothing."""

import asyncio
import contextlib
import os
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest
from customers import key_of
from nets import free_port, listening
from staleness import once

from assisters_app.accounts.tables import Organization
from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.valkey import valkey
from assisters_app.gateway import admission, invariants, reaper
from assisters_app.keys import keys
from assisters_app.usage import spending

ROOT = Path(__file__).resolve().parents[2]
ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}


@contextlib.asynccontextmanager
async def process(port):
    """Serve the API alone in a process of its own, as it is scaled."""
    program = Path(sys.executable).with_name("granian")
    served = "assisters_app.asgi:api_alone"
    argv = [program, "--interface", "asgi", "--factory", served, "--port", str(port), "--workers", "1"]
    child = await asyncio.create_subprocess_exec(
        *argv,
        cwd=ROOT,
        env=os.environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await listening(port)
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, 9)
        await child.wait()


@pytest.fixture
async def two(upstream):
    """Two processes, each with a client that talks to it alone."""
    ports = free_port(), free_port()
    async with contextlib.AsyncExitStack() as stack:
        children = [await stack.enter_async_context(process(port)) for port in ports]
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30))
            for port in ports
        ]
        yield list(zip(children, clients, strict=True))


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


async def test_a_revoked_key_stops_working_on_every_process_within_a_second(ada, two):
    _, handle, key = await key_of(ada)
    clients = [client for _, client in two]
    for client in clients:
        assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200
    async with transaction() as tx:
        await keys.revoke(tx, ada, handle)
    for client in clients:
        await once(lambda told: told.status_code == 401, partial(client.get, "/v1/models", headers=bearer(key)))


async def test_a_limit_that_is_changed_holds_on_every_process_within_a_second(ada, two):
    _, handle, key = await key_of(ada)
    for _, client in two:
        answer = await client.get("/v1/models", headers=bearer(key))
        assert answer.headers["x-ratelimit-limit-rpm"] == "10"
    async with transaction() as tx:
        await keys.restrict(tx, ada, handle, keys.Terms(requests_per_minute=3, models=("assisters-embed-v1",)))
    for _, client in two:
        ask = partial(client.get, "/v1/models", headers=bearer(key))
        answer = await once(lambda told: told.headers["x-ratelimit-limit-rpm"] == "3", ask)
        assert [one["id"] for one in answer.json()["data"]] == ["assisters-embed-v1"]


async def test_two_processes_count_one_limit(ada, two, upstream):
    _, _, key = await key_of(ada)
    clients = [client for _, client in two]
    answers = await asyncio.gather(
        *(clients[n % 2].post("/v1/chat/completions", json=ASK, headers=bearer(key)) for n in range(24))
    )
    codes = [one.status_code for one in answers]
    assert (codes.count(200), codes.count(429)) == (10, 14)
    assert len(upstream.asked) == 10


async def test_two_processes_spend_one_budget_and_never_more(ada, two, upstream, records):
    budget = 130_000  # what two calls hold
    async with transaction() as tx:
        (await tx.get_one(Organization, ada.organization_id)).plan = "developer"
        issued = await keys.issue(tx, ada, keys.NewKey(name="Budget", budget_day=budget))
    bearer_ = bearer(issued.secret.reveal())
    clients = [client for _, client in two]

    async def crowd():
        asked = (
            clients[n % 2].post("/v1/chat/completions", json={**ASK, "max_tokens": 5}, headers=bearer_)
            for n in range(30)
        )
        return [one.status_code for one in await asyncio.gather(*asked)]

    first, second = await crowd(), await crowd()
    assert {*first, *second} == {200, 429}
    spent = [one.cost_nano for one in await records() if one.outcome == "completed"]
    assert sum(spent) == 3_100 * (first + second).count(200) <= budget
    assert len(upstream.asked) == len(spent)
    await valkey().flushall()
    await crowd()
    await records()
    async with transaction() as tx:
        assert (await spending.by_key(tx, ada, [now().replace(hour=0, minute=0)]))[issued.key.id][0] <= budget


async def test_a_process_killed_between_admission_and_settlement_leaves_one_record(ada, two, upstream, records):
    _, _, key = await key_of(ada)
    (victim, client), (_, other) = two
    upstream.gate = asyncio.Event()
    asking = asyncio.ensure_future(client.post("/v1/chat/completions", json=ASK, headers=bearer(key)))
    await asyncio.wait_for(upstream.heard.wait(), 10)
    os.killpg(victim.pid, 9)
    with pytest.raises(httpx.HTTPError):
        await asking
    upstream.gate.set()
    assert (await other.post("/v1/chat/completions", json=ASK, headers=bearer(key))).status_code == 200
    with clock.frozen(now() + admission.HOLD):
        assert await reaper.run_once() == 1
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("interrupted", 0), ("completed", 3_100)]
    async with transaction() as tx:
        assert all(one.holds for one in await invariants.check(tx))
