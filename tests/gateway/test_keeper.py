"""What becomes of calls while Valkey is away, or dies: see docs/failure-modes.md."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import redis
from sqlmodel import select

from assisters_app.base import clock, settings
from assisters_app.base import line as shared
from assisters_app.base import valkey as connection
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.base.valkey import valkey
from assisters_app.billing import invariants as money
from assisters_app.billing import wallet
from assisters_app.gateway import admission, fallback, ingest, invariants, reaper, spool
from assisters_app.gateway.admission import LEASE, Limited, Unavailable
from assisters_app.gateway.calls import Ending, Usage
from assisters_app.gateway.keeper import Keeper
from assisters_app.gateway.scripts import OPEN, Keys, Scripts
from assisters_app.usage.tables import UsageEvent

DONE = Ending("completed", 200, Usage(10, 0, 5))
COST = 10 * 100 + 5 * 400
HOLD = 50_000


@pytest.fixture
def keeper(stocked):
    """The keeper of one process, which looks around when it is told to."""
    return Keeper(Scripts())


@pytest.fixture
def line(stocked, servers, monkeypatch):
    """The line to Valkey, which can be cut and mended."""

    class Line:
        async def cut(self):
            await self.lead("redis://127.0.0.1:1")

        async def mend(self):
            await self.lead(servers.valkey)

        async def lead(self, url):
            await connection.close()
            monkeypatch.setenv("REDIS_URL", url)
            settings.settings.cache_clear()

    return Line()


async def books():
    async with transaction() as tx:
        found = [*await money.check(tx), *await invariants.check(tx)]
        events = (await tx.exec(select(UsageEvent.outcome, UsageEvent.cost_nano).order_by(UsageEvent.at))).all()
    assert [f"{one.name}: {one.sentence}" for one in found if not one.holds] == []
    return [tuple(event) for event in events]


async def left(organization_id):
    async with transaction() as tx:
        balance = await wallet.balance(tx, organization_id)
    found = await valkey().hgetall(Keys.of(organization_id).wallet)
    assert balance == int(found["ledger"]) - int(found["unposted"]) - int(found["held"])
    return balance


async def test_a_call_that_ends_while_valkey_is_away_is_charged_once_when_it_is_back(ada, calls, keeper, line):
    call = calls()
    await keeper.admit(call, 100, HOLD)
    await line.cut()
    assert await keeper.settle(call, DONE) == COST
    assert spool.waiting() == spool.Waiting(1, 0)
    await keeper._look(thorough=True)
    assert keeper.away
    await line.mend()
    await keeper._look(thorough=True)
    await ingest.run_once()
    assert await books() == [("completed", COST)]
    assert await left(ada.organization_id) == from_dollars("1") - COST
    assert spool.waiting() == spool.Waiting(0, 0)


@pytest.mark.parametrize("away", [False, True])
async def test_a_call_whose_server_stops_in_the_middle_of_its_settlement_is_charged_once(
    ada, calls, keeper, line, away
):
    call = calls()
    await keeper.admit(call, 100, HOLD)
    if away:
        await line.cut()
    settling = asyncio.create_task(keeper.settle(call, DONE))
    await asyncio.sleep(0)  # it has asked, and waits
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    await keeper.close()
    assert spool.waiting() == spool.Waiting(int(away), 0)
    if away:
        await line.mend()
        await spool.deliver_orphans(keeper._take)
    await ingest.run_once()
    assert await books() == [("completed", COST)]
    assert await left(ada.organization_id) == from_dollars("1") - COST


async def test_a_call_ends_in_a_valkey_that_was_restarted_and_knows_no_script(ada, calls, keeper):
    call = calls()
    await keeper.admit(call, 100, HOLD)
    await valkey().script_flush()
    assert await keeper.settle(call, DONE) == COST
    assert not keeper.away
    await ingest.run_once()
    assert await books() == [("completed", COST)]


async def test_who_was_let_in_without_valkey_is_charged_once_when_it_is_back(ada, calls, keeper, line):
    first, second, third = calls(), calls(), calls()
    await keeper.admit(first, 100, HOLD)
    await line.cut()
    await keeper.admit(second, 100, HOLD)
    await keeper.settle(second, DONE)
    await keeper.admit(third, 100, HOLD)
    await line.mend()
    await keeper._look(thorough=True)
    for call in (third, first):
        await keeper.settle(call, DONE)
    await keeper._look(thorough=False)
    assert spool.waiting() == spool.Waiting(0, 0)
    await ingest.run_once()
    assert await books() == [("completed", COST)] * 3
    assert await left(ada.organization_id) == from_dollars("1") - 3 * COST


@pytest.fixture
async def silent(monkeypatch):
    """Something in Valkey's place that takes what it is asked and never answers: for how often it was, and where."""
    asked = []
    monkeypatch.setattr(shared, "CONNECTS_WITHIN", 0.05)
    monkeypatch.setattr(admission, "PATIENCE", 0.05)

    async def hear(reader, writer):
        while question := await reader.read(65_536):
            asked.append(question)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    yield asked, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_only_the_first_caller_waits_for_a_valkey_that_is_away(calls, keeper, line, silent):
    asked, where = silent
    await keeper.admit(calls(), 100, HOLD)
    await line.lead(where)
    waited = []
    for _ in range(3):
        call = calls()
        await keeper.admit(call, 100, HOLD)
        await keeper.settle(call, DONE)
        waited.append(len(asked))
    await keeper.refuse(calls(), 429, "rate_limit_exceeded")
    await line.mend()
    assert waited[0] > 0
    assert [*waited, len(asked)] == waited[:1] * 4  # and nobody after the first even asked


