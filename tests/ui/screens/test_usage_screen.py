"""Ada's usage: what is asked is what is drawn, in her own days; Mallory's holds nothing of it."""

from datetime import UTC, datetime, timedelta

import pytest
from uses import calls, has_key

from assisters_app.accounts import profile, sessions
from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.base.valkey import valkey
from assisters_app.gateway.scripts import RECORDS
from assisters_app.ui.usage import UsageState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def friday_noon():
    with clock.frozen(NOON) as move:
        yield move


def ys(figure, name):
    return next(line["y"] for line in figure["data"] if line["name"] == name)


def xs(figure, name):
    return next(line["x"] for line in figure["data"] if line["name"] == name)


async def test_thirty_days_are_drawn_and_written_behind_the_chart(ada, tab):
    key = await has_key(ada)
    await calls(ada, key, 3)
    await calls(ada, key, 1, status=429, outcome="refused", cost_nano=0)
    shown = (await tab(ada).send(UsageState.load, zone="UTC")).of(UsageState)
    figure = shown["requests_figure"]
    assert (ys(figure, "Answered")[-1], ys(figure, "Failed")[-1]) == (3, 1)
    assert len(xs(figure, "Answered")) == 30
    assert xs(figure, "Answered")[-1] == "2026-11-20"
    assert shown["requests_rows"][-1] == ["Fri 20 Nov 2026", "4", "1"]
    assert shown["sums"].requests == "4"
    assert shown["blank"] is False


async def test_nothing_used_is_said_not_drawn(ada, tab):
    shown = (await tab(ada).send(UsageState.load, zone="UTC")).of(UsageState)
    assert shown["phase"] == "ready"
    assert shown.get("blank", True) is True


async def test_a_day_is_the_viewers_day(ada, tab):
    key = await has_key(ada)
    await calls(ada, key, at=datetime(2026, 11, 19, 23, 30, tzinfo=UTC))  # the 20th in Paris
    shown = (await tab(ada).send(UsageState.load, zone="Europe/Paris")).of(UsageState)
    assert (ys(shown["requests_figure"], "Answered")[-1], shown["zone"]) == (1, "Europe/Paris")


async def test_the_zone_of_the_settings_goes_before_the_browsers(ada, tab):
    async with transaction() as tx:
        await profile.correct(tx, ada.person, "", "Asia/Kolkata")
    sessions._known.clear()
    shown = (await tab(ada).send(UsageState.load, zone="Europe/Paris")).of(UsageState)
    assert shown["zone"] == "Asia/Kolkata"


async def test_filters_narrow_charts_and_tables(ada, tab):
    server, batch, page = await has_key(ada, "Server"), await has_key(ada, "Batch"), tab(ada)
    await calls(ada, server, 3)
    await calls(ada, batch, 2, model="assisters-embed-v1")
    first = (await page.send(UsageState.load, zone="UTC")).of(UsageState)
    assert {row.label for row in first["by_key"]} == {"Server", "Batch"}
    assert [option["text"] for option in first["key_options"]] == ["All keys", "Batch", "Server"]
    shown = (await page.send(UsageState.choose, what="key", value=str(batch.id))).of(UsageState)
    assert shown["sums"].requests == "2"
    assert [row.label for row in shown["by_model"]] == ["assisters-embed-v1"]
    assert f"key={batch.id}" in shown["csv"]


async def test_thirteen_months_are_one_bar_each(ada, tab):
    key, page = await has_key(ada), tab(ada)
    await calls(ada, key, at=datetime(2025, 11, 3, tzinfo=UTC))
    await page.send(UsageState.load, zone="UTC")
    shown = (await page.send(UsageState.choose, what="range", value="13m")).of(UsageState)
    assert len(shown["cost_rows"]) == 13
    assert shown["cost_rows"][0] == ["November 2025", "$0.000003"]


async def test_the_period_before_stands_beside_this_one(ada, tab):
    key, page = await has_key(ada), tab(ada)
    await calls(ada, key, 4)
    await calls(ada, key, 2, at=datetime(2026, 11, 13, 12, tzinfo=UTC))
    await page.send(UsageState.load, zone="UTC")
    await page.send(UsageState.choose, what="range", value="7d")
    shown = (await page.send(UsageState.set_beside, compare=True)).of(UsageState)
    assert ys(shown["requests_figure"], "Period before")[-1] == 2
    assert shown["requests_rows"][-1] == ["Fri 20 Nov 2026", "4", "0", "2"]
    assert shown["sums"].requests_change == "+100% on the period before"


async def test_what_is_no_longer_kept_is_not_compared(ada, tab):
    key, page = await has_key(ada), tab(ada)
    await calls(ada, key, 4)
    await page.send(UsageState.load, zone="UTC")
    await page.send(UsageState.choose, what="range", value="13m")
    shown = (await page.send(UsageState.set_beside, compare=True)).of(UsageState)
    assert shown["beyond"] is True
    assert [line["name"] for line in shown["requests_figure"]["data"]] == ["Answered", "Failed"]
    assert shown["sums"].requests_change == ""


async def test_a_range_that_makes_no_sense_is_refused_in_words(ada, tab):
    page = tab(ada)
    await page.send(UsageState.load, zone="UTC")
    await page.send(UsageState.choose, what="range", value="dates")
    await page.send(UsageState.choose, what="first", value="2026-11-20")
    said = (await page.send(UsageState.choose, what="last", value="2026-11-01")).said()
    assert said == "A period ends after it begins."


@pytest.mark.parametrize("value", ["not-an-id", "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"])
async def test_a_key_that_is_not_adas_shows_nothing(ada, mallory, tab, value):
    theirs = await has_key(mallory)
    await calls(mallory, theirs, 5)
    page = tab(ada)
    await page.send(UsageState.load, zone="UTC")
    await page.send(UsageState.choose, what="key", value=value)
    shown = (await page.send(UsageState.choose, what="key", value=str(theirs.id))).of(UsageState)
    assert shown["blank"] is True
    assert shown["sums"].requests == "0"


async def test_mallory_cannot_see_adas_usage(ada, mallory, tab):
    await calls(ada, await has_key(ada), 3)
    shown = (await tab(mallory).send(UsageState.load, zone="UTC")).of(UsageState)
    assert shown.get("blank", True) is True
    assert shown.get("by_key", []) == []


async def test_no_event_writes_another_var_of_the_page(ada, tab):
    page = tab(ada)
    await page.send(UsageState.load, zone="UTC")
    assert (await page.send(UsageState.choose, what="csv", value="https://evil.example")).of(UsageState) == {}


async def test_the_page_says_when_calls_wait_to_be_counted(ada, tab):
    for minutes, told in ((0, ""), (3, "Calls of the last 3 min are not all counted yet.")):
        if minutes:
            at = int((NOON - timedelta(minutes=minutes)).timestamp() * 1000)
            await valkey().xadd(RECORDS, {"record": "waits"}, id=f"{at}-0")
        shown = (await tab(ada).send(UsageState.load, zone="UTC")).of(UsageState)
        assert shown["behind"].startswith(told)
        assert bool(shown["behind"]) == bool(told)
