"""A restored backup undoes nothing that was decided since: keys, opt-outs, holds, and who may come in how."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, BOB, GRACE, MALLORY, PASSWORD
from customers import customer, key_of
from databases import let_go
from markers import everything
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import links, moving, people, recovering, resetting, roles
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account, ExternalIdentity, MailboxRecovery
from assisters_app.base import db, jobs, lasting, trail
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.tables import LastingChange, TrailEntry
from assisters_app.billing import rating
from assisters_app.gateway import admission, catalog
from assisters_app.gateway.gate import Gate
from assisters_app.keys import keys, leaks
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy.choices import consents, opting_out, suppressions
from assisters_app.privacy.choices.tables import Suppression
from assisters_app.privacy.erasing import (
    backups,
    checks,
    erasure,
    ledger,
    pulse,
    purge,
    remains,
    remembering,
    reopening,
    stamp,
    unforgotten,
)
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.registers import holds
from assisters_app.privacy.registers.holds import NewHold
from assisters_app.privacy.rights import correction
from assisters_app.run import ROOT

pytestmark = pytest.mark.usefixtures("mail_waits")

HERE = Client("192.0.2.7", "Firefox")
ORDER = "Superior Court of Kent County, 26-1234, order of 3 November 2026"
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
async def yesterday(ada, bob, grace):
    """Return what makes a backup of the present, sealed as every night's, and then what restores it."""

    async def back_up():
        await reopening.reopen()
        made = backups.back_up()

        async def restore():
            await jobs.run_waiting()  # as the worker had
            await let_go()
            backups.restore(made.file)
            return await reopening.reopen()

        return restore

    return back_up


async def do(act, *given, **named):
    async with transaction() as tx:
        return await act(tx, *given, **named)


def hold_on(email):
    return NewHold(email=email, ground=ORDER, review_by=now() + timedelta(days=90))


async def the_erasure(closing):
    return next(one for one in await all_of(Erasure) if one.progress["receipt"] == closing.receipt)


async def all_of(model):
    async with transaction() as tx:
        return list((await tx.exec(select(model))).all())


async def let_in(*given):
    """Return, for each key, whether the gateway lets it in."""
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
        await rating.ensure_first_prices(tx)
    gate = Gate()
    await gate.open()
    try:
        return [await _enters(gate, key) for key in given]
    finally:
        await gate.close()


async def _enters(gate, key):
    try:
        await gate.enter(key)
    except admission.Refused as refused:
        return refused.code != "invalid_api_key"
    return True


@pytest.mark.promise("5.3")
async def test_a_key_that_ada_revoked_since_the_backup_is_refused_after_it(ada, yesterday):
    _, handle, revoked = await key_of(ada)
    _, _, other = await key_of(ada, name="Another")
    restore = await yesterday()
    await do(keys.revoke, ada, handle)
    done = await restore()
    assert done.again.keys == 1
    assert await let_in(revoked, other) == [False, True]


@pytest.mark.promise("5.3")
async def test_a_key_found_in_public_since_the_backup_stays_revoked_and_says_why(ada, yesterday):
    key_id, _, secret = await key_of(ada)
    restore = await yesterday()
    await do(leaks.report, [leaks.Finding(token=secret, type="key", url="", source="commit")])
    await restore()
    assert await let_in(secret) == [False]
    (key,) = await all_of(ApiKey)
    assert (key.id, key.leaked_at is not None) == (key_id, True)


async def test_after_a_rotation_since_the_backup_the_new_secret_works_and_the_old_one_does_not(ada, yesterday):
    _, handle, old = await key_of(ada)
    restore = await yesterday()
    new = (await do(keys.rotate, ada, handle, timedelta())).secret.reveal()
    await restore()
    assert await let_in(old, new) == [False, True]


async def test_what_ada_says_is_not_kept_after_a_restore_though_the_backup_says_so(ada, yesterday):
    _, handle, _ = await key_of(ada)
    await do(keys.keep_content, ada, handle, keep=True)
    restore = await yesterday()
    await do(keys.keep_content, ada, handle, keep=False)
    await restore()
    assert [key.content_kept_since for key in await all_of(ApiKey)] == [None]


