"""The canary against the running product: she comes back, and one stray copy of her word is enough to lose her."""

import asyncio
import time
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg
import pytest
from product import Product

from assisters_app.base import db, settings, valkey
from assisters_app.base.db import transaction
from assisters_app.privacy import canary
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.registers.tables import CanaryRun

STRAY = """
CREATE TABLE assisters.stray (word text);
CREATE FUNCTION assisters.stray_copy() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO assisters.stray VALUES (NEW.name); RETURN NEW; END $$;
CREATE TRIGGER stray_copy AFTER UPDATE ON assisters.account FOR EACH ROW EXECUTE FUNCTION assisters.stray_copy();
"""
CLEAN = "DROP TRIGGER stray_copy ON assisters.account; DROP FUNCTION assisters.stray_copy; DROP TABLE assisters.stray;"


@contextmanager
def a_table_that_nobody_declared(product: Product):
    """Have the database copy every name into a table that no mark speaks of."""
    with psycopg.connect(product.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(STRAY)
        try:
            yield
        finally:
            connection.execute(CLEAN)


def nothing_else_is_awaited(monkeypatch):
    """Let the time for what is on its way be over as soon as all of that is gone, however long it takes."""
    look, over = canary._traces, [0.0]

    async def traces(one):
        found = await look(one)
        if {trace.place for trace in found} == {"assisters.stray"}:
            over[0] += canary.LINGERING
        return found

    monkeypatch.setattr(canary, "_traces", traces)
    monkeypatch.setattr(canary, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + over[0]))


async def flown():
    try:
        flight = await canary.fly()
        async with transaction() as tx:
            try:
                said = await canary.the_canary_returned(tx)
            except Broken as broken:
                said = f"Broken: {broken}"
        return flight, said
    finally:
        await db.dispose()
        await valkey.close()


@pytest.mark.browser
@pytest.mark.promise("1.2", "1.9", "4.1", "6.1", "6.3", "6.4", "11.1", "11.2", "11.3")
@pytest.mark.timeout(600)
def test_the_canary_comes_back_and_one_stray_copy_of_her_word_loses_her(product: Product, monkeypatch):
    for name, value in product.env.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    flight, said = asyncio.run(flown())
    assert flight.state == "returned", flight
    assert "nothing of her was found anywhere" in said
    assert len(flight.steps) >= 13

    nothing_else_is_awaited(monkeypatch)
    with a_table_that_nobody_declared(product):
        flight, said = asyncio.run(flown())
    found = "Something of her was found in assisters.stray (backup), assisters.stray (database)."
    assert (flight.state, flight.says) == ("lost", found)
    assert said == f"Broken: {flight.says}"
    settings.settings.cache_clear()


def test_what_is_written_down_of_a_flight_holds_no_word_of_hers():
    assert {column.name for column in CanaryRun.__table__.columns} == {
        "id", "begun_at", "ended_at", "state", "says", "steps",
    }  # fmt: skip
