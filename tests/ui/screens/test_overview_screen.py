"""Ada's first page: the way to a first call, then what she spent and what needs attention."""

from datetime import timedelta

import pytest
from sqlmodel import select
from uses import calls, has_credit, has_key

from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.gateway import admission, grants
from assisters_app.gateway.calls import Call
from assisters_app.gateway.scripts import Scripts
from assisters_app.keys import keys, secret
from assisters_app.keys.keys import NewKey
from assisters_app.keys.tables import ApiKey
from assisters_app.ui.amounts import Amount
from assisters_app.ui.minute import MinuteState
from assisters_app.ui.overview import OverviewState
from assisters_app.ui.session import AppState


async def live(who):
    async with transaction() as tx:
        return await keys.live(tx, who.person)


async def test_ada_without_a_key_is_offered_one(ada, tab):
    shown = (await tab(ada).send(OverviewState.load, zone="Europe/Paris")).of(OverviewState)
    assert (shown["phase"], shown["has_keys"], shown["zone"]) == ("ready", False, "Europe/Paris")


async def test_one_click_makes_a_test_key_while_there_is_no_credit(ada, tab):
    page = tab(ada)
    shown = (await page.send(OverviewState.first_key)).of(OverviewState)
    assert shown["secret"].startswith("ask_")
    assert shown["test_key"] is True
    (key,) = await live(ada)
    assert (key.name, key.mode) == ("primary", "test")
    assert (await page.state(OverviewState)).secret == ""


async def test_one_click_makes_a_live_key_once_there_is_credit(ada, tab):
    await has_credit(ada)
    await tab(ada).send(OverviewState.first_key)
    assert [key.mode for key in await live(ada)] == ["live"]


async def test_a_second_click_makes_no_second_key(ada, tab):
    page = tab(ada)
    await page.send(OverviewState.first_key)
    again = (await page.send(OverviewState.first_key)).of(OverviewState)
    assert "secret" not in again
    assert len(await live(ada)) == 1


async def test_adas_day_is_what_she_called_and_paid(ada, tab):
    key = await has_key(ada)
    await has_credit(ada, "10")
    await calls(ada, key, 3, cost_nano=500_000_000)
    await calls(ada, key, 1, status=500, outcome="failed", cost_nano=0)
    shown = (await tab(ada).send(OverviewState.load, zone="UTC")).of(OverviewState)
    day = shown["day"]
    assert (day.spent_today.short, day.requests_today, day.error_rate) == ("$1.50", "4", "25.0%")
    assert shown["balance"].exact == "$8.50"
    assert len(shown["calls"]) == 4
    assert shown["line_label"] == "4 requests in the last 30 days"


async def test_many_failures_need_attention(ada, tab):
    key = await has_key(ada)
    await calls(ada, key, 20, status=503, outcome="failed", cost_nano=0)
    shown = (await tab(ada).send(OverviewState.load, zone="UTC")).of(OverviewState)
    assert "100% of today's requests failed." in [one.text for one in shown["attention"]]


async def test_a_key_that_ends_soon_needs_attention(ada, tab):
    async with transaction() as tx:
        await keys.issue(tx, ada.person, NewKey(name="Trial", expires_at=now() + timedelta(days=2)))
        await keys.issue(tx, ada.person, NewKey(name="Later", expires_at=now() + timedelta(days=30)))
    shown = (await tab(ada).send(OverviewState.load, zone="UTC")).of(OverviewState)
    assert [one.text for one in shown["attention"]] == ["The key “Trial” expires soon."]


async def test_a_low_balance_needs_attention_where_credit_can_be_bought(ada, tab, payments_on):
    await has_key(ada)
    await has_credit(ada, "0.50")
    shown = (await tab(ada).send(OverviewState.load, zone="UTC")).of(OverviewState)
    assert [one.text for one in shown["attention"]] == ["Your balance is down to $0.50."]


async def test_mallory_sees_nothing_of_adas_day(ada, mallory, tab):
    key = await has_key(ada)
    await calls(ada, key, 3)
    shown = (await tab(mallory).send(OverviewState.load, zone="UTC")).of(OverviewState)
    assert shown["day"].requests_today == "0"
    assert shown.get("calls", []) == []
    assert shown["has_keys"] is False


@pytest.mark.parametrize(
    ("nano", "short"),
    [
        (0, "$0.00"),
        (247_479_999_999, "$247.47"),
        (235_699_999, "$0.2356"),
        (4_625_520, "$0.00462"),
        (302, "$0.000000302"),
    ],
)
def test_an_amount_is_written_in_digits_that_fit_and_never_rounded_up(nano, short):
    assert Amount.of(nano).short == short


@pytest.mark.parametrize(
    ("nano", "short"), [(1_095_580_700, "$1.10"), (1_094_999_999, "$1.09"), (999_999_999, "$0.9999"), (0, "$0.00")]
)
def test_what_was_spent_is_what_the_bill_says(nano, short):
    assert Amount.spent(nano).short == short


async def test_a_message_of_a_while_ago_is_not_shown_again_on_the_next_page(ada, tab):
    page = tab(ada)
    await page.send(AppState.say, text="Key created.")
    await page.send(AppState.enter)
    assert (await page.state(AppState)).message == "Key created."
    with clock.frozen(now() + timedelta(minutes=1)):
        assert (await page.send(AppState.enter)).of(AppState)["message"] == ""


async def test_a_key_that_leaked_needs_attention(ada, tab):
    key = await has_key(ada, "Laptop")
    async with transaction() as tx:
        row = (await tx.exec(select(ApiKey).where(ApiKey.id == key.id))).one()
        row.revoked_at = row.leaked_at = now()
    shown = (await tab(ada).send(OverviewState.load, zone="UTC")).of(OverviewState)
    assert [one.text for one in shown["attention"]] == ["The key “Laptop” was found in public, and revoked."]


async def test_ada_sees_what_her_calls_have_used_of_the_minute_and_mallory_sees_none_of_it(ada, mallory, tab):
    await admission.admit(Scripts(), await call_of(ada), 1_200, 0)
    shown = (await tab(ada).send(MinuteState.look)).of(MinuteState)
    assert (shown["requests"], shown["requests_limit"]) == (1, 10)
    assert (shown["tokens"], shown["tokens_limit"]) == (1_200, 100_000)
    assert 0 < shown["wait"] <= 60
    page = tab(mallory)
    await page.send(MinuteState.look)
    hers = await page.state(MinuteState)
    assert (hers.minute, hers.requests, hers.tokens) == ("ready", 0, 0)


async def test_looking_at_the_minute_uses_nothing_of_it(ada, tab):
    page = tab(ada)
    for _ in range(3):
        await page.send(MinuteState.look)
    assert await admission.used(Scripts(), ada.person.organization_id) == (0, 0, 0)


async def test_limits_that_cannot_be_read_are_said_to_be_so(ada, tab, monkeypatch):
    async def away(*_):
        raise admission.Unavailable

    monkeypatch.setattr(admission, "used", away)
    assert (await tab(ada).send(MinuteState.look)).of(MinuteState)["minute"] == "failed"


async def call_of(who):
    async with transaction() as tx:
        issued = await keys.issue(tx, who.person, NewKey(name="Server"))
        public_id = secret.public_id_of(issued.secret.reveal())
        return Call((await grants.load(tx, [public_id]))[public_id], "/v1/chat/completions")
