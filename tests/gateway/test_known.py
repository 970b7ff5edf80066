"""What a process remembers is never older than a second, and outlives a database that is down."""

import asyncio
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from cast import ADA, GRACE
from customers import customer, key_of
from sqlmodel import select
from staleness import once

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import clock, db, settings, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.money import from_dollars
from assisters_app.billing import rating, wallet
from assisters_app.billing.plans import ListPrice
from assisters_app.gateway import admission, catalog, grants, known
from assisters_app.gateway.admission import Unavailable
from assisters_app.gateway.gate import Gate
from assisters_app.gateway.scripts import Keys
from assisters_app.keys import keys, secret

PATIENCE = timedelta(seconds=20)  # for what comes at once: a machine that does other things besides is not a failure


@pytest.fixture
def nobody_looks(monkeypatch):
    """Have no process look by itself; named before `gate`, which begins to."""
    monkeypatch.setattr(known, "REFRESH", 1_000)


@pytest.fixture
async def gate(stocked):
    opened = Gate()
    await opened.open()
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while await valkey.valkey().pubsub_numsub(valkey.CHANNEL) != [(valkey.CHANNEL, 1)]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    yield opened
    await opened.close()


async def turned_away(gate, key, bound=known.STALENESS):
    """Wait until the key is refused, for no longer than the bound."""

    async def ask():
        try:
            await gate.enter(key)
        except admission.Refused as refused:
            return refused.code

    return await once(bool, ask, bound)


async def revoke(person, handle):
    async with transaction() as tx:
        await keys.revoke(tx, person, handle)


async def test_a_revocation_that_is_pushed_is_heard_at_once(ada, nobody_looks, gate, monkeypatch):
    monkeypatch.setattr(known.Known, "slept", False)  # nothing but the push can tell
    _, handle, key = await key_of(ada)
    await gate.enter(key)
    await revoke(ada, handle)
    assert await turned_away(gate, key, PATIENCE) == "invalid_api_key"


async def test_a_process_that_was_paused_reads_again_before_it_lets_anybody_in(ada, gate, monkeypatch):
    async def lost(*_):
        return None

    _, handle, key = await key_of(ada)
    await gate.enter(key)
    for task in gate.known._tasks:  # neither looks nor hears, as in a machine that sleeps
        task.cancel()
    monkeypatch.setattr(valkey, "announce", lost)
    await revoke(ada, handle)
    gate.known._read_at -= 60
    with pytest.raises(admission.Refused) as refused:
        await gate.enter(key)
    assert refused.value.code == "invalid_api_key"


async def test_a_process_that_was_paused_goes_on_with_what_it_knew_while_the_database_is_down(ada, gate, monkeypatch):
    _, _, key = await key_of(ada)
    await gate.enter(key)
    for task in gate.known._tasks:
        task.cancel()
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    settings.settings.cache_clear()
    await db.dispose()
    gate.known._read_at -= 60
    assert (await gate.enter(key)).organization_id == ada.organization_id
    assert not gate.known.slept  # and nobody waits for it a second time


async def test_a_revocation_whose_push_was_lost_is_seen_within_a_second(ada, gate, monkeypatch):
    async def lost(*_):
        return None

    monkeypatch.setattr(valkey, "announce", lost)
    _, handle, key = await key_of(ada)
    await gate.enter(key)
    await revoke(ada, handle)
    await gate.enter(key)
    assert await turned_away(gate, key) == "invalid_api_key"


async def test_what_is_known_is_as_old_as_the_moment_in_which_its_reading_began(nobody_looks, gate, monkeypatch):
    wall, offered = [time.time()], catalog.offered

    async def slowly(tx):
        wall[0] += known.STALENESS.total_seconds() + 0.1
        return await offered(tx)

    monkeypatch.setattr(known, "time", SimpleNamespace(time=lambda: wall[0], monotonic=time.monotonic))
    monkeypatch.setattr(catalog, "offered", slowly)
    gate.known.forget()
    await gate.known.refresh()
    assert gate.known.slept


