"""A key's own limits and budgets, and the spend cap of all keys: never exceeded, rebuilt when Valkey forgets them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlmodel import delete

from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.valkey import valkey
from assisters_app.gateway import admission, ingest, meters, reaper
from assisters_app.gateway.admission import Limited, Unavailable, admit, settle
from assisters_app.gateway.calls import Ending, Usage
from assisters_app.gateway.grants import UNLIMITED, Own
from assisters_app.gateway.scripts import Keys, Scripts
from assisters_app.usage import events
from assisters_app.usage.events import Event
from assisters_app.usage.tables import UsageTally

NONE = Own(None, None, None, {})
DONE = Ending("completed", 200, Usage(10, 0, 5))
COST = 10 * 100 + 5 * 400
SUNDAY = datetime(2026, 11, 29, 23, 59, 30, tzinfo=UTC)  # the next day is a Monday, the one after it begins a month


@pytest.fixture
def limited_to(calls):
    """Make calls of Ada's by a key that has these limits of its own."""

    def make(cap=None, own=None, **limits):
        call = calls()
        wide = {"requests_per_minute": UNLIMITED, "tokens_per_minute": UNLIMITED, "concurrency": UNLIMITED}
        call.grant = replace(call.grant, **wide, own=replace(NONE, **limits) if limits else own, spend_cap=cap)
        return call

    return make


async def refusal(scripts, call, tokens=15, hold=COST):
    with pytest.raises(Limited) as limited:
        await admit(scripts, call, tokens, hold)
    assert limited.value.status == 429
    return limited.value


async def used(id_, at=None):
    """Return what the meter says of the day, the week and the month."""
    found = await valkey().hmget(Keys.of(id_).spent, list(meters.windows(at or now()).values()))
    return [None if one is None else int(one) for one in found]


async def test_a_key_has_requests_and_tokens_per_minute_of_its_own(limited_to):
    scripts, own = Scripts(), Own(2, 1_000, None, {})
    with clock.frozen(now()):
        for _ in range(2):
            call = limited_to(own=own)
            await admit(scripts, call, 300, 0)
        assert (call.standing.requests_limit, call.standing.requests_left) == (2, 0)
        assert (call.standing.tokens_limit, call.standing.tokens_left) == (1_000, 400)
        limited = await refusal(scripts, limited_to(own=own), 1, 0)
        assert (limited.code, limited.retry_after) == ("rate_limit_exceeded", 60)
        await settle(scripts, call, DONE)
        standing, wait = await admission.standing(scripts, call.grant)
        assert (standing.requests_used, standing.tokens_used, wait) == (2, 315, 60)
        wide = Own(None, 1_000, None, {})
        assert (await refusal(scripts, limited_to(own=wide), 686, 0)).code == "rate_limit_exceeded"
        assert (await refusal(scripts, limited_to(own=wide), 1_001, 0)).code == "request_too_large"
        await admit(scripts, limited_to(), 2_000, 0)
    assert 0 < await valkey().ttl(Keys.of(call.grant.key_id).limits) <= 60


async def test_a_key_has_so_many_calls_in_flight_however_they_end(limited_to):
    scripts, first = Scripts(), limited_to(concurrency=2)
    await admit(scripts, first, 1, 0)
    second = limited_to(concurrency=2)
    await admit(scripts, second, 1, COST)
    limited = await refusal(scripts, limited_to(concurrency=2), 1, 0)
    assert (limited.code, limited.retry_after) == ("too_many_at_once", 1)
    assert str(limited).startswith("This key may have 2 calls")
    await settle(scripts, first, Ending("failed", 500))
    await admit(scripts, limited_to(concurrency=2), 1, 0)
    await refusal(scripts, limited_to(concurrency=2), 1, 0)
    await settle(scripts, first, Ending("failed", 500))
    await refusal(scripts, limited_to(concurrency=2), 1, 0)


