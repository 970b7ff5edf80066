"""Ada makes keys, changes their secrets and ends them; Mallory gets nowhere with what is hers."""

import asyncio
from datetime import timedelta

import pytest
from cast import ADA, MALLORY
from customers import customer, key_of
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import text
from sqlmodel import select

from assisters_app.base import clock, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import TrailEntry
from assisters_app.keys import keys, secret
from assisters_app.keys.keys import NewKey
from assisters_app.keys.tables import ApiKey


async def do(act, *args, **words):
    async with transaction() as tx:
        return await act(tx, *args, **words)


async def row(handle):
    async with transaction() as tx:
        return (await tx.exec(select(ApiKey).where(ApiKey.handle == handle))).one()


@pytest.mark.promise("5.3")
async def test_ada_sees_a_new_key_once(house):
    ada = await customer()
    issued = await do(keys.issue, ada, NewKey(name=" Laptop "))
    shown = issued.secret.reveal()
    assert shown.startswith("ask_")
    assert secret.public_id_of(shown) == (await row(issued.key.handle)).public_id
    [listed] = await do(keys.live, ada)
    assert listed == issued.key
    assert (listed.name, listed.mode, listed.last_used_at) == ("Laptop", "live", None)
    assert shown not in repr(issued) + repr(listed)


@pytest.mark.promise("5.3")
async def test_a_dump_of_the_database_holds_no_key(house):
    ada = await customer()
    _, _, shown = await key_of(ada)
    async with transaction() as tx:
        both = text("SELECT to_jsonb(k)::text FROM api_key k UNION ALL SELECT to_jsonb(t)::text FROM trail_entry t")
        dump = "".join((await (await tx.connection()).execute(both)).scalars())
    assert shown[:12] in dump
    assert shown[16:] not in dump
    assert shown[16:59] not in dump


async def test_only_the_very_key_matches_what_is_stored(house):
    ada = await customer()
    _, handle, shown = await key_of(ada)
    stored = (await row(handle)).digest
    assert secret.matches(shown, stored)
    assert not secret.matches(secret.new_secret(secret.public_id_of(shown)).reveal(), stored)


@given(some.integers(4, 64), some.sampled_from(secret.ALPHABET))
def test_a_typing_error_is_found_without_looking_anything_up(place, letter):
    good = secret.new_secret(secret.new_public_id()).reveal()
    wrong = good[:place] + letter + good[place + 1 :]
    assert (secret.public_id_of(wrong) is None) == (wrong != good)


@pytest.mark.parametrize("text", ["", "ask_", "sk-abc", "ask_" + "0" * 61, "ask_" + "é" * 61, "x" * 10_000])
def test_what_is_not_a_key_has_no_public_id(text):
    assert secret.public_id_of(text) is None


