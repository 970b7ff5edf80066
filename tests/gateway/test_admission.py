"""A cap is a cap: any number of callers, on any number of processes, never get past a limit or below zero."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.base.valkey import valkey
from assisters_app.billing import ledger, wallet
from assisters_app.gateway import admission, ingest, wallets
from assisters_app.gateway.admission import Limited, admit, settle
from assisters_app.gateway.calls import Call, Ending, Usage
from assisters_app.gateway.grants import UNLIMITED, Own
from assisters_app.gateway.scripts import OPEN, PUBLISH, RECORDS, Keys, Scripts
from assisters_app.usage.events import Event

DONE = Ending("completed", 200, Usage(10, 0, 5))
COST = 10 * 100 + 5 * 400


async def available(organization_id):
    found = await valkey().hgetall(Keys.of(organization_id).wallet)
    return int(found["ledger"]) - int(found["unposted"]) - int(found["held"])


async def test_what_is_held_comes_back_but_for_what_was_used(calls):
    scripts, call = Scripts(), calls()
    await admit(scripts, call, 1_000, 400_000)
    organization_id = call.grant.organization_id
    assert await available(organization_id) == from_dollars("1") - 400_000
    assert (call.standing.requests_used, call.standing.tokens_used) == (1, 1_000)
    assert await settle(scripts, call, DONE) == COST
    assert await available(organization_id) == from_dollars("1") - COST
    standing, _ = await admission.standing(scripts, call.grant)
    assert (standing.requests_used, standing.tokens_used) == (1, 15)
    assert await valkey().zcard(OPEN) == 0


async def test_settling_again_and_again_is_charged_once(calls):
    scripts, call = Scripts(), calls()
    organization_id = call.grant.organization_id
    await admit(scripts, call, 10, 10)
    await asyncio.gather(*(settle(scripts, call, DONE) for _ in range(5)))
    assert await available(organization_id) == from_dollars("1") - COST
    await ingest.run_once()
    await settle(scripts, call, DONE)
    await ingest.run_once()
    assert await available(organization_id) == from_dollars("1") - COST
    assert await valkey().exists(Keys.of(organization_id).unposted) == 0
    async with transaction() as tx:
        assert await wallet.balance(tx, organization_id) == from_dollars("1") - COST


async def test_admitting_again_after_a_lost_answer_counts_once(calls):
    scripts, call = Scripts(), calls()
    for _ in range(3):
        await admit(scripts, call, 10, 10)
    assert call.standing.requests_used == 1
    assert await available(call.grant.organization_id) == from_dollars("1") - 10


@pytest.mark.promise("2.3")
async def test_the_limits_free_themselves_after_a_minute_and_leave_nothing_behind(calls):
    scripts, at = Scripts(), now()
    calls = partial(with_room, calls)
    with clock.frozen(at) as move:
        for second in range(10):
            move(at + timedelta(seconds=second))
            call = calls()
            await admit(scripts, call, 10_000, 0)
        with pytest.raises(Limited) as limited:
            await admit(scripts, calls(), 1, 0)
        assert limited.value.retry_after == 51
        for second, room in ((59, 0), (60, 1), (65, 5), (69, 4)):
            move(at + timedelta(seconds=second))
            for _ in range(room):
                await admit(scripts, calls(), 1, 0)
            with pytest.raises(Limited):
                await admit(scripts, calls(), 1, 0)
    assert 0 < await valkey().ttl(Keys.of(call.grant.organization_id).limits) <= 60


def with_room(calls):
    """Make a call of somebody who may have any number of them in flight."""
    call = calls()
    call.grant = replace(call.grant, concurrency=UNLIMITED)
    return call


async def test_as_many_calls_as_the_plan_allows_are_in_flight_and_the_next_when_one_has_ended(calls):
    scripts, first = Scripts(), calls()
    first.grant = replace(first.grant, requests_per_minute=100)
    everybody = [first, *(calls() for _ in range(10))]
    for call in everybody:
        call.grant = first.grant
    for call in everybody[:10]:
        await admit(scripts, call, 1, 1)
    with pytest.raises(Limited) as limited:
        await admit(scripts, everybody[10], 1, 1)
    assert (limited.value.code, limited.value.status, limited.value.retry_after) == ("too_many_at_once", 429, 1)
    assert str(limited.value).startswith("Your organization may have 10 calls at the same time")
    await settle(scripts, first, DONE)
    await admit(scripts, everybody[10], 1, 1)


async def test_tokens_wait_for_the_tokens_before_them(calls):
    scripts, at = Scripts(), now()
    with clock.frozen(at) as move:
        await admit(scripts, calls(), 60_000, 0)
        move(at + timedelta(seconds=30))
        await admit(scripts, calls(), 40_000, 0)
        with pytest.raises(Limited) as limited:
            await admit(scripts, calls(), 70_000, 0)
        assert (limited.value.code, limited.value.retry_after) == ("rate_limit_exceeded", 60)
        with pytest.raises(Limited) as limited:
            await admit(scripts, calls(), 60_000, 0)
        assert limited.value.retry_after == 30
        with pytest.raises(Limited) as limited:
            await admit(scripts, calls(), 100_001, 0)
        assert (limited.value.code, limited.value.retry_after) == ("request_too_large", None)


async def test_a_wallet_topped_up_unheard_is_read_again_before_anybody_is_refused(ada, calls):
    scripts = Scripts()
    await admit(scripts, calls(), 1, 1)
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, from_dollars("5"), "unheard")
    await admit(scripts, calls(), 1, from_dollars("5"))


async def test_an_older_reading_of_the_ledger_changes_nothing(calls):
    scripts, call = Scripts(), calls()
    keys = Keys.of(call.grant.organization_id)
    names = (keys.wallet, keys.holds, keys.unposted)
    await scripts.run(PUBLISH, names, 7, 500, 60)
    await scripts.run(PUBLISH, names, 6, 9_999, 60)
    assert await available(call.grant.organization_id) == 500
    await scripts.run(PUBLISH, names, 8, 400, 60)
    assert await available(call.grant.organization_id) == 400


async def test_after_old_movements_were_swept_away_a_wallet_still_follows_the_ledger(ada, calls):
    with clock.frozen(now() - timedelta(days=3_000)):
        for cause in ("first", "second", "third"):
            async with transaction() as tx:
                await wallet.give(tx, ada.organization_id, 1, cause)
    scripts, call = Scripts(), calls()
    await admit(scripts, call, 1, 1)
    async with transaction() as tx:
        assert await ledger.sweep(tx, now() - timedelta(days=2_500)) == 3
    await settle(scripts, call, DONE)
    await ingest.run_once()
    assert await available(ada.organization_id) == from_dollars("1") + 3 - COST


async def test_a_caller_who_hangs_up_during_admission_holds_nothing_afterwards(ada, calls, monkeypatch):
    scripts, call, asked = Scripts(), calls(), asyncio.Event()

    async def answered_too_late(*words):
        await asking(*words)
        asked.set()
        await asyncio.Event().wait()

    await wallets.publish(scripts, ada.organization_id)
    asking = admission._ask_to_admit
    monkeypatch.setattr(admission, "_ask_to_admit", answered_too_late)
    admitting = asyncio.ensure_future(admit(scripts, call, 1_000, 5_000))
    await asked.wait()
    admitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await admitting
    assert await available(ada.organization_id) == from_dollars("1")
    assert await valkey().zcard(OPEN) == 0
    assert await valkey().xlen(RECORDS) == 1


async def test_a_wallet_that_valkey_lost_is_rebuilt_with_its_holds_and_what_is_not_posted(calls):
    scripts, settled, open_ = Scripts(), calls(), calls()
    organization_id = settled.grant.organization_id
    await admit(scripts, settled, 20, 9_000)
    await settle(scripts, settled, DONE)
    await admit(scripts, open_, 20, 8_000)
    await valkey().delete(Keys.of(organization_id).wallet)
    await admit(scripts, calls(), 20, 7_000)
    assert await available(organization_id) == from_dollars("1") - COST - 8_000 - 7_000
    await valkey().delete(Keys.of(organization_id).wallet)
    await settle(scripts, open_, DONE)
    await wallets.publish(scripts, organization_id)
    assert await available(organization_id) == from_dollars("1") - 2 * COST - 7_000


async def test_when_valkey_is_down_callers_are_told_soon(calls, monkeypatch):
    from assisters_app.base import settings as product_settings
    from assisters_app.base import valkey as connection

    await connection.close()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9")
    product_settings.settings.cache_clear()
    began = now()
    with pytest.raises(admission.Unavailable):
        await admit(Scripts(), calls(), 1, 1)
    assert now() - began < timedelta(seconds=5)
    await connection.close()


REQUESTS = some.lists(
    some.tuples(
        some.integers(1, 900),  # input tokens
        some.integers(0, 900),  # most output tokens
        some.integers(0, 100),  # percent of it that is produced
        some.sampled_from(["settle", "settle", "settle", "abandon"]),
    ),
    min_size=1,
    max_size=40,
)


LIMITS = some.fixed_dictionaries(
    {
        "requests_per_minute": some.integers(1, 12),
        "tokens_per_minute": some.integers(500, 6_000),
        "concurrency": some.integers(1, 12),
    }
)
CODES = {"rate_limit_exceeded", "request_too_large", "insufficient_quota", "too_many_at_once"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS, some.integers(0, 3_000_000), LIMITS)
async def test_no_crowd_gets_past_a_limit_or_below_zero(calls, requests, balance, limits):
    organization_id = new_id()
    grant = replace(calls().grant, organization_id=organization_id, **limits)
    keys, processes = Keys.of(organization_id), [Scripts() for _ in range(3)]
    await processes[0].run(PUBLISH, (keys.wallet, keys.holds, keys.unposted), 10**6, balance, 60)
    admitted, reserved, spent, held = [], [], [], []

    async def one(number, given_tokens, most, percent, fate):
        call = Call(grant, "/v1/chat/completions", model="m", price=calls().price)
        scripts = processes[number % len(processes)]
        hold = call.cost(Usage(given_tokens, 0, most))
        try:
            await admit(scripts, call, given_tokens + most, hold)
        except Limited as limited:
            assert limited.code in CODES  # noqa: PT017 (which one depends on who came first)
            return
        assert await valkey().hlen(keys.holds) <= limits["concurrency"]
        admitted.append(call)
        reserved.append(given_tokens + most)
        if fate == "abandon":
            held.append(hold)
        else:
            ending = Ending("completed", 200, Usage(given_tokens, 0, most * percent // 100))
            spent.append(await settle(scripts, call, ending))
        assert sum(spent) <= balance

    with clock.frozen(now()):
        await asyncio.gather(*(one(number, *request) for number, request in enumerate(requests)))
    assert len(admitted) <= limits["requests_per_minute"]
    assert await available(organization_id) == balance - sum(spent) - sum(held) >= 0
    used = await valkey().hgetall(keys.limits)
    assert int(used["r"]) == len(admitted)
    assert int(used["t"]) <= limits["tokens_per_minute"]
    assert int(used["t"]) <= sum(reserved)
    assert await valkey().hlen(keys.holds) == len(admitted) - await settled_count(organization_id)


async def settled_count(organization_id):
    entries = await valkey().xrange(RECORDS)
    return sum(str(organization_id) in fields["record"] for _, fields in entries)


async def test_nothing_of_a_minute_outlives_it_not_even_of_one_in_which_all_were_refused(calls):
    call = calls()
    names = (Keys.of(call.grant.organization_id).limits, Keys.of(call.grant.key_id).limits)
    own = Own(requests_per_minute=5, tokens_per_minute=5, concurrency=None, budgets={})
    with pytest.raises(Limited):
        await admit(Scripts(), replace(call, grant=replace(call.grant, own=own)), 10, 0)
    assert [0 < await valkey().ttl(name) <= 60 for name in names] == [True, True]


async def test_a_key_that_is_refused_over_and_over_leaves_a_bounded_number_of_records(calls, monkeypatch):
    monkeypatch.setattr(admission, "RECORDED", 3)
    with clock.frozen(now()) as move:
        for _ in range(10):
            await admission.refuse(calls(), 400, "invalid_value")
        assert await codes() == ["invalid_value"] * 3 + ["more_refusals"]
        move(now() + timedelta(minutes=1))
        await admission.refuse(calls(), 404, "model_not_found")
    assert (await codes())[4:] == ["model_not_found"]


async def codes():
    records = await valkey().xrange(RECORDS)
    return [Event.from_json(fields["record"]).error_code for _, fields in records]