async def test_a_budget_counts_what_is_held_and_gives_back_what_was_not_used(limited_to):
    scripts, budget = Scripts(), {"day": 3 * COST}
    first = limited_to(budgets=budget)
    await admit(scripts, first, 15, 3 * COST)
    limited = await refusal(scripts, limited_to(budgets=budget), 15, 1)
    assert limited.code == "insufficient_quota"
    assert str(limited).startswith("This key's budget of $0.000009 a day is reached. It starts anew at ")
    await settle(scripts, first, DONE)
    assert await used(first.grant.key_id) == [COST] * 3
    limited = await refusal(scripts, limited_to(budgets=budget), 15, 2 * COST + 1)
    assert "has $0.000006 left, and this request can cost up to $0.000006001." in str(limited)
    await admit(scripts, limited_to(budgets=budget), 15, 2 * COST)
    await admit(scripts, limited_to(budgets=budget), 15, 0)


async def test_days_weeks_and_months_are_those_of_utc_and_a_call_counts_where_it_arrived(limited_to):
    scripts, budgets = Scripts(), {"day": COST, "week": 3 * COST, "month": 3 * COST}
    with clock.frozen(SUNDAY) as move:
        late = limited_to(budgets=budgets)
        await admit(scripts, limited_to(budgets=budgets), 15, COST)
        assert "2026-11-30 00:00 UTC" in str(await refusal(scripts, limited_to(budgets=budgets)))
        move(SUNDAY + timedelta(minutes=1))
        assert "2026-11-30 00:00 UTC" in str(await refusal(scripts, late))
        await admit(scripts, limited_to(budgets=budgets), 15, COST)
        assert await used(late.grant.key_id) == [COST, COST, 2 * COST]
        move(SUNDAY + timedelta(hours=1))
        assert "a day is reached. It starts anew at 2026-12-01 00:00 UTC" in str(
            await refusal(scripts, limited_to(budgets=budgets))
        )
        budgets = {"month": 2 * COST, "week": 9 * COST}
        assert "a month is reached. It starts anew at 2026-12-01 00:00 UTC" in str(
            await refusal(scripts, limited_to(budgets=budgets))
        )
        move(SUNDAY + timedelta(days=1, minutes=1))
        await admit(scripts, limited_to(budgets=budgets), 15, COST)
        assert await used(late.grant.key_id) == [COST, 2 * COST, COST]


async def test_the_spend_cap_is_of_all_keys_together_and_a_month(limited_to):
    scripts, first = Scripts(), limited_to(cap=2 * COST)
    other = limited_to(cap=2 * COST)
    other.grant = replace(other.grant, key_id=new_id())
    await admit(scripts, first, 15, COST)
    await admit(scripts, other, 15, COST)
    limited = await refusal(scripts, limited_to(cap=2 * COST, budgets={"day": 9 * COST}))
    assert str(limited).startswith("Your organization's spend cap of $0.000006 a month is reached.")
    assert await used(first.grant.organization_id) == [0, 0, 2 * COST]
    assert await used(first.grant.key_id) == [COST] * 3


async def test_a_crowd_that_comes_at_once_through_many_processes_stays_within_the_budget(limited_to):
    processes, wanted = [Scripts() for _ in range(4)], {"day": 7 * COST}
    everybody = [limited_to(cap=9 * COST, budgets=wanted) for _ in range(40)]
    tries = (admit(processes[n % 4], call, 15, COST) for n, call in enumerate(everybody))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Limited)]
    assert (len(answers) - len(refused), {one.code for one in refused}) == (7, {"insufficient_quota"})
    assert await used(everybody[0].grant.key_id) == [7 * COST] * 3


async def settled(scripts, call, hold=COST):
    await admit(scripts, call, 15, hold)
    await settle(scripts, call, DONE)


async def test_what_valkey_forgets_is_rebuilt_from_tallies_unposted_costs_and_holds(limited_to):
    scripts, limits = Scripts(), {"cap": 10 * COST, "budgets": {"week": 10 * COST}}
    await settled(scripts, limited_to(**limits))
    await ingest.run_once()
    await settled(scripts, limited_to(**limits))
    open_ = limited_to(**limits)
    await admit(scripts, open_, 15, 2 * COST)
    for id_ in (open_.grant.key_id, open_.grant.organization_id):
        await valkey().delete(Keys.of(id_).spent)
    assert "has $0.000018 left" in str(await refusal(scripts, limited_to(**limits), 15, 6 * COST + 1))
    await admit(scripts, limited_to(**limits), 15, 1)
    assert await used(open_.grant.key_id) == [4 * COST + 1] * 3
    assert (await used(open_.grant.organization_id))[2] == 4 * COST + 1
    await settle(scripts, open_, DONE)
    await ingest.run_once()
    assert await used(open_.grant.key_id) == [3 * COST + 1] * 3


