"""Ada reads her usage in her own time zone; Mallory cannot read it; Grace reads everybody's."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from calls import call
from cast import BOB, GRACE, MALLORY
from customers import customer, key_of
from hypothesis import example, given
from hypothesis import strategies as some

from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.usage import events, periods, reports
from assisters_app.usage.periods import Period, between, edges
from assisters_app.usage.reports import Filter, LogFilter, Sums

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # +05:45
NEW_YORK = ZoneInfo("America/New_York")
MARCH = between(date(2026, 3, 1), date(2026, 3, 31), ZoneInfo("UTC"))


async def insert(*made):
    async with transaction() as tx:
        await events.insert(tx, made)


async def read(report, *args, **words):
    async with transaction() as tx:
        return await report(tx, *args, **words)


@pytest.fixture
async def key_id(ada):
    return (await key_of(ada, name="Laptop"))[0]


async def test_totals_are_the_sums_of_what_ada_called(ada, key_id):
    await insert(
        call(ada.organization_id, key_id, NOON, units=6, unit="image"),
        call(ada.organization_id, key_id, NOON + timedelta(hours=1), status=500, cost_nano=0, output_tokens=0),
        call(ada.organization_id, key_id, NOON - timedelta(days=40)),
    )
    sums = await read(reports.totals, reports.own(ada), MARCH)
    assert sums == Sums(2, 1, 20, 0, 5, 6, 7_000, 240)
    assert (sums.tokens, sums.mean_ms, sums.error_rate) == (25, 120.0, 0.5)


async def test_mallory_cannot_see_adas_usage(ada, key_id):
    mallory = await customer(MALLORY)
    made = call(ada.organization_id, key_id, NOON)
    await insert(made)
    hers = reports.own(mallory)
    assert await read(reports.totals, hers, MARCH) == Sums()
    assert await read(reports.shares, hers, MARCH, "key") == []
    assert (await read(reports.totals, hers, MARCH, Filter(key_id=key_id))) == Sums()
    assert (await read(reports.log, hers)).rows == ()
    with pytest.raises(NotFound):
        await read(reports.request, hers, made.request_id)
    for door in (lambda: reports.everyone(mallory), lambda: reports.organization(mallory, ada.organization_id)):
        with pytest.raises(NotFound):
            door()
    with pytest.raises(NotFound):
        await read(reports.top_movers, mallory, MARCH)


async def test_grace_sees_everybody_and_who_moved_most(ada, key_id):
    bob, grace = await customer(BOB), await customer(GRACE)
    bobs, _, _ = await key_of(bob)
    await insert(
        call(ada.organization_id, key_id, NOON, cost_nano=100),
        call(ada.organization_id, key_id, NOON - timedelta(days=20), cost_nano=90),
        call(bob.organization_id, bobs, NOON, cost_nano=50),
    )
    assert (await read(reports.totals, reports.everyone(grace), MARCH)).cost_nano == 150
    assert (await read(reports.totals, reports.organization(grace, bob.organization_id), MARCH)).cost_nano == 50
    movers = await read(reports.top_movers, grace, MARCH)
    assert [(one.organization_id, one.change_nano) for one in movers] == [
        (bob.organization_id, 50),
        (ada.organization_id, 10),
    ]
    assert movers[0].handle.startswith("org_")


async def test_a_series_has_a_point_for_every_day_even_the_quiet_ones(ada, key_id):
    await insert(call(ada.organization_id, key_id, NOON), call(ada.organization_id, key_id, NOON))
    line = await read(reports.series, reports.own(ada), MARCH)
    assert len(line.points) == 31
    assert [(one.at.day, one.sums.requests) for one in line.points if one.sums.requests] == [(10, 2)]
    assert line.total.requests == 2


@pytest.mark.parametrize("zone", [BERLIN, KATHMANDU, NEW_YORK, ZoneInfo("Australia/Lord_Howe")], ids=str)
async def test_a_call_just_before_midnight_belongs_to_the_day_of_the_viewer(ada, key_id, zone):
    midnight = datetime(2026, 3, 11, tzinfo=zone)
    await insert(
        call(ada.organization_id, key_id, midnight - timedelta(seconds=1)),
        call(ada.organization_id, key_id, midnight, cost_nano=1),
    )
    line = await read(reports.series, reports.own(ada), between(date(2026, 3, 10), date(2026, 3, 11), zone))
    assert [(one.at.isoformat()[:10], one.sums.cost_nano) for one in line.points] == [
        ("2026-03-10", 7_000),
        ("2026-03-11", 1),
    ]


async def test_the_hour_that_comes_twice_in_autumn_is_two_hours(ada, key_id):
    first = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    second = first.replace(fold=1)
    await insert(call(ada.organization_id, key_id, first), call(ada.organization_id, key_id, second, cost_nano=1))
    day = between(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK, "hour")
    line = await read(reports.series, reports.own(ada), day)
    assert len(line.points) == 25
    busy = [(one.at.hour, one.at.utcoffset(), one.sums.cost_nano) for one in line.points if one.sums.requests]
    assert busy == [(1, timedelta(hours=-4), 7_000), (1, timedelta(hours=-5), 1)]


ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc", "System")))


@given(
    some.sampled_from(ZONES),
    some.dates(date(2015, 1, 1), date(2030, 12, 31)),
    some.integers(1, 40),
    some.sampled_from(["quarter", "hour", "day", "month"]),
)
@example("America/Santiago", date(2024, 9, 8), 1, "day")  # there is no midnight on that day
@example("America/Havana", date(2024, 11, 3), 1, "hour")  # midnight comes twice
@example("Australia/Lord_Howe", date(2024, 4, 7), 1, "hour")  # clocks move by half an hour
def test_buckets_cover_a_period_without_gap_or_overlap(name, first, count, step):
    zone = ZoneInfo(name)
    period = between(first, first + timedelta(days=count - 1), zone, step)
    if step == "quarter" and count > 15:
        with pytest.raises(Refused):
            edges(period)
        return
    found = edges(period)
    assert found[0] == period.start
    assert found[-1] == period.end
    assert all(earlier < later for earlier, later in pairwise(found))
    if step == "day":
        assert [edge.astimezone(zone).date() for edge in found[:-1]] == [
            first + timedelta(days=n) for n in range(count)
        ]


async def test_usage_is_split_by_what_ada_asks_and_named_for_her(ada, key_id):
    other, _, _ = await key_of(ada, name="Server", mode="test")
    await insert(
        call(ada.organization_id, key_id, NOON, model="assisters-embed-v1", endpoint="embeddings", cost_nano=1),
        call(ada.organization_id, key_id, NOON),
        call(ada.organization_id, other, NOON, mode="test", cost_nano=0),
    )
    hers = reports.own(ada)
    by_key = await read(reports.shares, hers, MARCH, "key")
    assert [(one.label, one.sums.requests) for one in by_key] == [("Laptop", 2), ("Server", 1)]
    by_model = await read(reports.shares, hers, MARCH, "model")
    assert [(one.key, one.sums.cost_nano) for one in by_model] == [
        ("assisters-chat-v1", 7_000),
        ("assisters-embed-v1", 1),
    ]
    assert [one.key for one in await read(reports.shares, hers, MARCH, "endpoint")] == [
        "chat/completions",
        "embeddings",
    ]
    live = await read(reports.totals, hers, MARCH, Filter(mode="live"))
    assert live.requests == 2
    lines = await read(reports.key_sparklines, hers, MARCH)
    assert {one: line.total.requests for one, line in lines.items()} == {key_id: 2, other: 1}


async def test_a_chart_with_many_models_sums_the_small_ones_as_others(ada, key_id):
    await insert(
        *(call(ada.organization_id, key_id, NOON, model=f"model-{n}", cost_nano=n) for n in range(1, 6)),
    )
    lines = await read(reports.series_by, reports.own(ada), MARCH, "model", most=2)
    assert [(one.label, one.total.cost_nano) for one in lines] == [("model-5", 5), ("model-4", 4), ("others", 6)]
    assert {len(one.points) for one in lines} == {31}


async def test_a_period_is_compared_with_as_many_days_before(ada, key_id):
    await insert(
        call(ada.organization_id, key_id, NOON, cost_nano=30),
        call(ada.organization_id, key_id, NOON - timedelta(days=7), cost_nano=20),
        call(ada.organization_id, key_id, NOON - timedelta(days=14), cost_nano=1),
    )
    week = between(date(2026, 3, 4), date(2026, 3, 10), BERLIN)
    found = await read(reports.comparison, reports.own(ada), week)
    assert (found.current.cost_nano, found.previous.cost_nano) == (30, 20)
    assert found.change("cost_nano") == 0.5
    assert found.change("errors") is None


def test_the_days_before_a_clock_change_are_whole_days():
    after = between(date(2026, 3, 29), date(2026, 3, 29), BERLIN)  # a day of 23 hours
    earlier = periods.before(after)
    assert (earlier.start, earlier.end) == (datetime(2026, 3, 28, tzinfo=BERLIN), after.start)
    odd = Period(NOON, NOON + timedelta(hours=2), BERLIN, "hour")
    assert periods.before(odd).start == NOON - timedelta(hours=2)


def test_this_month_and_the_last_days_are_the_viewers():
    with clock.frozen(datetime(2026, 1, 31, 23, 30, tzinfo=UTC)):
        assert periods.month(BERLIN).start == datetime(2026, 2, 1, tzinfo=BERLIN)
        assert periods.month(BERLIN).end == datetime(2026, 3, 1, tzinfo=BERLIN)
        assert periods.today(NEW_YORK).start == datetime(2026, 1, 31, tzinfo=NEW_YORK)
        assert periods.days(BERLIN, 30).start == datetime(2026, 1, 3, tzinfo=BERLIN)
    assert periods.zone_named("Mars/Olympus") == ZoneInfo("UTC")
    assert periods.zone_named("../etc/passwd") == ZoneInfo("UTC")


async def test_the_log_pages_through_every_call_once_newest_first(ada, key_id):
    made = [call(ada.organization_id, key_id, NOON + timedelta(seconds=n // 2)) for n in range(7)]
    await insert(*made)
    seen, after = [], None
    for _ in range(10):
        page = await read(reports.log, reports.own(ada), after=after, size=2)
        seen += page.rows
        after = page.after
        if after is None:
            break
    assert len(seen) == len(made)
    assert {one.request_id for one in seen} == {one.request_id for one in made}
    assert [one.at for one in seen] == sorted((one.at for one in made), reverse=True)
    assert {one.key_name for one in seen} == {"Laptop"}


async def test_the_log_narrows_to_what_ada_looks_for(ada, key_id):
    broken = call(ada.organization_id, key_id, NOON, status=502, outcome="failed", error_code="upstream_error")
    await insert(broken, call(ada.organization_id, key_id, NOON), call(ada.organization_id, key_id, NOON))
    hers = reports.own(ada)
    for which in (LogFilter(failed=True), LogFilter(outcome="failed")):
        assert [one.request_id for one in (await read(reports.log, hers, which)).rows] == [broken.request_id]
    assert (await read(reports.log, hers, LogFilter(only=Filter(model="no-such-model")))).rows == ()
    earlier = between(date(2026, 3, 9), date(2026, 3, 9), ZoneInfo("UTC"))
    assert (await read(reports.log, hers, LogFilter(period=earlier))).rows == ()
    line = await read(reports.request, hers, broken.request_id)
    assert (line.error_code, line.handle) == ("upstream_error", f"req_{broken.request_id.hex}")


@pytest.mark.parametrize("cursor", ["", "!!", "bm9uc2Vuc2U=", "é"])
async def test_a_cursor_that_we_did_not_give_is_refused(ada, cursor):
    with pytest.raises(Refused):
        await read(reports.log, reports.own(ada), after=cursor)


async def test_the_csv_is_the_table_behind_the_charts(ada, key_id):
    await insert(call(ada.organization_id, key_id, NOON), call(ada.organization_id, key_id, NOON))
    async with transaction() as tx:
        rows = [
            row
            async for row in reports.csv_rows(
                tx, reports.own(ada), between(date(2026, 3, 1), date(2026, 3, 31), BERLIN)
            )
        ]
    amounts = (2, 0, 20, 0, 10, 0, 14_000, 240)
    assert rows[0][:6] == ("from", "key", "key_id", "model", "endpoint", "mode")
    assert rows[1:] == [
        ("2026-03-10T00:00:00+01:00", "Laptop", str(key_id), "assisters-chat-v1", "chat/completions", "live", *amounts)
    ]


def test_periods_that_make_no_sense_are_refused():
    for start, end in ((NOON, NOON), (NOON, NOON - timedelta(days=1)), (NOON, NOON + timedelta(days=500))):
        with pytest.raises(Refused):
            Period(start, end, BERLIN)
    with pytest.raises(ValueError, match="aware"):
        Period(NOON.replace(tzinfo=None), NOON, BERLIN)
