"""Staff edit what models are offered and what they cost; every process hears of it, and nothing of the past changes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cast import ADA, GRACE
from customers import customer
from pydantic import ValidationError
from sqlmodel import select

from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import TrailEntry
from assisters_app.billing import rating
from assisters_app.gateway import catalog, offering

CHAT, IMAGES, EMBED = "assisters-chat-v1", "assisters-image-v1", "assisters-embed-v1"
NEW = {
    "id": "assisters-chat-v2",
    "family": "chat",
    "title": "Chat, the next",
    "upstream_model": "big-chat",
    "context_tokens": 64_000,
    "max_output_tokens": 8_000,
}


@pytest.fixture
async def grace(stocked):
    return await customer(GRACE)


async def offered():
    async with transaction() as tx:
        return await catalog.offered(tx)


async def test_a_new_model_is_called_by_live_keys_once_it_has_a_price(grace):
    async with transaction() as tx:
        await offering.add(tx, grace, offering.Terms(**NEW))
    assert not (await offered())[NEW["id"]].for_sale
    async with transaction() as tx:
        await offering.price(tx, grace, NEW["id"], {"input": "0.15", "cached": "$0.05", "output": "1,000"}, None)
    offer = (await offered())[NEW["id"]]
    assert (offer.for_sale, offer.context_tokens, offer.upstream_model) == (True, 64_000, "big-chat")
    assert (offer.price.input, offer.price.cached, offer.price.output) == (150, 50, 1_000_000)


async def test_what_is_not_sold_by_tokens_is_priced_as_people_hear_it(grace):
    async with transaction() as tx:
        await offering.price(tx, grace, IMAGES, {"unit": "0.03"}, None)
        await offering.price(tx, grace, "assisters-whisper-v1", {"unit": "0.012"}, None)  # for a minute
        await offering.price(tx, grace, EMBED, {"input": "0.04"}, None)
    offers = await offered()
    assert (offers[IMAGES].price.unit, offers[IMAGES].price.per_unit) == ("image", 30_000_000)
    assert offers["assisters-whisper-v1"].price.per_unit == 200_000
    assert (offers[EMBED].price.input, offers[EMBED].price.cached, offers[EMBED].price.output) == (40, 40, 0)


async def test_a_price_to_come_is_announced_and_todays_stays_until_then(grace):
    tomorrow = clock.now() + timedelta(days=1)
    async with transaction() as tx:
        await offering.price(tx, grace, CHAT, {"input": "1", "cached": "1", "output": "2"}, tomorrow)
    async with transaction() as tx:
        assert (await rating.coming(tx))[CHAT].output == 2_000
        assert (await catalog.offered(tx))[CHAT].price.version == 1
        (chat,) = [one for one in await offering.listed(tx, grace) if one.model.id == CHAT]
    assert ([price.version for price in chat.prices], chat.in_force) == ([2, 1], 1)


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        ({"input": "cheap", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "-1", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "NaN", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "Infinity", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "1e30", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "0,10", "cached": "0", "output": "0"}, "price_unreadable"),  # as half the world writes ten cents
        ({"input": "1,50", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "1.000,50", "cached": "0", "output": "0"}, "price_unreadable"),
        ({"input": "0.10"}, "price_unreadable"),
        ({"input": "0.0001", "cached": "0", "output": "0"}, "price_too_fine"),
    ],
)
async def test_a_price_that_cannot_be_read_is_refused_and_the_old_one_stays(grace, amounts, code):
    async with transaction() as tx:
        with pytest.raises(Refused) as refused:
            await offering.price(tx, grace, CHAT, amounts, None)
    assert refused.value.code == code
    assert (await offered())[CHAT].price.version == 1


async def test_a_minute_that_would_cost_a_fraction_of_a_nano_dollar_a_second_is_refused(grace):
    async with transaction() as tx:
        with pytest.raises(Refused) as refused:
            await offering.price(tx, grace, "assisters-whisper-v1", {"unit": "0.000000001"}, None)
    assert refused.value.code == "price_too_fine"


async def test_a_retired_model_is_gone_from_the_list_and_comes_back_at_its_price(grace):
    async with transaction() as tx:
        await offering.retire(tx, grace, CHAT)
    assert CHAT not in await offered()
    async with transaction() as tx:
        await offering.offer_again(tx, grace, CHAT)
    assert (await offered())[CHAT].price.version == 1


async def test_what_a_model_does_never_changes_for_its_prices_rest_on_it(grace):
    async with transaction() as tx:
        await offering.change(
            tx,
            grace,
            offering.Terms(
                id=IMAGES,
                family="chat",
                title="Pictures",
                upstream_model="brush",
                context_tokens=5,
                max_output_tokens=5,
            ),
        )
    offer = (await offered())[IMAGES]
    assert (offer.family, offer.title, offer.upstream_model) == ("images", "Pictures", "brush")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"id": CHAT}, "model_exists"),
        ({"id": "../chat"}, "model_name"),
        ({"id": "Chat"}, "model_name"),
        ({"upstream": "nobody"}, "unknown_upstream"),
        ({"context_tokens": 0}, "tokens_missing"),
        ({"max_output_tokens": 0}, "tokens_missing"),
        ({"max_output_tokens": 64_001}, "tokens_missing"),
    ],
)
async def test_terms_that_cannot_be_are_refused_in_words(grace, wrong, code):
    async with transaction() as tx:
        with pytest.raises(Refused) as refused:
            await offering.add(tx, grace, offering.Terms(**{**NEW, **wrong}))
    assert refused.value.code == code


@pytest.mark.parametrize("wrong", [{"family": "magic"}, {"title": " "}, {"context_tokens": -1}, {"dimensions": 0}])
def test_terms_of_the_wrong_shape_are_no_terms(wrong):
    with pytest.raises(ValidationError):
        offering.Terms(**{**NEW, **wrong})


async def test_each_act_is_in_the_trail_with_what_changed(grace):
    async with transaction() as tx:
        await offering.add(tx, grace, offering.Terms(**NEW))
        await offering.change(tx, grace, offering.Terms(**{**NEW, "title": "Chat two"}))
        await offering.retire(tx, grace, NEW["id"])
    async with transaction() as tx:
        entries = (await tx.exec(select(TrailEntry).where(TrailEntry.actor_id == grace.account_id))).all()
    said = {entry.action: entry.details for entry in entries}
    assert said["model:changed"] == {"model": NEW["id"], "title": "Chat two"}
    assert {"model:added", "model:changed", "model:retired"} <= set(said)


@pytest.mark.parametrize("role", ["member", "support"])
async def test_only_admins_see_and_edit_models(grace, role):
    somebody = replace(await customer(ADA), role=role)
    async with transaction() as tx:
        for act in (
            offering.listed(tx, somebody),
            offering.add(tx, somebody, offering.Terms(**NEW)),
            offering.change(tx, somebody, offering.Terms(**{**NEW, "id": CHAT})),
            offering.retire(tx, somebody, CHAT),
            offering.offer_again(tx, somebody, CHAT),
            offering.price(tx, somebody, CHAT, {"input": "0", "cached": "0", "output": "0"}, None),
        ):
            with pytest.raises(NotFound):
                await act


async def test_a_browser_left_open_at_graces_desk_publishes_no_price(grace):
    old = replace(grace, reauthenticated_at=clock.now() - timedelta(minutes=11))
    async with transaction() as tx:
        for act in (
            offering.add(tx, old, offering.Terms(**NEW)),
            offering.change(tx, old, offering.Terms(**{**NEW, "id": CHAT})),
            offering.retire(tx, old, CHAT),
            offering.price(tx, old, CHAT, {"input": "0", "cached": "0", "output": "0"}, None),
        ):
            with pytest.raises(Refused) as refused:
                await act
            assert refused.value.code == "reauthenticate"
