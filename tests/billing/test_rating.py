"""Prices are versioned data, and rating is exact."""

from datetime import timedelta

import pytest
import sqlalchemy.exc
from cast import GRACE
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from assisters_app.base import clock, valkey
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.money import from_dollars
from assisters_app.billing import plans, rating
from assisters_app.billing.plans import ListPrice
from assisters_app.billing.tables import Price

CHAT = "assisters-chat-v1"
tokens = st.integers(0, 10**9)


async def test_a_million_tokens_cost_what_the_list_says(people):
    async with transaction() as tx:
        price = (await rating.prices(tx))[CHAT]
    assert rating.cost(price, 1_000_000, 0, 0) == from_dollars("0.10")
    assert rating.cost(price, 1_000_000, 1_000_000, 0) == from_dollars("0.05")
    assert rating.cost(price, 0, 0, 1_000_000) == from_dollars("0.40")
    assert rating.cost(price, 1, 0, 0) == 100


async def test_what_is_not_sold_by_tokens_costs_what_the_list_says(people):
    async with transaction() as tx:
        known = await rating.prices(tx)
    usual = {
        "assisters-image-v1": 1,
        "assisters-whisper-v1": 60,
        "assisters-tts-v1": 10**6,
        "assisters-rerank-v1": 1_000,
    }
    costs = {known[model].unit: rating.cost(known[model], 0, 0, 0, many) for model, many in usual.items()}
    dollars = {"image": "0.02", "second": "0.006", "character": "10", "document": "0.01"}
    assert costs == {unit: from_dollars(amount) for unit, amount in dollars.items()}


@given(st.lists(st.tuples(tokens, tokens, tokens), max_size=20))
def test_a_sum_of_costs_is_the_cost_of_the_sum(calls):
    price = rating.PriceVersion(CHAT, 1, plans.FIRST_DAY, 100, 50, 400)
    calls = [(max(fresh, cached), cached, output) for fresh, cached, output in calls]
    together = [sum(column) for column in zip(*calls, strict=True)] or [0, 0, 0]
    assert sum(rating.cost(price, *call) for call in calls) == rating.cost(price, *together)


async def test_first_prices_are_put_in_place_once(people):
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)
    async with transaction() as tx:
        assert len((await tx.exec(select(Price))).all()) == len(plans.FIRST_PRICES)
        assert set(await rating.prices(tx)) == {price.model for price in plans.FIRST_PRICES}


async def test_a_new_price_holds_from_its_day_on_and_the_old_one_stays_for_what_was_used_before(people):
    grace = await people(GRACE, "admin")
    tomorrow = clock.now() + timedelta(days=1)
    async with transaction() as tx:
        await rating.publish(tx, grace, ListPrice(CHAT, from_dollars("0.20"), 0, from_dollars("0.80")), tomorrow)
    async with transaction() as tx:
        today = (await rating.prices(tx))[CHAT]
        later = (await rating.prices(tx, tomorrow))[CHAT]
        known = await rating.versions(tx)
    assert (today.version, today.input, later.version, later.input) == (1, 100, 2, 200)
    assert known[CHAT, 1] == today
    assert known[CHAT, 2] == later


async def test_only_staff_publish_prices_never_back_dated_never_finer_than_a_nano_dollar_a_token(people, ada):
    grace = await people(GRACE, "admin")
    dear = ListPrice(CHAT, from_dollars("9"), 0, 0)
    async with transaction() as tx:
        with pytest.raises(NotFound):
            await rating.publish(tx, ada, dear)
        with pytest.raises(Refused, match="in the past"):
            await rating.publish(tx, grace, dear, clock.now() - timedelta(seconds=1))
        with pytest.raises(Refused, match=r"multiple of \$0\.001"):
            await rating.publish(tx, grace, ListPrice(CHAT, 1, 0, 0))
        with pytest.raises(Refused, match="what the unit is"):
            await rating.publish(tx, grace, ListPrice("assisters-image-v1", unit_nano=1))


async def test_the_database_too_refuses_a_price_that_would_have_to_be_rounded(people):
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="whole_nano_per_token"):
        async with transaction() as tx:
            tx.add(Price(model=CHAT, version=9, valid_from=clock.now(), input_nano_per_million=1))


async def test_the_database_too_refuses_a_price_for_a_unit_without_a_name(people):
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="unit_named"):
        async with transaction() as tx:
            tx.add(Price(model=CHAT, version=9, valid_from=clock.now(), unit_nano=1))


async def test_every_process_hears_of_a_new_price(people):
    grace = await people(GRACE, "admin")
    async with valkey.valkey().pubsub(ignore_subscribe_messages=True) as inbox:
        await inbox.subscribe(valkey.CHANNEL)
        await inbox.get_message(timeout=1)
        async with transaction() as tx:
            await rating.publish(tx, grace, ListPrice(CHAT, 0, 0, 0))
        assert (await inbox.get_message(timeout=5))["data"] == f"price:{CHAT}"


@pytest.mark.parametrize(
    ("cents", "bonus"),
    [(1_000, 0), (2_500, 0), (4_999, 0), (5_000, 250), (10_000, 1_000), (24_999, 2_499), (25_000, 3_750)],
)
def test_a_larger_top_up_adds_more(cents, bonus):
    assert plans.bonus_cents(cents) == bonus


def test_the_plans_are_the_public_tiers():
    limits = {p.id: (p.requests_per_minute, p.tokens_per_minute, p.from_paid_cents) for p in plans.PLANS.values()}
    assert limits == {
        "free": (10, 100_000, 0),
        "developer": (100, 1_000_000, 1_000),
        "startup": (500, 5_000_000, 25_000),
    }
