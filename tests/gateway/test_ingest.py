"""Every settled call is in the books once: whatever is repeated, broken, or dies on the way."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from cast import MALLORY
from customers import customer
from sqlmodel import func, select

from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.base.valkey import valkey
from assisters_app.billing import invariants as billing_invariants
from assisters_app.billing import ledger, wallet
from assisters_app.billing.tables import LedgerEntry
from assisters_app.gateway import admission, ingest, invariants, reaper
from assisters_app.gateway.calls import Ending, Usage
from assisters_app.gateway.scripts import OPEN, PARKED, RECORDS, Keys, Scripts
from assisters_app.keys.tables import ApiKey
from assisters_app.usage.events import Event
from assisters_app.usage.tables import UsageEvent, UsageTally

DONE = Ending("completed", 200, Usage(10, 0, 5))
COST = 10 * 100 + 5 * 400


async def made(calls, ending=DONE, count=1):
    """Make calls that were admitted and settled."""
    scripts, done = Scripts(), []
    for _ in range(count):
        call = calls()
        await admission.admit(scripts, call, 100, 50_000)
        await admission.settle(scripts, call, ending)
        done.append(call)
    return done


async def books():
    async with transaction() as tx:
        written = (await tx.exec(select(func.count(UsageEvent.request_id), func.sum(UsageEvent.cost_nano)))).one()
        tallied = (await tx.exec(select(func.sum(UsageTally.requests), func.sum(UsageTally.cost_nano)))).one()
        revenue = select(func.sum(LedgerEntry.amount_nano)).where(LedgerEntry.account == "revenue")
        earned = (await tx.exec(revenue)).one()
        assert all(one.holds for one in await billing_invariants.check(tx))
        assert all(one.holds for one in await invariants.check(tx))
    assert tuple(map(int, tallied)) == tuple(written)
    assert int(earned or 0) == written[1]
    return tuple(written)


async def available(organization_id):
    found = await valkey().hgetall(Keys.of(organization_id).wallet)
    return int(found["ledger"]) - int(found["unposted"]) - int(found["held"])


async def test_settled_calls_reach_events_tallies_and_ledger(ada, calls):
    await made(calls, count=3)
    assert await ingest.backlog() == ingest.Backlog(3, 0)
    assert await ingest.run_once() == 3
    assert await books() == (3, 3 * COST)
    assert await ingest.backlog() == ingest.Backlog(0, 0)
    assert await ingest.run_once() == 0
    async with transaction() as tx:
        assert await wallet.balance(tx, ada.organization_id) == from_dollars("1") - 3 * COST
    assert await available(ada.organization_id) == from_dollars("1") - 3 * COST
    assert await valkey().exists(Keys.of(ada.organization_id).unposted) == 0


async def test_the_books_say_how_far_behind_they_are(calls):
    assert await ingest.behind() == timedelta(0)
    await made(calls)
    with clock.frozen(now() + timedelta(minutes=5)):
        assert timedelta(minutes=4) < await ingest.behind() < timedelta(minutes=6)
    await ingest.run_once()
    assert await ingest.behind() == timedelta(0)


async def test_a_call_that_outlived_the_erasure_of_its_organization_leaves_nothing(calls):
    (call,) = await made(calls)
    organization_id = new_id()  # what the database knows no more
    record = replace(call_record(await valkey().xrange(RECORDS)), organization_id=organization_id)
    await valkey().delete(RECORDS)
    await valkey().hset(Keys.of(organization_id).unposted, str(call.request_id), COST)
    await valkey().xadd(RECORDS, {"record": record.to_json()})
    assert await ingest.run_once() == 1
    assert await ingest.backlog() == ingest.Backlog(0, 0)
    async with transaction() as tx:
        assert (await tx.exec(select(UsageEvent))).all() == []
        assert (await tx.exec(select(LedgerEntry).where(LedgerEntry.account == "revenue"))).all() == []
    assert not [key for key in await valkey().keys("*") if str(organization_id) in key]


def call_record(entries):
    ((_, fields),) = entries
    return Event.from_json(fields["record"])


async def test_a_record_that_comes_twice_is_written_once(ada, calls):
    await made(calls, count=2)
    for _, fields in await valkey().xrange(RECORDS):
        await valkey().xadd(RECORDS, fields)
    assert await ingest.run_once() == 4
    assert await books() == (2, 2 * COST)
    assert await available(ada.organization_id) == from_dollars("1") - 2 * COST


async def test_a_key_knows_when_it_was_used_last(calls):
    with clock.frozen(now()) as move:
        await made(calls)
        move(now() + timedelta(minutes=3))
        [last] = await made(calls)
    await ingest.run_once()
    async with transaction() as tx:
        assert (await tx.exec(select(ApiKey.last_used_at))).one() == last.at


async def test_a_worker_that_dies_after_the_commit_charges_nobody_twice(ada, calls, monkeypatch):
    await made(calls, count=2)

    async def die(_):
        raise ConnectionError

    with monkeypatch.context() as dying:
        dying.setattr(ingest, "_acknowledge", die)
        with pytest.raises(ConnectionError):
            await ingest.run_once()
    monkeypatch.setattr(ingest, "ABANDONED", 0)
    monkeypatch.setattr(ingest, "_me", "another worker")
    assert await ingest.run_once() == 2
    assert await books() == (2, 2 * COST)
    assert await available(ada.organization_id) == from_dollars("1") - 2 * COST


async def test_a_worker_that_dies_before_the_commit_loses_nothing(calls, monkeypatch):
    await made(calls, count=2)

    async def die(*_):
        raise ConnectionError

    with monkeypatch.context() as dying:
        dying.setattr(ledger, "post_usage", die)
        with pytest.raises(ConnectionError):
            await ingest.run_once()
    monkeypatch.setattr(ingest, "ABANDONED", 0)
    assert await ingest.run_once() == 2
    assert await books() == (2, 2 * COST)


async def test_a_record_that_nobody_can_read_or_write_is_parked_and_the_rest_goes_on(calls):
    await made(calls, count=2)
    good = calls().event(DONE)
    await valkey().xadd(RECORDS, {"record": "nonsense"})
    await valkey().xadd(RECORDS, {"something": "else"})
    await valkey().xadd(RECORDS, {"record": replace(good, input_tokens=3 * 10**9).to_json()})
    await made(calls, count=2)
    await ingest.run_once()
    async with transaction() as tx:
        assert (await tx.exec(select(func.count()).select_from(UsageEvent))).one() == 4
        found = {one.name: one.holds for one in await invariants.check(tx)}
    parked = [fields["reason"] for _, fields in await valkey().xrange(PARKED)]
    assert sorted(parked) == ["DataError", "unreadable", "unreadable"]
    assert await valkey().xlen(RECORDS) == 0
    assert found["no record is parked"] is False


async def test_refused_calls_are_recorded_and_cost_nothing(calls):
    await admission.refuse(calls(), 429, "rate_limit_exceeded")
    await ingest.run_once()
    async with transaction() as tx:
        event = (await tx.exec(select(UsageEvent))).one()
        assert all(one.holds for one in await invariants.check(tx))
    assert (event.outcome, event.status, event.error_code, event.cost_nano) == (
        "refused",
        429,
        "rate_limit_exceeded",
        0,
    )


async def test_many_workers_share_the_stream(calls, monkeypatch):
    with clock.frozen(now()) as move:
        for _ in range(6):
            await made(calls, count=10)
            move(now() + timedelta(minutes=1))
    monkeypatch.setattr(ingest, "BATCH", 7)
    while sum(await asyncio.gather(*(ingest.run_once() for _ in range(4)))):
        pass
    assert await books() == (60, 60 * COST)


async def test_a_call_that_nobody_ended_is_interrupted_after_its_hold(ada, calls):
    scripts = Scripts()
    with clock.frozen(now()) as move:
        await admission.admit(scripts, calls(), 100, 50_000)
        await made(calls)
        assert await reaper.run_once() == 0
        move(now() + admission.HOLD + timedelta(seconds=1))
        assert await reaper.run_once() == 1
        assert await reaper.run_once() == 0
        await ingest.run_once()
    async with transaction() as tx:
        outcomes = (await tx.exec(select(UsageEvent.outcome, UsageEvent.cost_nano).order_by(UsageEvent.outcome))).all()
    assert [tuple(one) for one in outcomes] == [("completed", COST), ("interrupted", 0)]
    assert await available(ada.organization_id) == from_dollars("1") - COST
    assert await books() == (2, COST)


async def test_a_late_settlement_and_the_reaper_leave_one_event_between_them(calls):
    scripts, call = Scripts(), calls()
    with clock.frozen(now()) as move:
        await admission.admit(scripts, call, 100, 50_000)
        move(now() + admission.HOLD + timedelta(seconds=1))
        await asyncio.gather(reaper.run_once(), admission.settle(scripts, call, DONE))
    assert await valkey().zcard(OPEN) == 0
    await ingest.run_once()
    assert await books() == (1, COST)


@pytest.mark.parametrize("together", [True, False])
async def test_what_a_process_says_late_takes_the_place_of_what_the_reaper_wrote_for_it(ada, calls, together):
    scripts, call = Scripts(), calls()
    with clock.frozen(now()) as move:
        await admission.admit(scripts, call, 100, 50_000)
        move(now() + admission.HOLD + timedelta(seconds=1))
        assert await reaper.run_once() == 1
        if not together:
            await ingest.run_once()
            assert await books() == (1, 0)
        for _ in range(2):
            await admission.settle(scripts, call, DONE)
            await ingest.run_once()
    assert await books() == (1, COST)
    [event] = await all_events()
    assert (event.outcome, event.status, event.output_tokens) == ("completed", 200, 5)
    async with transaction() as tx:
        assert (await tx.exec(select(func.sum(UsageTally.errors)))).one() == 0
    assert await available(ada.organization_id) == from_dollars("1") - COST


async def test_the_reaper_never_takes_the_place_of_what_a_process_has_said(calls):
    [call] = await made(calls)
    await ingest.run_once()
    guess = call.event(Ending("interrupted", 500, error_code="interrupted"))
    assert await admission.record(Scripts(), guess, whose="reaper") is False
    await valkey().xadd(RECORDS, {"record": guess.to_json()})
    await ingest.run_once()
    assert await books() == (1, COST)
    assert [one.outcome for one in await all_events()] == ["completed"]


async def test_a_call_that_is_under_way_when_valkey_loses_its_memory_is_still_charged_once(ada, calls):
    scripts, call = Scripts(), calls()
    await admission.admit(scripts, call, 100, 50_000)
    await valkey().flushall()
    await admission.settle(scripts, call, DONE)
    await ingest.run_once()
    assert await books() == (1, COST)
    assert await available(ada.organization_id) == from_dollars("1") - COST
    async with transaction() as tx:
        [admitted, *_] = await invariants.check(tx)
    assert admitted.sentence == "0 admitted, 0 settled, 0 open since it began; 1 came late"


async def test_a_hold_of_another_release_is_parked_and_the_next_one_reaped(ada, calls):
    scripts, strange = Scripts(), calls()
    with clock.frozen(now()) as move:
        await admission.admit(scripts, strange, 100, 50_000)
        holds = Keys.of(ada.organization_id).holds
        held = await valkey().hget(holds, str(strange.request_id))
        await valkey().hset(holds, str(strange.request_id), held.replace('"mode"', '"a_field_of_tomorrow"'))
        await admission.admit(scripts, calls(), 100, 50_000)
        move(now() + admission.HOLD + timedelta(seconds=1))
        assert await reaper.run_once() == 1
    assert (await valkey().xlen(PARKED), await valkey().zcard(OPEN)) == (1, 0)


async def test_the_books_say_so_when_a_call_has_vanished(calls):
    call = calls()
    await admission.admit(Scripts(), call, 100, 50_000)
    await valkey().delete(OPEN)
    async with transaction() as tx:
        [admitted, *_] = await invariants.check(tx)
    assert (admitted.holds, admitted.sentence) == (
        False,
        f"1 admitted, 0 settled, 0 open since {call.at:%Y-%m-%d %H:%M}; 0 came late",
    )


async def test_workers_stop_when_they_are_told_to(calls):
    await made(calls)
    stop = asyncio.Event()
    working = [asyncio.ensure_future(part.run_forever(stop)) for part in (ingest, reaper)]
    async with asyncio.timeout(10):
        while (await ingest.backlog()).waiting:  # noqa: ASYNC110 (the record lies in Valkey; no event tells us)
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*working)
    assert await books() == (1, COST)


async def test_mallorys_wallet_is_untouched_by_what_ada_uses(ada, calls):
    mallory = await customer(MALLORY)
    await made(calls, count=2)
    await ingest.run_once()
    async with transaction() as tx:
        assert await wallet.balance(tx, mallory.organization_id) == 0
    assert all(one.organization_id == ada.organization_id for one in await all_events())


async def all_events():
    async with transaction() as tx:
        return (await tx.exec(select(UsageEvent))).all()
