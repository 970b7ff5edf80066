"""Card numbers, claimed addresses and keys: what is never kept, and how it would show if it were."""

import json
import logging

import pytest
from cast import ADA
from checking import broken, found
from customers import customer, key_of
from markers import everything
from sqlalchemy import text

from assisters_app.accounts import organizations, profile
from assisters_app.accounts.client import client_of
from assisters_app.base import cards, log, settings
from assisters_app.base.db import transaction
from assisters_app.keys import keys
from assisters_app.privacy import inventory
from assisters_app.privacy.checks import custody

VISA, AMEX = "4242 4242 4242 4242", "378282246310005"


@pytest.mark.promise("1.3")
@pytest.mark.parametrize(
    ("typed", "kept"),
    [(VISA, "[card number]"), (AMEX, "[card number]"), ("use 5555-5555-5555-4444 now", "use [card number] now"),
     ("4242 4242 4242 4241", "4242 4242 4242 4241"), ("order 1234567890123", "order 1234567890123"),
     ("key4242424242424242x", "key4242424242424242x"), ("Ada", "Ada")],
)  # fmt: skip
def test_a_card_number_is_told_from_other_numbers(typed, kept):
    assert cards.taken_out(typed) == kept


@pytest.mark.promise("1.3")
async def test_a_card_number_typed_into_any_field_is_in_no_table_and_no_log(house):
    ada = await customer(ADA)
    async with transaction() as tx:
        await profile.correct(tx, ada, f"Ada {VISA}", "UTC")
        await organizations.rename(tx, ada, f"Engines {AMEX}")
        await keys.issue(tx, ada, keys.NewKey(name=VISA))
    async with transaction() as tx:
        dump = str(await everything(tx))
    assert VISA not in dump
    assert AMEX not in dump
    assert "Ada [card number]" in dump
    assert VISA not in client_of("127.0.0.1", "", f"Browser {VISA}").user_agent
    line = log._Lines().format(logging.LogRecord("t", logging.INFO, "f", 1, "it said %s", (VISA,), None))
    assert json.loads(line)["says"] == "it said [card number]"


@pytest.mark.promise("1.3")
async def test_a_column_for_cards_would_show(house, monkeypatch):
    assert "none of them for cards" in await found(custody.no_card_is_kept)
    column = inventory.tables.metadata.tables["account"].c["name"]
    monkeypatch.setattr(column, "name", "card_number")
    assert "looks like a place for cards" in await broken(custody.no_card_is_kept)


@pytest.mark.promise("1.7")
async def test_a_stranger_who_is_believed_or_an_old_address_that_is_whole_would_show(house, monkeypatch):
    assert "changed nothing" in await found(custody.claimed_addresses_are_not_believed)
    monkeypatch.setenv("TRUSTED_PROXIES", "0.0.0.0/0")
    settings.settings.cache_clear()
    assert "is believed" in await broken(custody.claimed_addresses_are_not_believed)
    monkeypatch.setenv("TRUSTED_PROXIES", "::/0")
    settings.settings.cache_clear()
    assert "Every address is trusted" in await broken(custody.claimed_addresses_are_not_believed)


@pytest.mark.promise("5.3")
async def test_a_key_that_is_stored_as_it_is_would_show(house):
    ada = await customer(ADA)
    _, _, shown = await key_of(ada)
    assert await found(custody.keys_are_hashes) == "1 keys, each a hash"
    async with transaction() as tx:
        await tx.sql(text("UPDATE api_key SET digest = :shown"), {"shown": shown[:64]})
    assert await broken(custody.keys_are_hashes) == "Of 1 keys more is stored than a hash and a beginning."