async def test_without_valkey_nobody_passes_of_whose_money_this_process_has_not_heard(calls, keeper, line):
    free = calls(price=None)
    await line.cut()
    with pytest.raises(Unavailable):
        await keeper.admit(calls(), 100, HOLD)
    await keeper.admit(free, 100, 0)
    await keeper.settle(free, DONE)


async def test_what_was_heard_of_a_balance_is_not_believed_for_ever(calls, keeper, line):
    with clock.frozen(now()) as move:
        await keeper.admit(calls(), 100, HOLD)
        await line.cut()
        await keeper.admit(calls(), 100, HOLD)
        move(now() + fallback.KNOWN_FOR + timedelta(seconds=1))
        with pytest.raises(Unavailable):
            await keeper.admit(calls(), 100, HOLD)


@pytest.mark.parametrize(("balance", "ceiling"), [("1", "0.10"), ("100", "0.25")])
async def test_without_valkey_an_organization_spends_a_tenth_of_its_balance_and_a_quarter_dollar_at_most(
    calls, keeper, line, balance, ceiling
):
    if balance != "1":
        async with transaction() as tx:
            await wallet.give(tx, calls().grant.organization_id, from_dollars(balance) - from_dollars("1"), "more")
    hold = from_dollars("0.03")
    await keeper.admit(calls(), 1, hold)
    await line.cut()
    spent, admitted = 0, []
    for _ in range(20):
        call = calls()
        try:
            await keeper.admit(call, 1, hold)
        except Unavailable:
            break
        admitted.append(call)
    assert from_dollars(ceiling) - 2 * hold < len(admitted) * hold <= from_dollars(ceiling)
    for call in admitted:  # what was held comes back but for what was used
        spent += await keeper.settle(call, DONE)
    more = calls()
    await keeper.admit(more, 1, hold)
    assert spent == len(admitted) * COST


async def test_without_valkey_each_process_counts_the_limits_for_itself(calls, keeper, line):
    await line.cut()
    limited = replace(calls().grant, requests_per_minute=2, tokens_per_minute=1_000)
    with clock.frozen(now()) as move:
        for tokens in (600, 300):
            await keeper.admit(replace(calls(price=None), grant=limited, request_id=new_id()), tokens, 0)
        with pytest.raises(Limited) as refused:
            await keeper.admit(replace(calls(price=None), grant=limited, request_id=new_id()), 1, 0)
        assert (refused.value.code, refused.value.retry_after) == ("rate_limit_exceeded", 60)
        move(now() + timedelta(seconds=60))
        with pytest.raises(Limited):
            await keeper.admit(replace(calls(price=None), grant=limited, request_id=new_id()), 1_001, 0)
        await keeper.admit(replace(calls(price=None), grant=limited, request_id=new_id()), 1_000, 0)