async def test_after_a_flush_the_tallies_are_what_was_spent(limited_to):
    scripts, limits = Scripts(), {"cap": 3 * COST, "budgets": {"day": 3 * COST}}
    for _ in range(2):
        await settled(scripts, limited_to(**limits))
    await ingest.run_once()
    await valkey().flushall()
    await settled(scripts, limited_to(**limits))
    await refusal(scripts, limited_to(**limits), 15, 1)
    await refusal(scripts, limited_to(cap=3 * COST), 15, 1)


async def test_what_is_written_but_not_yet_acknowledged_is_not_counted_twice(limited_to, monkeypatch):
    scripts, limits = Scripts(), {"budgets": {"day": 2 * COST}}
    await settled(scripts, limited_to())
    acknowledge = ingest._acknowledge

    async def meanwhile(records):
        await settled(scripts, limited_to(**limits))
        await acknowledge(records)

    monkeypatch.setattr(ingest, "_acknowledge", meanwhile)
    await ingest.run_once()
    await refusal(scripts, limited_to(**limits), 15, 1)


async def test_what_is_acknowledged_while_a_meter_is_being_filled_is_counted_once(limited_to, monkeypatch):
    scripts, limits = Scripts(), {"budgets": {"day": 2 * COST}}
    await settled(scripts, limited_to())
    read, reads = meters._read, []

    async def slowly(*words):
        answer = await read(*words)
        if not reads:
            await ingest.run_once()
        reads.append(answer)
        return answer

    monkeypatch.setattr(meters, "_read", slowly)
    await settled(scripts, limited_to(**limits))
    assert len(reads) == 2
    await refusal(scripts, limited_to(**limits), 15, 1)


async def test_a_call_that_a_stale_process_let_in_counts_when_it_is_settled(limited_to):
    scripts, limits = Scripts(), {"cap": 9 * COST, "budgets": {"day": 2 * COST}}
    before, unaware = limited_to(), limited_to()
    await admit(scripts, before, 15, COST)
    await settled(scripts, limited_to(**limits))
    await admit(scripts, unaware, 15, COST)
    assert await used(before.grant.key_id) == [2 * COST] * 3
    await settle(scripts, unaware, DONE)
    assert await used(before.grant.key_id) == [3 * COST] * 3
    await settle(scripts, before, Ending("failed", 502))
    assert await used(before.grant.key_id) == [2 * COST] * 3
    assert (await used(before.grant.organization_id))[2] == 2 * COST


async def test_what_is_told_after_the_reaper_has_spoken_counts_all_the_same(limited_to):
    scripts, limits = Scripts(), {"cap": 3 * COST, "budgets": {"day": 2 * COST}}
    slow, at = limited_to(**limits), now()
    with clock.frozen(at) as move:
        await admit(scripts, slow, 15, COST)
        move(at + admission.HOLD)
        assert await reaper.run_once() == 1
        await ingest.run_once()
        await settle(scripts, slow, DONE)
        move(at)
        await admit(scripts, limited_to(**limits), 15, COST)
        await ingest.run_once()
        await refusal(scripts, limited_to(**limits), 15, 1)
        await refusal(scripts, limited_to(cap=2 * COST), 15, 1)


async def test_nobody_gets_in_on_a_budget_that_cannot_be_known(limited_to, monkeypatch):
    async def never(*_):
        raise TimeoutError

    monkeypatch.setattr(meters, "_read", never)
    with pytest.raises(Unavailable):
        await admit(Scripts(), limited_to(budgets={"day": COST}), 15, 1)


async def test_a_key_without_limits_has_no_meter(limited_to):
    scripts, call = Scripts(), limited_to()
    await settled(scripts, call)
    own, all_ = Keys.of(call.grant.key_id), Keys.of(call.grant.organization_id)
    assert await valkey().exists(own.limits, own.spent, all_.spent) == 0