@pytest.mark.promise("6.5")
async def test_an_address_that_unsubscribed_since_the_backup_gets_no_news_whether_or_not_it_has_an_account(
    ada, yesterday
):
    await do(consents.choose, ada, "marketing", given=True)
    await do(suppressions.suppress, "carol@example.com")
    restore = await yesterday()
    for address in (ADA, "nobody.here@example.com"):
        await do(opting_out.opt_out, opting_out.unsubscribe_address(address).rpartition("/")[2])
    await do(suppressions.forget, "carol@example.com")  # she asked for news again
    done = await restore()
    assert done.again.addresses == 3
    async with transaction() as tx:
        listed = await suppressions.among(tx, [ADA, BOB, "nobody.here@example.com", "carol@example.com"])
        assert listed == {ADA, "nobody.here@example.com"}
        assert not await opting_out.may_mail_marketing(tx, ADA)


@pytest.mark.promise("2.8")
async def test_a_hold_placed_since_the_backup_holds_with_its_words_and_a_released_one_does_not(
    ada, bob, grace, yesterday
):
    before = await do(holds.place, grace, hold_on(BOB))
    restore = await yesterday()
    placed = await do(holds.place, grace, hold_on(ADA))
    await do(holds.release, grace, before.handle, "The case is closed")
    closing = await do(erasure.erase_now, ada)
    await jobs.run_waiting()
    assert (await the_erasure(closing)).carried_out_at is None  # the hold holds
    done = await restore()
    assert done.again.holds == 2
    rows = {one.handle: one for one in await do(holds.listed, grace)}
    assert (rows[placed.handle].state, rows[placed.handle].ground) == ("in force", ORDER)
    assert (rows[before.handle].state, rows[before.handle].release_reason) == ("released", "The case is closed")
    async with transaction() as tx:
        assert await holds.held(tx, "trail_entry", account_ids=[ada.account_id])
        assert not await holds.held(tx, "trail_entry", account_ids=[bob.account_id])
    (hers,) = await all_of(Erasure)
    assert hers.carried_out_at is None  # she is not erased against the order, though the ledger says that it had begun


@pytest.mark.promise("5.5")
async def test_a_password_replaced_since_the_backup_opens_nothing_and_mallory_stays_out(ada, grace, yesterday):
    async with transaction() as tx:
        account = await tx.get_one(Account, ada.account_id)
        await identity().set_password(tx, account, PASSWORD)
        tx.add(ExternalIdentity(account_id=ada.account_id, issuer="github", subject="7"))
    mallory = await customer(MALLORY)
    restore = await yesterday()
    await do(resetting.change_password, ada, "another horse, another staple 8", HERE)
    await do(people.suspend, grace, mallory.account_id, "She sends spam")
    async with transaction() as tx:
        await roles.put(tx, await tx.get_one(Account, grace.account_id), "member", None)
        await tx.delete((await tx.exec(select(ExternalIdentity))).one())
        await lasting.changed(tx, "account", account_id=ada.account_id)
    done = await restore()
    assert done.again.accounts == 3
    accounts = {one.email: one for one in await all_of(Account)}
    async with transaction() as tx:
        assert not await identity().matches(tx, accounts[ADA], PASSWORD)
    assert await all_of(ExternalIdentity) == []
    assert accounts[MALLORY].suspension_reason == "She sends spam"
    assert accounts[MALLORY].suspended_at is not None
    assert accounts[BOB].suspended_at is None
    assert accounts[GRACE].role == "member"  # she was of staff when the backup was made


async def test_an_address_that_ada_left_since_the_backup_does_not_lead_to_her_account_again(ada, yesterday):
    restore = await yesterday()
    async with transaction() as tx:
        account = await tx.get_one(Account, ada.account_id)
        await moving._move(tx, account, "ada.new@example.com")
    await restore()
    assert sorted(one.email for one in await all_of(Account)) == sorted(["ada.new@example.com", BOB, GRACE])


async def test_a_new_mailbox_that_ada_stopped_since_the_backup_does_not_come_and_links_from_before_are_dead(
    ada, grace, yesterday
):
    await do(recovering.ask, grace, ADA, "mallory@new.example", ("key", "invoice"))
    async with transaction() as tx:
        row = (await tx.exec(select(MailboxRecovery))).one()
        row.confirmed_at = row.approved_at = now()
        row.due_at = now() + recovering.WAIT
        tx.add(row)
    token = (await do(links.link, ada.account_id, "deletion")).partition("token=")[2]
    restore = await yesterday()
    await do(recovering.keep, ada)
    await do(links.void, ada.account_id, "deletion")
    await restore()
    with pytest.raises(Refused, match="no longer valid"):
        await do(links.look, token, "deletion")
    with frozen(now() + recovering.WAIT + timedelta(minutes=1)):
        await correction.replace_mailboxes()
    assert ADA in {one.email for one in await all_of(Account)}
    assert [one.outcome for one in await all_of(MailboxRecovery)] == ["lapsed"]