async def test_without_valkey_each_process_counts_the_calls_at_once_for_itself(calls, keeper, line):
    await line.cut()
    few = replace(calls().grant, concurrency=2)
    made = [replace(calls(price=None), grant=few, request_id=new_id()) for _ in range(4)]
    for call in made[:2]:
        await keeper.admit(call, 1, 0)
    with pytest.raises(Limited) as refused:
        await keeper.admit(made[2], 1, 0)
    assert refused.value.code == "too_many_at_once"
    await keeper.settle(made[0], DONE)
    await keeper.admit(made[3], 1, 0)


async def test_when_valkeys_memory_is_full_calls_still_end_and_the_books_make_room(ada, calls, keeper):
    """A script that has begun by deleting may go on: SETTLE and PUBLISH begin so, for the sake of this."""
    open_, alone = calls(), calls()
    await keeper.admit(open_, 100, HOLD)
    await ingest.run_once()  # a worker has been here
    await valkey().config_set("maxmemory", "1mb")
    try:
        with pytest.raises(redis.RedisError):
            await valkey().set("anything", "1")
        await keeper.settle(open_, DONE)
        assert not keeper.away
        await keeper.admit(alone, 100, HOLD)
        await keeper._look(thorough=True)
        assert (keeper.away, spool.waiting().records) == (True, 1)
        await keeper.settle(alone, DONE)
        await ingest.run_once()
        assert await ingest.backlog() == ingest.Backlog(0, 0)
    finally:
        await valkey().config_set("maxmemory", "0")
    await keeper._look(thorough=True)
    await ingest.run_once()
    assert await books() == [("completed", COST)] * 2
    assert await left(ada.organization_id) == from_dollars("1") - 2 * COST


async def test_a_process_that_dies_without_valkey_leaves_one_record_of_each_call(calls, keeper, line):
    known, ended, open_ = calls(), calls(), calls()
    await keeper.admit(known, 100, HOLD)
    await line.cut()
    for call in (ended, open_):
        await keeper.admit(call, 100, HOLD)
    await keeper.settle(ended, DONE)
    keeper._spool.close()  # what the system does for a process that is killed
    await line.mend()
    with clock.frozen(now() + LEASE + timedelta(seconds=1)):
        assert spool.waiting().records == 2
        await Keeper(Scripts())._look(thorough=True)  # as its successor does when it starts
        assert spool.waiting().records == 0
        assert await reaper.run_once() == 1
    await ingest.run_once()
    assert sorted(await books()) == [("completed", COST), ("interrupted", 0), ("interrupted", 0)]


async def test_when_neither_valkey_nor_the_disk_takes_a_record_nobody_is_let_in_until_one_does(
    calls, keeper, line, monkeypatch
):
    call = calls()
    await keeper.admit(call, 100, HOLD)
    await line.cut()
    monkeypatch.setattr(spool, "LARGEST", 10)
    with pytest.raises(Unavailable):
        await keeper.settle(call, DONE)
    for price in (None, call.price):
        with pytest.raises(Unavailable):
            await keeper.admit(calls(price=price), 1, 0)
    await line.mend()
    await keeper._look(thorough=True)
    await keeper.admit(calls(price=None), 1, 0)
    await ingest.run_once()
    assert await books() == [("completed", COST)]


async def test_a_call_that_takes_long_keeps_its_hold_for_as_long_as_its_process_lives(calls, keeper):
    alive, dead = calls(), calls()
    other = Keeper(Scripts())
    with clock.frozen(now()) as move:
        await keeper.admit(alive, 100, HOLD)
        await other.admit(dead, 100, HOLD)
        for _ in range(10):
            move(now() + timedelta(seconds=20))
            await keeper._look(thorough=True)
            await reaper.run_once()
        assert [name.split("|")[1] for name in await valkey().zrange(OPEN, 0, -1)] == [str(alive.request_id)]
        await keeper.settle(alive, DONE)
    await ingest.run_once()
    assert sorted(await books()) == [("completed", COST), ("interrupted", 0)]