async def test_ada_may_have_ten_live_keys_even_when_she_asks_for_all_at_once(house):
    ada = await customer()
    answers = await asyncio.gather(
        *(do(keys.issue, ada, NewKey(name=f"Key {n}")) for n in range(12)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [one.code for one in refused] == ["too_many_keys"] * 2
    assert len(await do(keys.live, ada)) == keys.MOST_LIVE
    await do(keys.revoke, ada, (await do(keys.live, ada))[0].handle)
    await do(keys.issue, ada, NewKey(name="Room again"))


async def test_mallory_cannot_see_or_touch_adas_key(house):
    ada, mallory = await customer(ADA), await customer(MALLORY)
    _, handle, _ = await key_of(ada)
    assert await do(keys.live, mallory) == []
    for act in (keys.one, keys.rotate, keys.revoke):
        with pytest.raises(NotFound) as refusal:
            await do(act, mallory, handle)
        assert str(refusal.value) == "That key does not exist."
    with pytest.raises(NotFound):
        await do(keys.rename, mallory, handle, "Mine")
    assert (await do(keys.one, ada, handle)).revoked_at is None


async def test_a_rotated_key_keeps_its_handle_and_its_old_secret_for_a_day(house):
    ada = await customer()
    _, handle, before = await key_of(ada)
    at = now()
    with clock.frozen(at):
        issued = await do(keys.rotate, ada, handle)
    kept = await row(handle)
    assert issued.key.handle == handle
    assert issued.secret.reveal() != before
    assert issued.secret.reveal()[:16] == before[:16]
    assert secret.matches(issued.secret.reveal(), kept.digest)
    assert secret.matches(before, kept.previous_digest)
    assert kept.previous_until == at + keys.GRACE
    with clock.frozen(at + keys.GRACE):
        assert (await do(keys.one, ada, handle)).old_secret_until is None


async def test_a_rotation_without_grace_ends_the_old_secret_at_once(house):
    ada = await customer()
    _, handle, _ = await key_of(ada)
    await do(keys.rotate, ada, handle, timedelta())
    kept = await row(handle)
    assert (kept.previous_digest, kept.previous_until) == (None, None)


@pytest.mark.parametrize("grace", [timedelta(days=-1), timedelta(days=31)])
async def test_the_old_secret_does_not_live_on_for_ever(house, grace):
    ada = await customer()
    _, handle, _ = await key_of(ada)
    with pytest.raises(Refused) as refusal:
        await do(keys.rotate, ada, handle, grace)
    assert refusal.value.code == "grace_out_of_range"


async def test_a_revoked_key_is_listed_as_ended_and_stays_revoked(house):
    ada = await customer()
    _, handle, _ = await key_of(ada)
    first = await do(keys.revoke, ada, handle)
    again = await do(keys.revoke, ada, handle)
    assert first.revoked_at == again.revoked_at is not None
    assert await do(keys.live, ada) == []
    assert [one.handle for one in await do(keys.ended, ada)] == [handle]
    with pytest.raises(Refused) as refusal:
        await do(keys.rotate, ada, handle)
    assert refusal.value.code == "key_ended"


async def rotate_and_fail(tx, person, handle):
    await keys.rotate(tx, person, handle)
    await keys.rotate(tx, person, "key_NOBODYS")


async def test_every_worker_hears_of_a_revocation_but_not_of_one_that_was_rolled_back(house):
    ada = await customer()
    _, handle, shown = await key_of(ada)
    async with valkey.valkey().pubsub(ignore_subscribe_messages=True) as inbox:
        await inbox.subscribe(valkey.CHANNEL)
        await inbox.get_message(timeout=1)
        with pytest.raises(NotFound):
            await do(rotate_and_fail, ada, handle)
        await do(keys.revoke, ada, handle)
        heard = await inbox.get_message(timeout=5)
        assert heard["data"] == f"key:{secret.public_id_of(shown)}"
        assert await inbox.get_message(timeout=0) is None


async def test_all_keys_of_a_closed_account_end_together(house):
    ada, mallory = await customer(ADA), await customer(MALLORY)
    for _ in range(3):
        await key_of(ada)
    await key_of(mallory)
    ending = {"account_id": ada.account_id, "actor_id": None}
    assert await do(keys.revoke_all, ada.organization_id, **ending) == 3
    assert await do(keys.live, ada) == []
    assert len(await do(keys.live, mallory)) == 1


async def test_an_expired_key_makes_room_and_cannot_be_made_in_the_past(house):
    ada = await customer()
    ending = now() + timedelta(hours=1)
    issued = await do(keys.issue, ada, NewKey(name="Trial", expires_at=ending))
    with clock.frozen(ending):
        assert await do(keys.live, ada) == []
        assert [one.handle for one in await do(keys.ended, ada)] == [issued.key.handle]
    with pytest.raises(Refused):
        await do(keys.issue, ada, NewKey(name="Late", expires_at=now()))


async def test_last_used_moves_forward_only(house):
    ada = await customer()
    key_id, handle, _ = await key_of(ada)
    at = now()
    await do(keys.note_use, {key_id: at})
    await do(keys.note_use, {key_id: at - timedelta(minutes=1)})
    await do(keys.note_use, {})
    assert (await do(keys.one, ada, handle)).last_used_at == at


async def test_what_ada_does_with_keys_is_in_her_trail(house):
    ada = await customer()
    _, handle, _ = await key_of(ada)
    await do(keys.rename, ada, handle, "Server")
    await do(keys.rotate, ada, handle)
    await do(keys.revoke, ada, handle)
    async with transaction() as tx:
        entries = (await tx.exec(select(TrailEntry).order_by(TrailEntry.id))).all()
    assert [(one.action, one.details) for one in entries] == [
        (f"key:{done}", {"key": handle}) for done in ("issued", "renamed", "rotated", "revoked")
    ]
