"""Grace edits models and prices on their page; support and customers are told of no such page."""

import re

import pytest
from cast import GRACE

from assisters_app.base.db import transaction
from assisters_app.gateway import catalog
from assisters_app.ui import price_list
from assisters_app.ui.price_list import PricesState
from assisters_app.ui.staff import models
from assisters_app.ui.staff.models import ModelsState

CHAT = "assisters-chat-v1"
NEW = {
    "id": "assisters-chat-v2",
    "family": "chat",
    "title": "Chat, the next",
    "upstream": "",
    "upstream_model": "big-chat",
    "context_tokens": "64000",
    "max_output_tokens": "8000",
    "dimensions": "",
}


@pytest.fixture
async def page(signs_in, tab):
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
    opened = tab(await signs_in(GRACE, role="admin"))
    await opened.send(ModelsState.load)
    return opened


def row(shown, model):
    return next(one for one in shown.of(ModelsState)["rows"] if one.id == model)


async def test_grace_adds_a_model_prices_it_and_everyone_sees_the_price(page, tab):
    shown = await page.send(ModelsState.add, sent=NEW)
    assert (row(shown, NEW["id"]).price, row(shown, NEW["id"]).sold_by) == ("", "chat")
    await page.send(ModelsState.ask, dialog="price", handle=NEW["id"])
    shown = await page.send(
        ModelsState.publish, sent={"input": "0.15", "cached": "0.05", "output": "0.60", "begins": ""}
    )
    assert shown.said() == "The price is published."
    assert row(shown, NEW["id"]).price == "$0.15 input, $0.05 cached, $0.60 output"
    everyone = (await tab().send(PricesState.load)).of(PricesState)["rows"]
    assert next(one.output for one in everyone if one.model == NEW["id"]) == "$0.60"


async def test_a_price_to_come_stands_on_the_public_list_beside_todays(page, tab):
    await page.send(ModelsState.ask, dialog="price", handle=CHAT)
    later = {"input": "1", "cached": "1", "output": "2", "begins": "2999-01-01T00:00"}
    shown = await page.send(ModelsState.publish, sent=later)
    assert [line.state for line in row(shown, CHAT).prices] == ["to come", "in force"]
    listed = next(one for one in (await tab().send(PricesState.load)).of(PricesState)["rows"] if one.model == CHAT)
    assert (listed.output, listed.coming) == ("$0.40", "$1.00 input, $1.00 cached, $2.00 output")


async def test_a_retired_model_leaves_the_public_list(page, tab):
    await page.send(ModelsState.ask, dialog="retire", handle=CHAT)
    shown = await page.send(ModelsState.retire, sent={})
    assert row(shown, CHAT).retired
    assert CHAT not in {one.model for one in (await tab().send(PricesState.load)).of(PricesState)["rows"]}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"context_tokens": "many"}, "Please look again at: context tokens."),
        ({"id": "Not A Name"}, "A model's name has small letters, digits, dots and hyphens, at most 64."),
    ],
)
async def test_what_is_wrong_is_said_in_the_dialog(page, wrong, said):
    await page.send(ModelsState.ask, dialog="add", handle="")
    shown = await page.send(ModelsState.add, sent={**NEW, **wrong})
    assert shown.of(ModelsState)["problem"] == said


@pytest.mark.parametrize("role", ["member", "support"])
async def test_nobody_but_an_admin_learns_that_there_is_such_a_page(page, signs_in, tab, role):
    other = tab(await signs_in("other@example.com", role=role))
    for handler, args in (
        (ModelsState.load, {}),
        (ModelsState.add, {"sent": NEW}),
        (ModelsState.offer_again, {"model": CHAT}),
    ):
        assert "rows" not in (await other.send(handler, **args)).of(ModelsState)
    async with transaction() as tx:
        assert NEW["id"] not in await catalog.offered(tx)


def test_a_price_that_is_to_come_says_the_hour_for_it_begins_on_another_day_west_of_greenwich():
    for drawn, field in ((str(price_list.price_list()), "coming_at"), (str(models.page()), "begins")):
        [told] = [part for part in re.findall(r"LocalTime,\{.*?\}", drawn) if f'"{field}"' in part]
        assert 'kind:"datetime"' in told
