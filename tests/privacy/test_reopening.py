"""The resurrection guard: a restored database lets nobody in before whoever was erased since is erased again."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import databases
import httpx
import pytest
from cast import ADA, BOB
from customers import customer, key_of
from databases import let_go
from farewells import erased
from markers import everything, fill
from sqlalchemy import text
from sqlmodel import select

from assisters_app import asgi, doors
from assisters_app.accounts import sessions
from assisters_app.accounts.client import Client
from assisters_app.accounts.tables import Account, Session
from assisters_app.base import jobs, settings
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy.choices import consents, opting_out
from assisters_app.privacy.erasing import erasure, ledger, purge, receipts, remembering, reopening, stamp
from assisters_app.privacy.erasing.ledger import LedgerError
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.keeping.training import training_export
from assisters_app.privacy.policies import handing_over
from assisters_app.privacy.rights.tables import PrivacyRequest

pytestmark = pytest.mark.usefixtures("mail_waits")

HERE = Client("192.0.2.7", "Firefox")
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
async def backup(servers, house, monkeypatch):
    """Copy the database as it is; what is returned puts the product on the copy, as a restore would."""
    made = []

    async def copy():
        await let_go()
        name = f"copy_{os.getpid()}_{len(made)}"
        made.append(name)
        address = await asyncio.to_thread(databases.create, servers.postgres, name, house.postgres.rpartition("/")[2])

        async def restore():
            await let_go()
            monkeypatch.setenv("DATABASE_URL", address)
            settings.settings.cache_clear()

        return restore

    yield copy
    await let_go()
    for name in made:
        await asyncio.to_thread(databases.drop, servers.postgres, name)


async def ask(act, person):
    async with transaction() as tx:
        return await act(tx, person)


async def is_open():
    async with transaction() as tx:
        return await stamp.is_open(tx)


async def back():
    async with transaction() as tx:
        return await reopening.back(tx)


async def all_of(model):
    async with transaction() as tx:
        return list((await tx.exec(select(model))).all())


async def addresses():
    return sorted(one.email for one in await all_of(Account))


@pytest.mark.promise("4.1", "6.3")
async def test_a_restored_database_is_shut_until_whoever_was_erased_since_is_erased_again(
    ada, bob, payments_on, backup
):
    async with transaction() as tx:
        hers = await fill(tx, ada, other=bob.account_id)
    await reopening.reopen()
    restore = await backup()
    closing = await erased(ada)
    async with transaction() as tx:
        before = await receipts.shown(tx, closing.receipt)
    assert await is_open()
    await restore()
    assert await addresses() == [ADA, BOB]
    assert not await is_open()
    assert await back() == 2  # her account and her organization
    done = await reopening.reopen()
    assert (done.restored, done.erased, done.receipts) == (True, 1, 1)
    assert await is_open()
    assert await back() == 0
    assert await addresses() == [BOB]
    async with transaction() as tx:
        assert await receipts.shown(tx, closing.receipt) == before  # the one that she has
        assert receipts.verify_chain(await receipts.chain(tx)) == 1
        dump = await everything(tx)
    whole = "\n".join(row for rows in dump.values() for row in rows)
    for marker in hers.markers:
        about_bob = marker.whose != ada.account_id
        kept = marker.declared_kept or (about_bob and marker.rows.on_erase != "delete")
        assert (marker.text in whole) == kept, marker.name
    assert ADA not in whole
    assert str(ada.account_id) not in whole
    (request,) = [one for one in await all_of(PrivacyRequest) if one.kind == "deletion"]
    assert (request.state, closing.receipt in request.outcome) == ("done", True)


async def test_nobody_is_told_twice_that_they_were_erased(ada, backup):
    restore = await backup()
    await erased(ada)
    await restore()
    await reopening.reopen()
    assert [one.subject for one in await all_of(OutgoingMail) if "erased" in one.subject] == []


async def test_killed_in_the_middle_it_stays_shut_and_the_next_start_finishes_it(ada, bob, backup, monkeypatch):
    restore = await backup()
    await erased(ada)
    await erased(bob)
    await restore()
    real = purge.carry_out

    async def dies(erasure_id, *, reopening):
        monkeypatch.setattr(purge, "carry_out", real)
        raise ConnectionError("The worker was killed.")

    monkeypatch.setattr(purge, "carry_out", dies)
    with pytest.raises(ConnectionError):
        await reopening.reopen()
    assert not await is_open()
    await reopening.reopen()
    assert await is_open()
    assert await addresses() == []
    assert await back() == 0


async def test_an_erasure_that_had_only_begun_is_finished_and_gets_its_first_receipt(ada, backup, monkeypatch):
    restore = await backup()
    closing = await ask(erasure.erase_now, ada)

    async def dies(*_):
        raise ConnectionError("The worker was killed.")

    with monkeypatch.context() as patch:
        patch.setattr(purge, "_empty", dies)
        with pytest.raises(ConnectionError):
            await purge.carry_out(str((await all_of(Erasure))[0].id))
    await restore()
    await reopening.reopen()
    async with transaction() as tx:
        assert (await receipts.shown(tx, closing.receipt)).number == 1
    assert [one.subject for one in await all_of(OutgoingMail) if one.to_email == ADA] == [
        "Your account has been erased"
    ]


async def test_a_closing_asked_for_since_the_backup_keeps_its_dates_and_its_keys_stay_dead(house, backup):
    with frozen(START) as move:
        ada = await customer(ADA)
        await key_of(ada)
        restore = await backup()
        move(START + timedelta(days=1))
        closing = await ask(erasure.close, replace(ada, reauthenticated_at=now()))
        await remembering.write_down()
        await restore()
        move(START + timedelta(days=2))
        done = await reopening.reopen()
        assert done.closed == 1
        (again,) = await all_of(Erasure)
        assert (again.requested_at, again.carry_out_at) == (closing.requested_at, closing.carry_out_at)
        from assisters_app.keys.tables import ApiKey

        assert all(key.revoked_at for key in await all_of(ApiKey))
        move(closing.carry_out_at + timedelta(hours=1))
        await jobs.run_waiting()
        await purge.carry_out_due()
        await jobs.run_waiting()
        assert await addresses() == []
        async with transaction() as tx:
            assert (await receipts.shown(tx, closing.receipt)).handle == closing.receipt


async def test_who_had_changed_their_mind_since_the_backup_is_not_erased(house, backup):
    with frozen(START) as move:
        ada = await customer(ADA)
        closing = await ask(erasure.close, ada)
        await remembering.write_down()
        restore = await backup()
        await ask(erasure.undo, ada)
        await remembering.write_down()
        await restore()
        done = await reopening.reopen()
        assert done.taken_back == 1
        move(closing.carry_out_at + timedelta(days=1))
        await purge.carry_out_due()
        await jobs.run_waiting()
        assert await addresses() == [ADA]


async def test_a_session_that_had_ended_since_the_backup_does_not_open_the_house_again(ada, bob, backup):
    async with transaction() as tx:
        cookie = await sessions.open_session(tx, await tx.get_one(Account, bob.account_id), HERE)
    restore = await backup()
    async with transaction() as tx:
        await sessions.end_all(tx, bob.account_id, actor_id=bob.account_id)
    await erased(ada)
    await restore()
    await reopening.reopen()
    assert await sessions.resolve(cookie.reveal()) is None
    assert await all_of(Session) == []


async def test_a_consent_withdrawn_since_the_backup_is_not_in_force_again(ada, bob, backup):
    for purpose in ("marketing", "training"):
        async with transaction() as tx:
            await consents.choose(tx, bob, purpose, given=True)
    restore = await backup()
    async with transaction() as tx:
        await consents.choose(tx, bob, "training", given=False)
        await opting_out.opt_out(tx, opting_out.unsubscribe_address(BOB).rpartition("/")[2])
    await erased(ada)
    await restore()
    await reopening.reopen()
    async with transaction() as tx:
        assert [choice.given for choice in await consents.choices(tx, bob)] == [False] * len(consents.PURPOSES)
        assert not await opting_out.may_mail_marketing(tx, BOB)
        assert {record.source for record in await consents.history(tx, bob)} == {"settings", "restore"}


def db_table(name):
    from assisters_app import tables

    return tables.metadata.tables[name]


async def test_a_piece_of_ada_without_her_account_is_found_and_goes(ada, bob, backup):
    entry = db_table("trail_entry")
    restore = await backup()
    await erased(ada)
    await restore()
    async with transaction() as tx:
        rows = [dict(row._mapping) for row in await tx.sql(entry.select().where(entry.c.account_id == ada.account_id))]
    await reopening.reopen()
    async with transaction() as tx:  # as a restore loads a table: no trigger looks
        await tx.sql(text("ALTER TABLE trail_entry DISABLE TRIGGER trail_entry_of_the_living"))
        await tx.sql(entry.insert(), [{**row, "id": settings_id()} for row in rows] or [_entry(ada)])
    async with transaction() as tx:
        await tx.sql(db_table("house_stamp").update().values(fingerprint="another"))
    done = await reopening.reopen()
    assert done.pieces == 1
    async with transaction() as tx:
        assert str(ada.account_id) not in str(await everything(tx))


def settings_id():
    from assisters_app.base.ids import new_id

    return new_id()


def _entry(person):
    return {"id": settings_id(), "created_at": START, "account_id": person.account_id, "action": "page:viewed"} | {
        "details": {}, "ip": "", "actor_id": None,
    }  # fmt: skip


async def test_without_its_ledger_a_database_that_knows_one_is_not_opened(ada, backup):
    await reopening.reopen()
    await erased(ada)
    kept = ledger.path().read_bytes()
    ledger.path().write_bytes(b"".join(kept.splitlines(keepends=True)[:-1]))
    with pytest.raises(LedgerError, match="Lines are missing at the end"):
        await reopening.reopen()
    ledger.path().unlink()
    with pytest.raises(LedgerError, match="is not at"):
        await reopening.reopen()
    with pytest.raises(LedgerError):
        await remembering.write_down()  # nor is another one begun in its place
    assert not ledger.exists()
    ledger.path().write_bytes(kept)
    await reopening.reopen()


async def test_a_ledger_lost_for_good_is_begun_anew_with_every_receipt_and_never_over_one_that_is_there(ada):
    await reopening.reopen()
    with pytest.raises(LedgerError, match="Nothing was done"):
        await reopening.begin_anew()
    closing = await erased(ada)
    ledger.path().unlink()
    await reopening.begin_anew()
    assert [entry.what for entry in ledger.read()] == ["begun", "lost", "erased"]
    assert ledger.told(ledger.read())[closing.receipt].receipt
    await reopening.reopen()
    assert await is_open()


async def test_an_empty_database_beside_an_old_ledger_gets_its_receipts_back(ada, servers, monkeypatch):
    closing = await erased(ada)
    await let_go()
    fresh = await asyncio.to_thread(databases.create, servers.postgres, "fresh", databases.TEMPLATE)
    monkeypatch.setenv("DATABASE_URL", fresh)
    settings.settings.cache_clear()
    try:
        assert not await is_open()
        await reopening.reopen()
        async with transaction() as tx:
            assert (await receipts.shown(tx, closing.receipt)).number == 1
        assert await is_open()
    finally:
        await let_go()
        await asyncio.to_thread(databases.drop, servers.postgres, "fresh")


async def asked(door, path, **headers):
    transport = httpx.ASGITransport(app=door)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers=headers)


async def inside(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"come in"})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def test_programs_and_people_are_answered_503_until_the_house_is_open_again(ada, backup):
    door = doors.Doors(inside)
    assert (await asked(door, "/v1/models")).text == "come in"
    restore = await backup()
    await erased(ada)
    await restore()
    await door._look()
    program, person = await asked(door, "/v1/models"), await asked(door, "/dashboard", accept="text/html")
    assert (program.status_code, program.json()["error"]["code"]) == (503, "reopening")
    assert int(program.headers["retry-after"]) > 0
    assert (person.status_code, "Back soon" in person.text) == (503, True)
    assert (await asked(door, "/readyz")).status_code == 503
    assert (await asked(door, "/healthz")).text == "come in"
    await reopening.reopen()
    await door._look()
    assert (await asked(door, "/v1/models")).text == "come in"


async def test_a_process_that_was_paused_while_a_backup_came_back_looks_before_it_answers(ada, backup):
    door = doors.Doors(inside)
    assert (await asked(door, "/v1/models")).text == "come in"
    restore = await backup()
    await erased(ada)
    await restore()
    door._looked_at -= 60  # nobody looked meanwhile, as in a machine that sleeps
    assert (await asked(door, "/v1/models")).status_code == 503


async def test_a_socket_that_was_open_is_not_heard_any_more(ada):
    door, said, words = doors.Doors(inside), [], asyncio.Queue()

    async def say(message):
        said.append(message)

    words.put_nowait({"type": "websocket.receive", "text": "hello"})
    talking = asyncio.create_task(door({"type": "websocket", "path": "/_event"}, words.get, say))
    while len(said) < 2:
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    door._open = False
    words.put_nowait({"type": "websocket.receive", "text": "my usage, please"})
    await talking
    assert [message["type"] for message in said] == ["websocket.accept", "websocket.send", "websocket.close"]
    said.clear()
    await door({"type": "websocket", "path": "/_event"}, words.get, say)
    assert [message["type"] for message in said] == ["websocket.close"]


async def test_a_database_that_was_never_seen_opens_nothing_and_one_that_is_away_shuts_nothing(house, monkeypatch):
    door = doors.Doors(inside)

    async def away():
        raise ConnectionError("The database is away.")

    with monkeypatch.context() as patch:
        patch.setattr(doors, "unlocked", away)
        assert (await asked(door, "/v1/models")).status_code == 503
    assert (await asked(door, "/v1/models")).status_code == 200
    monkeypatch.setattr(doors, "unlocked", away)
    await door._look()
    assert (await asked(door, "/v1/models")).status_code == 200


async def test_the_api_by_itself_stands_behind_the_doors_too(house, monkeypatch):
    async def shut():
        return False

    monkeypatch.setattr(doors, "unlocked", shut)
    assert (await asked(asgi.api_alone(), "/v1/models")).json()["error"]["code"] == "reopening"


async def test_a_job_that_was_in_hand_when_the_backup_was_made_does_not_keep_ada_in_it(ada, backup):
    async with transaction() as tx:
        await jobs.enqueue(tx, "mail.deliver", mail_id=str(ada.account_id))
        await tx.sql(text("UPDATE procrastinate_jobs SET status = 'doing'"))
    restore = await backup()
    async with transaction() as tx:
        await tx.sql(text("DELETE FROM procrastinate_jobs"))
    await erased(ada)
    await restore()
    await reopening.reopen()
    assert await is_open()
    async with transaction() as tx:
        assert str(ada.account_id) not in str(await everything(tx))


async def test_a_snapshot_of_the_disk_has_the_same_fingerprint_but_the_ledger_knows_more(ada, bob, backup, monkeypatch):
    await reopening.reopen()
    restore = await backup()
    await erased(ada)
    await restore()
    async with transaction() as tx:  # as a disk that was put back would have it
        await tx.sql(text("UPDATE house_stamp SET fingerprint = :one"), {"one": await stamp.fingerprint(tx)})
    assert await is_open()
    seen = []
    replayed = reopening._replayed

    async def look_meanwhile(known):
        seen.append(await is_open())
        return await replayed(known)

    monkeypatch.setattr(reopening, "_replayed", look_meanwhile)
    done = await reopening.reopen()
    assert (done.restored, done.erased, seen) == (True, 1, [False])
    assert await addresses() == [BOB]
    assert await is_open()
    assert (await reopening.reopen()).restored is False


async def test_who_stamps_late_takes_nothing_back(ada, bob):
    await reopening.reopen()
    early = ledger.read()
    await erased(ada)
    async with transaction() as tx:
        known = (await stamp.read(tx)).number
        await stamp.write(tx, early)
        assert (await stamp.read(tx)).number == known


async def test_nothing_of_ada_leaves_a_restored_house_by_a_command(ada, bob, backup, tmp_path):
    await reopening.reopen()
    restore = await backup()
    await erased(ada)
    await restore()
    async with transaction() as tx:
        with pytest.raises(Refused, match="start the worker first"):
            assert [sample async for sample in training_export(tx)] == []
    with pytest.raises(Refused, match="start the worker first"):
        await handing_over.hand_over("tra_none", tmp_path / "passed")
    assert not (tmp_path / "passed").exists()