async def test_a_backup_that_is_newer_than_a_line_is_not_taken_back_to_it(ada, grace, yesterday):
    await do(people.suspend, grace, ada.account_id, "A mistake")
    await unforgotten.make_lasting()
    async with transaction() as tx:  # by a hand that told the ledger nothing
        account = await tx.get_one(Account, ada.account_id)
        account.suspended_at, account.suspension_reason = None, ""
    restore = await yesterday()
    done = await restore()
    assert done.again.accounts == 0
    assert [one.suspended_at for one in await all_of(Account)] == [None] * 3


async def test_the_ledger_names_nobody_and_its_words_cannot_be_read_once_no_backup_needs_them(house):
    with frozen(START) as move:
        ada, grace = await customer(ADA), await customer(GRACE)
        _, handle, secret = await key_of(ada)
        await do(keys.revoke, ada, handle)
        await do(suppressions.suppress, ADA)
        await do(holds.place, grace, hold_on(ADA))
        await do(people.suspend, grace, ada.account_id, "She sends spam")
        await unforgotten.make_lasting()
        hashed = (await all_of(Suppression))[0].email_hash
        whole = ledger.path().read_text()
        for leads_to_her in (ADA, str(ada.account_id), ada.account_id.hex, handle, secret, ORDER, "spam", hashed):
            assert leads_to_her not in whole
        (entry,) = [one for one in ledger.read() if one.what == "suppression"]
        end = START.replace(hour=0) + timedelta(days=31, hours=2)  # of the last backup without it, once restored
        move(end - timedelta(minutes=1))
        ledger.destroy_old_keys()
        assert ledger.opened(entry.facts["words"]) == hashed
        move(end + ledger.LATE)
        async with transaction() as tx:
            with pytest.raises(Broken, match="1 keys of the erasure ledger outlived"):
                await checks.backups_are_young(tx)
            assert ledger.destroy_old_keys() == 1
            await checks.backups_are_young(tx)
        assert ledger.opened(entry.facts["words"]) is None
        async with transaction() as tx:  # what is left holds nobody up
            done = await unforgotten.replay(tx, unforgotten.told(ledger.read()))
        assert done.holds == done.addresses == 0


@pytest.mark.promise("4.1", "6.3")
async def test_the_address_of_ada_in_the_ledger_opens_no_more_once_she_is_erased(house):
    with frozen(START):
        ada, grace = await customer(ADA), await customer(GRACE)
        await do(people.suspend, grace, ada.account_id, "She sends spam")
        await unforgotten.make_lasting()
        (said,) = [one.facts for one in ledger.read() if one.what == "account"]
        assert ADA in ledger.opened(said["words"], ada.account_id)
        with pytest.raises(ValueError, match="does not open"):
            ledger.opened(said["words"])
        with pytest.raises(ValueError, match="does not open"):
            ledger.opened(said["words"], grace.account_id)
        await do(people.unsuspend, grace, ada.account_id)
        await do(erasure.erase_now, ada)
        await jobs.run_waiting()
    async with transaction() as tx:  # what would open it is nowhere any more, the ledger included
        left = str(await everything(tx)) + ledger.path().read_text()
    assert not [one for one in (str(ada.account_id), ada.account_id.hex) if one in left]


async def test_what_waits_too_long_to_be_told_breaks_the_promise(house):
    with frozen(START) as move:
        ada = await customer(ADA)
        _, handle, _ = await key_of(ada)
        await do(keys.revoke, ada, handle)
        assert "in the ledger" in await do(checks.decisions_outlive_a_backup)
        move(START + timedelta(hours=3))
        with pytest.raises(Broken, match="has not been told"):
            await do(checks.decisions_outlive_a_backup)
        await unforgotten.make_lasting()
        assert await all_of(LastingChange) == []
        assert "in the ledger" in await do(checks.decisions_outlive_a_backup)