async def past(person, key_id, at, cost):
    """Put a call of some time ago into the books."""
    event = Event(new_id(), at, person.organization_id, key_id, "live", "/v1/x", "m", 200, "completed", cost_nano=cost)
    async with transaction() as tx:
        await events.add_to_tallies(tx, [event])


async def test_only_what_the_window_holds_is_read_and_only_of_the_key(ada, limited_to):
    scripts, call = Scripts(), limited_to(budgets={"month": 50, "week": 20, "day": 10})
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    for days, cost in ((0, 1), (1, 2), (2, 4), (3, 8), (24, 16), (25, 32)):
        await past(ada, call.grant.key_id, noon - timedelta(days=days), cost)
    await past(ada, new_id(), noon, 64)
    with clock.frozen(noon):
        await meters.fill(scripts, call.grant.organization_id, call.grant.key_id, noon)
        assert await used(call.grant.key_id) == [1, 1 + 2 + 4 - 0, 1 + 2 + 4 + 8 + 16]
        await meters.fill(scripts, call.grant.organization_id, None, noon)
        assert await used(call.grant.organization_id) == [65, 71, 95]


async def test_a_call_that_took_past_midnight_to_arrive_finds_the_budget_of_its_own_day(ada, limited_to):
    scripts, budget = Scripts(), {"day": 2 * COST}
    with clock.frozen(SUNDAY) as move:
        late, later = limited_to(budgets=budget), limited_to(budgets=budget)
        await past(ada, late.grant.key_id, SUNDAY, COST)
        move(SUNDAY + timedelta(minutes=1))
        await past(ada, late.grant.key_id, now(), COST)
        await admit(scripts, limited_to(budgets=budget), 15, COST)
        await refusal(scripts, limited_to(budgets=budget), 15, 1)
        await admit(scripts, late, 15, COST)
        await refusal(scripts, later, 15, 1)


TOKEN = 400
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("admit"), some.integers(0, 1), some.integers(0, 40)),
        some.tuples(some.just("settle"), some.integers(0, 20), some.integers(0, 100)),
        some.tuples(some.just("ingest"), some.just(0), some.just(0)),
        some.tuples(some.just("forget"), some.integers(0, 3), some.just(0)),
        some.tuples(some.just("wait"), some.integers(1, 30), some.just(0)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, some.integers(10, 80), some.integers(40, 120))
async def test_whatever_happens_spending_stays_within_budget_and_cap(ada, limited_to, steps, budget, cap):
    """Budgets are compared with a plain model: what each call holds or has cost, in the day and month it arrived in.

    Amounts are output tokens, which cost TOKEN each.
    """
    scripts, keys, open_, ended = Scripts(), (new_id(), new_id()), [], []
    await valkey().flushall()
    async with transaction() as tx:
        await tx.sql(delete(UsageTally))
    with clock.frozen(SUNDAY) as move:
        for what, number, amount in steps:
            if what == "wait":
                move(now() + timedelta(hours=number))
            elif what == "ingest":
                await ingest.run_once()
            elif what == "forget":
                names = [Keys.of(id_).spent for id_ in (*keys, ada.organization_id)]
                await valkey().delete(*(names[number : number + 1] or names))
            elif what == "settle" and open_:
                call, hold = open_.pop(number % len(open_))
                produced = hold * amount // 100
                await settle(scripts, call, Ending("completed", 200, Usage(0, 0, produced)))
                ended.append((call, produced))
            elif what == "admit":
                call = limited_to(cap=cap * TOKEN, budgets={"day": budget * TOKEN})
                call.grant = replace(call.grant, key_id=keys[number])
                month = [(one, spent) for one, spent in (*open_, *ended) if one.at.month == call.at.month]
                today = [(one, spent) for one, spent in month if one.at.day == call.at.day]
                own = sum(spent for one, spent in today if one.grant.key_id == call.grant.key_id)
                fits = own + amount <= budget and sum(spent for _, spent in month) + amount <= cap
                try:
                    await admit(scripts, call, 1, amount * TOKEN)
                except Limited as limited:
                    assert (limited.code, fits) == ("insufficient_quota", False)  # noqa: PT017 (it may also be let in)
                else:
                    assert fits or not amount
                    open_.append((call, amount))