async def test_no_hold_is_renewed_for_ever(calls, keeper):
    with clock.frozen(now()) as move:
        await keeper.admit(calls(), 100, HOLD)
        move(now() + admission.HOLD)
        await keeper._look(thorough=True)
        assert await reaper.run_once() == 1


async def test_the_reaper_gives_everybody_time_to_renew_after_valkey_was_away(calls, keeper, line, monkeypatch):
    elapsed, turns = [1_000.0], []

    async def begins(take):
        turns.append(elapsed[0])
        await spool.deliver_orphans(take)

    async def a_whole_turn():
        over = len(turns) + 2  # one that begins from now on has ended when the one after it begins
        async with asyncio.timeout(20):
            while len(turns) < over:  # noqa: ASYNC110 (no event tells us)
                await asyncio.sleep(0.01)

    monkeypatch.setattr(reaper, "EVERY", 0.01)
    monkeypatch.setattr(reaper, "time", SimpleNamespace(monotonic=lambda: elapsed[0]))
    monkeypatch.setattr(reaper, "spool", SimpleNamespace(deliver_orphans=begins))
    with clock.frozen(now()) as move:
        await keeper.admit(calls(), 100, HOLD)
        await line.cut()
        stop = asyncio.Event()
        reaping = asyncio.ensure_future(reaper.run_forever(stop))
        move(now() + LEASE + timedelta(seconds=1))
        await a_whole_turn()
        await line.mend()
        await a_whole_turn()
        elapsed[0] += reaper.CONTACT - 1
        await a_whole_turn()
        assert await valkey().zcard(OPEN) == 1  # it has lapsed, but not everybody has had the time to renew
        await keeper._look(thorough=True)
        elapsed[0] += 1
        await a_whole_turn()
        assert await valkey().zcard(OPEN) == 1
        move(now() + LEASE + timedelta(seconds=1))
        await a_whole_turn()
        assert await valkey().zcard(OPEN) == 0
        stop.set()
        await reaping


async def test_the_worker_delivers_what_dead_processes_left_before_it_ends_their_calls(
    calls, keeper, line, monkeypatch
):
    call = calls()
    await keeper.admit(call, 100, HOLD)
    await line.cut()
    await keeper.settle(call, DONE)
    keeper._spool.close()
    await line.mend()
    monkeypatch.setattr(reaper, "EVERY", 0.01)
    monkeypatch.setattr(reaper, "CONTACT", 0)
    stop = asyncio.Event()
    with clock.frozen(now() + LEASE + timedelta(seconds=1)):
        reaping = asyncio.ensure_future(reaper.run_forever(stop))
        async with asyncio.timeout(20):
            while await valkey().zcard(OPEN):  # noqa: ASYNC110 (no event tells us)
                await asyncio.sleep(0.01)
        stop.set()
        await reaping
    await ingest.run_once()
    assert await books() == [("completed", COST)]


async def test_a_damaged_spool_is_a_matter_for_the_doctor(calls, keeper, line):
    async with transaction() as tx:
        assert all(one.holds for one in await invariants.check(tx))
    await line.cut()
    call = calls(price=None)
    await keeper.admit(call, 1, 0)
    [file] = spool._directory().glob("*")
    await keeper.settle(call, DONE)
    keeper._spool.close()
    file.write_bytes(file.read_bytes().replace(b"completed", b"c0mpleted"))
    await line.mend()
    await spool.deliver_orphans(reaper._take)
    async with transaction() as tx:
        ill = [one.name for one in await invariants.check(tx) if not one.holds]
    assert ill == ["every spool can be read"]


async def test_without_the_database_an_empty_wallet_is_still_an_empty_wallet(ada, calls, keeper, monkeypatch):
    await keeper.admit(calls(), 100, HOLD)

    async def away(*_):
        raise ConnectionError

    monkeypatch.setattr(admission.wallets, "publish", away)
    with pytest.raises(Limited) as refused:
        await keeper.admit(calls(), 100, from_dollars("2"))
    assert refused.value.code == "insufficient_quota"
    assert not keeper.away