async def test_a_restored_database_that_was_not_held_against_the_ledger_tells_it_nothing(ada):
    await reopening.reopen()
    _, handle, _ = await key_of(ada)
    await do(keys.revoke, ada, handle)
    lines = len(ledger.read())
    await do(stamp.doubt)
    await unforgotten.make_lasting()
    assert len(ledger.read()) == lines
    await reopening.reopen()
    await unforgotten.make_lasting()
    assert [entry.what for entry in ledger.read()][-1] == "key"


async def put_back(what):
    """Have the database be as it was, fingerprint and all, as a disk that is put back under it would have it."""
    async with transaction() as tx:
        await tx.sql(text("UPDATE house_stamp SET beat = :beat, number = :number, head = :head"), what)


async def as_it_is():
    async with transaction() as tx:
        found = await stamp.read(tx)
        return {"beat": found.beat, "number": found.number, "head": found.head}


async def test_a_disk_that_is_put_back_under_the_running_service_is_noticed_by_the_next_beat(ada):
    await reopening.reopen()
    before = await as_it_is()
    assert await pulse.beat()
    assert await pulse.beat()
    await put_back(before)
    async with transaction() as tx:
        assert await stamp.is_open(tx)  # the fingerprint is the same
    assert not await pulse.beat()
    async with transaction() as tx:
        assert not await stamp.is_open(tx)  # every process shuts its doors at its next look
    assert (await reopening.reopen()).restored
    assert await pulse.beat()
    assert not (await reopening.reopen()).restored


async def test_work_between_a_disk_that_was_put_back_and_the_next_beat_does_not_make_it_forget_a_key(ada):
    await reopening.reopen()
    _, handle, revoked = await key_of(ada)
    before = await as_it_is()
    await do(keys.revoke, ada, handle)
    await unforgotten.make_lasting()
    await remembering.write_down()
    async with transaction() as tx:
        await tx.sql(text("UPDATE api_key SET revoked_at = NULL WHERE handle = :handle"), {"handle": handle})
    await put_back(before)
    lines = len(ledger.read())
    await do(people_change, ada)
    await unforgotten.make_lasting()  # both are work that was about to begin
    await remembering.write_down()
    assert len(ledger.read()) == lines
    async with transaction() as tx:
        assert not await stamp.is_open(tx)
    assert (await reopening.reopen()).again.keys == 1
    assert await let_in(revoked) == [False]


async def people_change(tx, ada):
    await lasting.changed(tx, "account", account_id=ada.account_id)


async def test_an_erasure_that_ada_took_back_or_that_a_hold_keeps_waits_until_a_disk_that_was_put_back_was_told(house):
    with frozen(START) as move:
        ada = await customer(ADA)
        await reopening.reopen()
        closing = await do(erasure.close, ada)
        await remembering.write_down()
        before = await as_it_is()
        await do(erasure.undo, ada)
        await remembering.write_down()
        async with transaction() as tx:
            await tx.sql(text("UPDATE erasure SET withdrawn_at = NULL"))
        await put_back(before)
        move(closing.carry_out_at + timedelta(days=1))
        asked = await the_erasure(closing)
        await purge.carry_out(str(asked.id))
        async with transaction() as tx:
            assert not await stamp.is_open(tx)
        await purge.carry_out(str(asked.id), reopening=True)  # not even so: the ledger has that she changed her mind
        assert [one.email for one in await all_of(Account)] == [ADA]
        assert (await reopening.reopen()).taken_back == 1
        await purge.carry_out_due()
        await jobs.run_waiting()
        assert [one.email for one in await all_of(Account)] == [ADA]


async def test_two_workers_that_beat_at_the_same_moment_do_not_shut_the_doors(ada, monkeypatch):
    await reopening.reopen()
    read, others = stamp.read, []

    async def while_another_beats(tx, **named):
        found = await read(tx, **named)
        if not others:
            others.append("beats")
            assert await pulse.beat()
        return found

    monkeypatch.setattr(stamp, "read", while_another_beats)
    async with transaction() as tx:
        assert not await pulse.gone_back(tx)
    assert others


async def test_of_two_workers_that_tell_at_once_none_writes_an_older_state_over_a_newer(ada, monkeypatch):
    await reopening.reopen()
    key_id, handle, _ = await key_of(ada)
    await do(lasting.changed, "key", str(key_id))
    state, others = unforgotten.STATES["key"], []
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    async def while_ada_revokes_it(tx, change):
        found = await state(tx, change)
        if not others:
            others.append(None)
            await do(keys.revoke, ada, handle)
            others[0] = asyncio.create_task(unforgotten.make_lasting())
            while not others[0].done() and not (await do(db.Tx.sql, waits)).scalar_one():
                pass  # asking lets the other go on
        return found

    monkeypatch.setitem(unforgotten.STATES, "key", while_ada_revokes_it)
    await unforgotten.make_lasting()
    await others[0]
    assert [entry.facts["revoked_at"] for entry in ledger.read() if entry.what == "key"][-1] is not None


