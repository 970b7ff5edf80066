"""The product behind a pooler of the database, as Supabase puts one there: by session, and by transaction."""

import asyncio
from uuid import uuid4

import pooler
import pytest
from cast import ADA, BOB
from customers import customer, key_of
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from assisters_app import doors, worker
from assisters_app.base import db, jobs, mail, settings
from assisters_app.base.db import transaction
from assisters_app.base.money import from_dollars
from assisters_app.base.settings import SettingsError
from assisters_app.billing import rating, wallet
from assisters_app.gateway import catalog, ingest
from assisters_app.gateway.calls import Call, Ending, Usage
from assisters_app.gateway.gate import Gate
from assisters_app.privacy.erasing import erasure, purge
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.usage.tables import UsageEvent

LETTERS = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'mail.deliver'"
LETTER = mail.Message("Hello", ("Hello Bob.",))


async def use(monkeypatch, address, how):
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setenv("DATABASE_POOLER", how)
    settings.settings.cache_clear()
    jobs.app.cache_clear()
    await db.dispose()


@pytest.fixture
async def by_transaction(house, monkeypatch):
    """Put a pooler by transaction before the database, with several connections of ours in it."""
    async with pooler.by_transaction(house.postgres) as (through, standing):
        await use(monkeypatch, through, "transaction")
        await asyncio.gather(*(seen() for _ in range(4)))
        yield standing
        await db.dispose()


async def seen(seconds=0.05):
    """Return what a transaction takes for its schema and its time zone, and on which connection."""
    async with transaction() as tx:
        await tx.sql(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
        asked = "SELECT current_schema(), current_setting('TimeZone'), pg_backend_pid()"
        return tuple((await tx.sql(text(asked))).one())


async def test_each_transaction_sees_our_schema_on_whatever_connection_it_comes(by_transaction):
    found = [await seen(0) for _ in range(6)]
    assert {one[:2] for one in found} == {("assisters", "UTC")}
    assert len({pid for _, _, pid in found}) > 1
    assert by_transaction.moves > 2
    assert by_transaction.refused == 0


async def test_ada_signs_up_calls_is_charged_and_leaves_behind_a_pooler(by_transaction):
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
        await rating.ensure_first_prices(tx)
    ada, _ = await asyncio.gather(customer(ADA), customer(BOB))
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, from_dollars("1"), "gift")
    _, _, key = await key_of(ada)
    gate = Gate()
    await gate.open()
    try:
        grant = await gate.enter(key)
        for _ in range(3):
            offer = gate.offer("assisters-chat-v1", "chat")
            call = Call(grant, "/v1/chat/completions", model=offer.id, price=offer.price, request_id=uuid4())
            await gate.keeper.admit(call, 10, 5_000)
            await gate.keeper.settle(call, Ending("completed", 200, Usage(5, 5)))
    finally:
        await gate.close()
    assert await ingest.run_once() == 3
    async with transaction() as tx:
        assert len((await tx.exec(select(UsageEvent))).all()) == 3
        await mail.send(tx, BOB, LETTER)  # a job, in this very transaction
    assert await doors.unlocked()
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    async with transaction() as tx:
        closing = (await tx.exec(select(Erasure.id))).one()
    await purge.carry_out(str(closing))
    async with db.snapshot() as tx:
        left = (await tx.sql(text("SELECT count(*) FROM account"))).scalar_one()
        waiting = (await tx.sql(text(LETTERS))).scalar_one()
    assert left == 1  # Bob
    assert waiting > 0
    assert by_transaction.moves > 10


async def test_whoever_does_not_say_that_a_pooler_stands_there_is_not_let_in(by_transaction, monkeypatch):
    await use(monkeypatch, settings.settings().database_url, "none")
    with pytest.raises(OperationalError, match="unsupported startup parameter: options"):
        await seen(0)
    assert by_transaction.refused > 0


async def test_the_worker_says_that_it_needs_a_session(by_transaction):
    with pytest.raises(SettingsError, match="needs a session"):
        worker.main()


async def test_behind_a_pooler_by_session_the_queue_works_too(house, monkeypatch):
    await use(monkeypatch, house.postgres, "session")
    assert (await seen(0))[:2] == ("assisters", "UTC")
    ran = asyncio.Event()

    async def ring(mail_id):
        ran.set()

    monkeypatch.setitem(jobs._jobs, "mail.deliver", jobs.Job("mail.deliver", ring, 1, None))
    jobs.app.cache_clear()
    async with transaction() as tx:
        await mail.send(tx, BOB, LETTER)
    await jobs.run_waiting()
    assert ran.is_set()


@pytest.mark.parametrize(
    ("address", "how"),
    [
        ("postgresql://u:p@db.abcdefgh.supabase.co:5432/postgres", "none"),
        ("postgresql://u.abcdefgh:p@aws-0-eu-central-1.pooler.supabase.com:5432/postgres", "session"),
        ("postgresql://u.abcdefgh:p@aws-0-eu-central-1.pooler.supabase.com:6543/postgres", "transaction"),
    ],
)
def test_a_pooler_of_supabases_is_known_by_its_address(address, how):
    given = {"ASSISTERS_ENV": "production", "PUBLIC_URL": "https://assisters.example", "DATABASE_URL": address,
             "REDIS_URL": "rediss://x", "SMTP_URL": "smtp://x", "ASSISTERS_PEPPER": "YQ" * 32}  # fmt: skip
    assert settings.read_settings(given).database_pooler == how
    with pytest.raises(SettingsError, match="it is 'none', 'session' or 'transaction'"):
        settings.read_settings({**given, "DATABASE_POOLER": "maybe"})
