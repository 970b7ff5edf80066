"""What a caller sees while Valkey or PostgreSQL is frozen: an answer, soon. See docs/failure-modes.md."""

import asyncio
import signal
import time

import psutil
import pytest
from customers import key_of
from openai import InternalServerError

from assisters_app.base import local_servers, settings, valkey
from assisters_app.base.db import transaction
from assisters_app.billing import invariants as money
from assisters_app.gateway import invariants, spool

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}


@pytest.fixture
async def own_valkey(upstream, monkeypatch, tmp_path):
    """A Valkey of this test's own, which can be frozen without anybody else noticing."""
    server = await asyncio.to_thread(local_servers.start_valkey, tmp_path / "valkey", durable=False)
    await valkey.close()
    monkeypatch.setenv("REDIS_URL", server.url)
    settings.settings.cache_clear()
    yield psutil.Process(server.process.mark.pid)
    await valkey.close()
    server.process.popen.send_signal(signal.SIGCONT)
    await asyncio.to_thread(server.stop)


async def seconds(asking):
    began = time.monotonic()
    answer = await asking
    return time.monotonic() - began, answer


async def test_while_valkey_is_frozen_callers_are_answered_soon_and_charged_once(own_valkey, ada, live, records):
    stranger = live.with_options(api_key=(await key_of(ada, name="Not seen yet"))[2])
    await live.chat.completions.create(**ASK)
    own_valkey.suspend()
    took, answer = await seconds(live.chat.completions.create(**ASK))
    assert (answer.choices[0].message.content, took < 5) == ("Hello from the upstream.", True)
    for client in (live, stranger):
        took, stream = await seconds(client.chat.completions.create(**ASK, stream=True))
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert (said, took < 2) == ("Hello from the upstream.", True)
    with pytest.raises(InternalServerError) as refused:
        await live.chat.completions.create(**ASK, extra_headers={"Idempotency-Key": "once"})
    assert refused.value.status_code == 503
    own_valkey.resume()
    async with asyncio.timeout(20):
        while spool.waiting().records:  # noqa: ASYNC110 (the API delivers it)
            await asyncio.sleep(0.05)
    written = await records()
    assert [(one.outcome, one.cost_nano) for one in written if one.outcome != "interrupted"] == [
        ("completed", 3_100)
    ] * 4
    async with transaction() as tx:
        found = [*await money.check(tx), *await invariants.check(tx)]
    assert [f"{one.name}: {one.sentence}" for one in found if not one.holds] == []