async def test_a_disk_from_before_a_line_of_the_ledger_is_noticed_at_the_start(ada):
    await reopening.reopen()
    _, handle, _ = await key_of(ada)
    before = await as_it_is()
    await do(keys.revoke, ada, handle)
    await unforgotten.make_lasting()
    await put_back(before)
    assert (await reopening.reopen()).restored


async def test_a_worker_killed_between_a_line_and_its_stamp_signs_nobody_out(ada, monkeypatch):
    await reopening.reopen()
    _, handle, _ = await key_of(ada)
    await do(keys.revoke, ada, handle)

    async def dies(*_, **__):
        raise ConnectionError("The worker was killed.")

    with monkeypatch.context() as patch:
        patch.setattr(stamp, "write", dies)
        with pytest.raises(ConnectionError):
            await unforgotten.make_lasting()
    assert [entry.what for entry in ledger.read()][-1] == "key"
    assert not (await reopening.reopen()).restored
    await unforgotten.make_lasting()
    async with transaction() as tx:
        assert not await stamp.behind(tx, ledger.read())


async def test_who_looks_at_ada_in_the_moment_of_her_erasure_keeps_no_id_of_hers(ada, grace):
    closing = await do(erasure.erase_now, ada)
    wrote, looking = asyncio.Event(), asyncio.Event()
    real = remains.scan

    async def scan(tx, texts):
        found = await real(tx, texts)
        looking.set()
        await asyncio.wait([looks], timeout=0.2)  # Grace writes now that it has looked, unless she is made to wait
        return found

    async def look():
        async with transaction() as tx:
            await people.view(tx, grace, ada.account_id)
            trail.write(tx, "account:viewed", account_id=grace.account_id, actor_id=ada.account_id)
            await tx.flush()
            wrote.set()
            await looking.wait()

    looks = asyncio.create_task(look())
    await asyncio.wait([looks, asyncio.ensure_future(wrote.wait())], return_when=asyncio.FIRST_COMPLETED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remains, "scan", scan)
        await purge.carry_out(str((await the_erasure(closing)).id))
    await looks
    async with transaction() as tx:
        assert await remains.scan(tx, [str(ada.account_id)]) == {}
        assert len([one for one in await all_of(TrailEntry) if one.action == "account:viewed"]) == 2


async def test_a_large_table_is_gone_through_in_several_looks_and_whom_one_found_stays_found(ada, bob, monkeypatch):
    await reopening.reopen()
    monkeypatch.setattr(reopening, "LOOK", 2)
    monkeypatch.setattr(reopening, "_looked", {})
    monkeypatch.setattr(reopening, "_seen", {})
    for number in range(5):
        await customer(f"developer{number}@example.com")
    dan = await customer("dan@example.com")
    assert await do(reopening.back) == 0
    ledger.append("erasing", receipt="rcp_DAN", account=ledger.mark_of(dan.account_id), organizations=[])
    ledger.append("erased", receipt="rcp_DAN", body="{}", signature="", key="")
    async with transaction() as tx:
        await stamp.write(tx, ledger.read())
    looks = [await do(reopening.back) for _ in range(8)]
    assert looks[0] == 0  # a look is no longer than two ids
    assert looks[-4:] == [1, 1, 1, 1]


def test_every_module_that_decides_who_comes_in_how_or_ends_a_key_notes_that_it_did():
    decides = re.compile(
        r"\b(account\.(email|role|password_hash|suspended_at)|key\.(digest|revoked_at|previous_until))\b[^=\n]*= "
    )
    domain = [*(ROOT / "assisters_app" / "accounts").rglob("*.py"), *(ROOT / "assisters_app" / "keys").rglob("*.py")]
    deciding = {file.name for file in domain if decides.search(file.read_text())}
    silent = {file.name for file in domain if file.name in deciding and "lasting.changed(" not in file.read_text()}
    assert {"keys.py", "leaks.py", "local.py", "moving.py", "people.py", "recovering.py", "roles.py"} <= deciding
    assert silent == set()
