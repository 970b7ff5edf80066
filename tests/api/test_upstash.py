"""Nothing of ours asks a hosted Redis for what it does not have: Upstash's commands, over TLS, with a password."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
import redis
import tls
import upstash
from nets import free_port
from sqlmodel import select

from assisters_app import doctor
from assisters_app.base import settings, valkey
from assisters_app.base.db import transaction
from assisters_app.base.settings import ROOT
from assisters_app.gateway import reaper
from assisters_app.privacy.erasing import erasure, purge
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.usage.tables import UsageEvent

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}
NOT_ON_THE_TABLE = {"CONFIG"}  # `doctor` asks, and takes no for an answer


@pytest.fixture
async def hosted(house, monkeypatch, tmp_path):
    """Put the product on a Redis as it is hosted: TLS 1.3, a user with a password, and the commands of the table."""
    certificate, port = tls.certify(tmp_path), free_port()
    address = urlsplit(upstash.user_of(house.valkey))
    with tls.in_front_of(address.port, port, certificate):
        user = address.netloc.rpartition("@")[0]
        monkeypatch.setenv("REDIS_URL", f"rediss://{user}@localhost:{port}?ssl_ca_certs={certificate.path}")
        settings.settings.cache_clear()
        await valkey.close()
        yield house
        await valkey.close()


async def test_ada_calls_is_charged_and_leaves_on_a_hosted_redis(hosted, ada, live, records):
    assert (await live.chat.completions.create(**ASK)).usage.total_tokens > 0
    pieces = [piece async for piece in await live.chat.completions.create(**ASK, stream=True)]
    assert len(pieces) > 2
    again = {**ASK, "extra_headers": {"Idempotency-Key": "once"}}
    first, second = [await live.chat.completions.create(**again) for _ in range(2)]
    assert first.id == second.id
    with pytest.raises(openai.NotFoundError):
        await live.chat.completions.create(**{**ASK, "model": "nobody"})
    await reaper.run_once()
    assert len(await records()) == 4
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    async with transaction() as tx:
        closing = (await tx.exec(select(Erasure.id))).one()
    await purge.carry_out(str(closing))
    async with transaction() as tx:
        assert (await tx.exec(select(UsageEvent))).all() == []
    assert "eviction: unknown" in await doctor._valkey()


async def test_the_host_really_refuses_what_is_not_on_its_table(hosted):
    with pytest.raises(redis.exceptions.NoPermissionError):
        await valkey.valkey().config_get("maxmemory-policy")
    assert settings.settings().redis_url.startswith("rediss://")


def test_every_command_in_the_code_is_on_the_table():
    sources = {path: path.read_text() for path in Path(ROOT / "assisters_app").rglob("*.py")}
    asked = set()
    for source in sources.values():
        asked |= set(re.findall(r"redis\.call\('([A-Z]+)'", source))
        asked |= set(re.findall(r"\.ask\(\"([A-Z]+)\"", source))
        asked |= {name.removesuffix("_iter").upper() for name in re.findall(r"valkey\(\)\.([a-z_]+)\(", source)}
    commands = {name.partition("|")[0] for name in upstash.TABLE}
    asked = {name.partition("_")[0] if name.startswith(("XGROUP", "CONFIG")) else name for name in asked}
    assert {"EVALSHA", "HINCRBY", "XADD", "XREADGROUP", "SCAN"} <= asked
    assert asked - commands - NOT_ON_THE_TABLE - {"PIPELINE", "DELETE"} == set()  # redis-py's words for MULTI and DEL