async def test_a_suspension_is_seen_within_a_second_though_nobody_announces_it(ada, gate):
    _, _, key = await key_of(ada)
    await gate.enter(key)
    async with transaction() as tx:
        (await tx.exec(select(Account).where(Account.email == ADA))).one().suspended_at = now()
    assert await turned_away(gate, key) == "account_suspended"


async def test_a_key_asked_for_before_it_exists_works_once_it_does(ada, gate, monkeypatch):
    public_id = secret.new_public_id()
    coming = secret.new_secret(public_id)
    with pytest.raises(admission.Refused):
        await gate.enter(coming.reveal())
    monkeypatch.setattr(secret, "new_public_id", lambda: public_id)
    monkeypatch.setattr(secret, "new_secret", lambda _: coming)
    await key_of(ada)
    await once(bool, lambda: gate._grant(public_id))
    assert (await gate.enter(coming.reveal())).organization_id == ada.organization_id


async def test_while_the_database_is_down_known_keys_go_on_and_unknown_ones_wait(ada, gate, monkeypatch):
    _, _, key = await key_of(ada)
    _, _, unknown = await key_of(ada)
    await gate.enter(key)
    await db.dispose()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    settings.settings.cache_clear()
    with pytest.raises(Unavailable):
        await gate.enter(unknown)
    await gate.known._refresh_quietly()
    assert (await gate.enter(key)).organization_id == ada.organization_id
    assert "assisters-chat-v1" in gate.known.offers
    await db.dispose()


async def test_a_top_up_can_be_spent_as_soon_as_it_is_announced(ada, gate, calls, monkeypatch):
    monkeypatch.setattr(admission, "_may_look_again", lambda _: False)
    await admission.admit(gate.scripts, calls(), 1, 1)
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, from_dollars("5"), "top-up")
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while await ledger_of(ada) != from_dollars("6"):  # noqa: ASYNC110 (it is in Valkey; no event tells us)
            await asyncio.sleep(0.01)
    await admission.admit(gate.scripts, calls(), 1, from_dollars("5"))


async def ledger_of(person):
    return int(await valkey.valkey().hget(Keys.of(person.organization_id).wallet, "ledger"))


async def test_who_has_never_reached_the_database_does_not_say_that_a_model_does_not_exist(house):
    with pytest.raises(Unavailable):
        Gate().offer("assisters-chat-v1", "chat")


async def test_what_has_not_changed_is_not_read_again(ada, nobody_looks, gate, monkeypatch):
    _, _, key = await key_of(ada)
    mine = await gate.enter(key)
    await gate.known.refresh()  # what was looked up is read once more: its mark is not known yet

    async def note_use():
        async with transaction() as tx:
            await keys.note_use(tx, {mine.key_id: now()})

    read = []
    loads = grants.load, catalog.offered
    monkeypatch.setattr(grants, "load", lambda tx, those: read.append(list(those)) or loads[0](tx, those))
    monkeypatch.setattr(catalog, "offered", lambda tx: read.append("models") or loads[1](tx))
    await gate.known.refresh()
    await note_use()
    await gate.known.refresh()
    assert read == []
    async with transaction() as tx:
        (await tx.exec(select(Organization).where(Organization.id == ada.organization_id))).one().spend_cap_nano = 7
    await gate.known.refresh()
    assert read == [[mine.public_id]]
    assert (await gate.enter(key)).spend_cap == 7


async def test_a_price_that_begins_is_known_though_nobody_writes_anything_then(nobody_looks, gate):
    begins, grace = now() + timedelta(hours=1), await customer(GRACE)
    async with transaction() as tx:
        await rating.publish(tx, grace, ListPrice("assisters-chat-v1", 500_000_000, 0, 0), begins)
    await gate.known.refresh()
    before = gate.known.offers["assisters-chat-v1"].price
    with clock.frozen(begins + timedelta(seconds=1)):
        await gate.known.refresh()
    assert (before.version, gate.known.offers["assisters-chat-v1"].price.version) == (1, 2)
