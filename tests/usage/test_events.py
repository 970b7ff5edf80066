"""What was called is written down once, and the sums over it are always its sums."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from calls import call
from cast import ADA, BOB
from customers import customer, key_of
from hypothesis import given
from hypothesis import strategies as some
from sqlmodel import func, select

from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.usage import ddl, events
from assisters_app.usage.events import Event
from assisters_app.usage.tables import UsageEvent, UsageTally


async def insert(some_events):
    async with transaction() as tx:
        return await events.insert(tx, some_events)


async def counted():
    async with transaction() as tx:
        written = (await tx.exec(select(func.count(UsageEvent.request_id), func.sum(UsageEvent.cost_nano)))).one()
        summed = (await tx.exec(select(func.sum(UsageTally.requests), func.sum(UsageTally.cost_nano)))).one()
        assert all(found.holds for found in await events.invariants(tx))
    assert tuple(written) == tuple(int(value) for value in summed)
    return tuple(written)


async def test_a_call_is_written_once_however_often_it_is_reported(house):
    ada = await customer()
    key_id, _, _ = await key_of(ada)
    made = [call(ada.organization_id, key_id) for _ in range(3)]
    assert await insert([*made, made[0]]) == made
    assert await insert(made) == []
    assert await insert([]) == []
    assert await counted() == (3, 21_000)


async def test_workers_that_write_the_same_calls_at_once_count_them_once(house):
    ada, bob = await customer(ADA), await customer(BOB)
    first, second = (await key_of(ada))[0], (await key_of(bob))[0]
    at = datetime(2026, 3, 1, 12, 14, tzinfo=UTC)
    made = [call(ada.organization_id, first, at + timedelta(minutes=n)) for n in range(20)]
    made += [call(bob.organization_id, second, at + timedelta(minutes=n)) for n in range(20)]
    written = await asyncio.gather(*(insert(made if n % 2 else made[::-1]) for n in range(6)))
    assert sum(map(len, written)) == len(made)
    assert await counted() == (40, 280_000)


async def test_failed_calls_are_errors_in_the_tally(house):
    ada = await customer()
    key_id, _, _ = await key_of(ada)
    at = datetime(2026, 3, 1, 12, 14, 59, tzinfo=UTC)
    await insert([call(ada.organization_id, key_id, at, status=status) for status in (200, 399, 400, 502)])
    async with transaction() as tx:
        tally = (await tx.exec(select(UsageTally))).one()
    assert (tally.bucket, tally.requests, tally.errors) == (at.replace(minute=0, second=0), 4, 2)


@given(
    some.builds(
        Event,
        request_id=some.uuids(),
        at=some.datetimes(timezones=some.just(UTC), min_value=datetime(2020, 1, 1)),  # noqa: DTZ001 (a bound)
        organization_id=some.uuids(),
        key_id=some.uuids(),
        mode=some.sampled_from(["live", "test"]),
        endpoint=some.just("embeddings"),
        model=some.text(max_size=10),
        status=some.integers(200, 599),
        outcome=some.sampled_from(sorted(events.OUTCOMES)),
        input_tokens=some.integers(0, 2**40),
        cost_nano=some.integers(0, 2**53),
        first_token_ms=some.none() | some.integers(0, 10**6),
    )
)
def test_an_event_comes_out_of_the_stream_as_it_went_in(event):
    assert Event.from_json(event.to_json()) == event


GOOD = json.loads(call(new_id(), new_id()).to_json())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        json.dumps({**GOOD, "request_id": "no id"}),
        json.dumps({**GOOD, "prompt": "hello"}),
        json.dumps({**GOOD, "cost_nano": -1}),
        json.dumps({**GOOD, "cost_nano": 1.5}),
        json.dumps({**GOOD, "units": -1}),
        json.dumps({**GOOD, "outcome": "vanished"}),
        json.dumps({**GOOD, "at": "2026-01-01T00:00:00"}),
        json.dumps({**GOOD, "status": None}),
    ],
)
def test_what_is_not_an_event_is_told(line):
    with pytest.raises(ValueError):  # noqa: PT011 (orjson's own error is a ValueError too)
        Event.from_json(line)


async def test_days_are_made_ahead_and_dropped_whole_after_thirty(house):
    start = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    ada = await customer()
    key_id, _, _ = await key_of(ada)
    with clock.frozen(start) as move:
        async with transaction() as tx:
            before = await ddl.existing(tx)
            await ddl.ahead(tx)
            made = [day for day in await ddl.existing(tx) if day not in before]
        assert (made[0], made[-1]) == (start.date(), (start + ddl.AHEAD).date())
        await insert([call(ada.organization_id, key_id)])
        move(start + timedelta(days=30))
        async with transaction() as tx:
            await ddl.drop_expired(tx)
        assert await events_left() == 1
        move(start + timedelta(days=31))
        async with transaction() as tx:
            assert await ddl.drop_expired(tx) == 1
            assert start.date() not in await ddl.existing(tx)
        assert await events_left() == 0
    async with transaction() as tx:
        assert (await tx.exec(select(func.sum(UsageTally.requests)))).one() == 1


async def events_left():
    async with transaction() as tx:
        return (await tx.exec(select(func.count()).select_from(UsageEvent))).one()


async def test_a_call_that_arrives_days_late_still_finds_its_day(house):
    ada = await customer()
    key_id, _, _ = await key_of(ada)
    late = call(ada.organization_id, key_id, now() - timedelta(days=25))
    assert await insert([late]) == [late]
    assert await insert([late]) == []


async def test_books_that_disagree_are_told(house):
    ada = await customer()
    key_id, _, _ = await key_of(ada)
    await insert([call(ada.organization_id, key_id)])
    async with transaction() as tx:
        tally = (await tx.exec(select(UsageTally))).one()
        tally.cost_nano += 1
        tally.units += 1
    async with transaction() as tx:
        found = {one.name: one.holds for one in await events.invariants(tx)}
    assert found == {
        "events = tallies (requests)": True,
        "events = tallies (nano-USD)": False,
        "events = tallies (tokens)": True,
        "events = tallies (units)": False,
    }


def test_ids_survive_as_ids():
    event = call(new_id(), new_id())
    assert isinstance(Event.from_json(event.to_json()).key_id, UUID)
