"""Erasure: what Ada is told before, what is left after, and what a stranger can check."""

import asyncio
import base64
import contextlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, MALLORY, PASSWORD
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from customers import customer
from farewells import erased, receipt_of
from hypothesis import given
from hypothesis import strategies as st
from mails import waiting_mail
from markers import everything, fill
from sqlalchemy import text
from sqlmodel import col, select

from assisters_app.accounts import links, moving, organizations, resetting, sessions, signing_in
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account, AddressChange, MailboxRecovery, MailToken, Organization
from assisters_app.base import crypto, jobs, mail, tables, trail
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.ids import new_id
from assisters_app.base.tables import TrailEntry
from assisters_app.base.valkey import valkey
from assisters_app.billing.tables import LedgerTransaction
from assisters_app.gateway import ingest
from assisters_app.gateway.scripts import OPEN, RECORDS, Keys, open_name
from assisters_app.keys import keys
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import subject_of
from assisters_app.privacy.erasing import erasure, purge, receipts, remains
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.rights import requests
from assisters_app.privacy.rights.tables import PrivacyRequest
from assisters_app.support import messages
from assisters_app.usage import ddl
from assisters_app.usage.events import Event

pytestmark = pytest.mark.usefixtures("mail_waits")

HERE = Client("192.0.2.7", "Firefox")
ANY_TIME = st.datetimes(datetime(2026, 1, 1), datetime(2029, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


async def ask(act, person):
    async with transaction() as tx:
        return await act(tx, person)


@pytest.fixture
async def both(ada, bob, payments_on):
    async with transaction() as tx:
        return await fill(tx, ada, other=bob.account_id), await fill(tx, bob, other=ada.account_id)


@pytest.mark.promise("4.1", "6.3")
async def test_after_erasure_only_what_is_declared_kept_is_left_of_ada_and_all_is_left_of_bob(both):
    hers, his = both
    await erased(hers.person)
    async with transaction() as tx:
        dump = await everything(tx)
    whole = "\n".join(row for rows in dump.values() for row in rows if "Your account has been erased" not in row)
    for marker in hers.markers:
        about_bob = marker.whose != hers.person.account_id
        kept = marker.declared_kept or (about_bob and marker.rows.on_erase != "delete")
        assert (marker.text in whole) == kept, marker.name
    for marker in his.markers:  # what was said in his rows about her is gone with her
        assert (marker.text in whole) == (marker.whose == his.person.account_id), marker.name
    for leads_to_her in (ADA, str(hers.person.account_id), str(hers.person.organization_id)):
        assert leads_to_her not in whole


@pytest.mark.promise("4.1", "6.3")
async def test_bobs_own_rows_outlive_the_account_whose_address_he_asked_for_but_without_it(ada, bob, payments_on):
    async with transaction() as tx:
        await moving.ask(tx, bob, ADA, HERE)
        for handle, ended in (("rec_open", None), ("rec_past", now())):
            tx.add(
                MailboxRecovery(
                    handle=handle,
                    account_id=bob.account_id,
                    new_email=ADA,
                    proofs="key invoice",
                    ended_at=ended,
                    outcome="moved" if ended else "open",
                )
            )
    await erased(ada)
    async with transaction() as tx:
        (change,) = await tx.exec(select(AddressChange).where(AddressChange.account_id == bob.account_id))
        assert (change.new_email, change.ended_at is None, await moving.pending(tx, bob)) == ("", False, None)
        replaced = await tx.exec(select(MailboxRecovery).order_by(MailboxRecovery.handle))
        assert [(one.outcome, one.new_email, one.ended_at is None) for one in replaced] == [
            ("lapsed", "", False),
            ("moved", "", False),
        ]
    said = [letter for letter in await waiting_mail(bob.email) if letter["subject"] == moving.ENDED.subject]
    assert len(said) == 1
    assert ADA not in str(said)
    async with transaction() as tx:  # it is nobody's now: asked for again, the mailbox gets its link
        await moving.ask(tx, bob, ADA, HERE)
    assert "Confirm your new e-mail address" in str(await waiting_mail(ADA))


async def test_bob_hears_nothing_of_a_change_that_was_over_before_the_account_with_that_address(ada, bob):
    async with transaction() as tx:
        await moving.ask(tx, bob, ADA, HERE)
        (change,) = await tx.exec(select(AddressChange))
        change.expires_at = now()
    await erased(ada)
    assert moving.ENDED.subject not in str(await waiting_mail(bob.email)), "it would tell him that she left"


@pytest.mark.parametrize("part", ["_empty", "_finish"])
async def test_ada_who_hurries_an_erasure_on_and_what_goes_on_of_it_wait_for_each_other(ada, monkeypatch, part):
    async def not_yet(*_):
        return None

    await ask(erasure.erase_now, ada)
    with monkeypatch.context() as patch:
        patch.setattr(purge, part, not_yet)
        patch.setattr(purge, "_finish", not_yet)
        await jobs.run_waiting()
    async with transaction() as tx:
        (waiting,) = await tx.exec(select(Erasure))
        token = (await links.link(tx, ada.account_id, "deletion")).partition("token=")[2]
        subject = await subject_of(tx, ada.account_id)
    of = next(one for one in inventory.personal_tables() if one[0].name == "mail_token")
    waits = text("SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid")
    async with transaction() as tx:
        await links.follow(tx, token, "deletion")
        does = purge._empty(waiting.id, *of, subject) if part == "_empty" else purge._finish(waiting.id, subject)
        going = asyncio.create_task(does)
        while not (going.done() or (await tx.sql(waits)).first()):  # noqa: ASYNC110 (a lock rings no bell)
            await asyncio.sleep(0.01)
        await erasure.erase_now(tx, ada)
    await going


@pytest.mark.promise("6.3", "11.3")
async def test_every_kept_row_names_its_ground_and_its_end_in_the_plan_and_the_receipt_counts_the_same(both):
    hers, _ = both
    await jobs.run_waiting()  # what the opening of the house has left to do: it writes down who uses the product
    plan = await ask(erasure.plan, hers.person)
    said = json.loads((await receipt_of(await erased(hers.person))).body)
    assert [
        (line.table, line.goes, line.stays, line.until and line.until.date().isoformat()) for line in plan.lines
    ] == [
        (line["table"], line["goes"], line["stays"], line["until"])
        for line in said["tables"]
        if line["goes"] or line["stays"]
    ]
    assert all(line.ground and line.until for line in plan.lines if line.stays)
    assert {line.table for line in plan.lines} == {table.name for table, _ in inventory.personal_tables()}


async def test_planning_changes_nothing(both):
    hers, _ = both
    async with transaction() as tx:
        before = await everything(tx)
    await ask(erasure.plan, hers.person)
    async with transaction() as tx:
        assert await everything(tx) == before


async def test_invoices_keep_their_totals_but_lead_to_nobody(both):
    hers, _ = both
    question = select(tables.TrailEntry)  # read by the table, not by the person
    entry = inventory.tables.metadata.tables["ledger_entry"]
    async with transaction() as tx:
        before = sorted((await tx.sql(select(entry.c.amount_nano))).scalars())
    await erased(hers.person)
    async with transaction() as tx:
        assert sorted((await tx.sql(select(entry.c.amount_nano))).scalars()) == before
        owners = set((await tx.sql(select(entry.c.organization_id))).scalars())
        assert len(owners - {hers.person.organization_id}) == 2
        assert (await tx.exec(question)).all()


async def test_keys_and_sessions_die_at_once(ada, monkeypatch):
    told = []

    async def hear(topic, name):
        told.append((topic, name))

    monkeypatch.setattr("assisters_app.base.valkey.announce", hear)
    async with transaction() as tx:
        issued = await keys.issue(tx, ada, keys.NewKey(name="Main"))
        account = await tx.get_one(Account, ada.account_id)
        cookie = await sessions.open_session(tx, account, HERE)
    public_id = (await _one(ApiKey, ApiKey.handle == issued.key.handle)).public_id
    await ask(erasure.close, ada)
    assert await sessions.resolve(cookie.reveal()) is None
    assert (await _one(ApiKey, ApiKey.public_id == public_id)).revoked_at
    assert ("key", public_id) in told
    assert ("session", crypto.fingerprint(cookie.reveal())) in told


async def _one(model, which):
    async with transaction() as tx:
        return (await tx.exec(select(model).where(which))).one()


async def test_whoever_asked_to_be_erased_now_cannot_sign_in_while_it_is_carried_out(ada):
    async with transaction() as tx:
        await identity().set_password(tx, await tx.get_one(Account, ada.account_id), PASSWORD)
    await ask(erasure.erase_now, ada)
    with pytest.raises(Refused, match="You asked for this account to be erased"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)
    await jobs.run_waiting()
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)


async def test_no_link_in_an_old_mail_works_and_none_is_sent_while_an_erasure_is_carried_out(ada):
    async with transaction() as tx:
        link = await links.link(tx, ada.account_id, "reset")
    await ask(erasure.erase_now, ada)
    token = link.partition("token=")[2]
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await resetting.reset(tx, token, PASSWORD, HERE)
    await resetting._send_reset(str(ada.account_id))
    assert await waiting_mail(ADA) == []


START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.promise("4.1")
async def test_on_day_29_ada_can_change_her_mind_and_on_day_30_she_is_gone(house):
    with frozen(START) as move:
        ada = await customer(ADA)
        await ask(erasure.close, ada)
        move(START + timedelta(days=29, hours=23, minutes=59))
        await purge.carry_out_due()
        await jobs.run_waiting()
        back = replace(ada, reauthenticated_at=now())
        await ask(erasure.undo, back)
        assert await _one(Account, Account.email == ADA)
        await ask(erasure.close, back)
        move(now() + timedelta(days=30, hours=1))
        await purge.carry_out_due()
        await jobs.run_waiting()
        async with transaction() as tx:
            assert (await tx.exec(select(Account))).all() == []
            states = {one.state for one in await tx.exec(select(PrivacyRequest))}
        assert states == {"withdrawn", "done"}


async def test_what_was_undone_is_not_carried_out(house):
    with frozen(START) as move:
        ada = await customer(ADA)
        await ask(erasure.close, ada)
        waiting = await _one(Erasure, Erasure.account_id == ada.account_id)
        await ask(erasure.undo, ada)
        move(START + timedelta(days=31))
        await purge.carry_out(str(waiting.id))
        assert await _one(Account, Account.email == ADA)
        with pytest.raises(Refused, match="nothing to undo"):
            await ask(erasure.undo, replace(ada, reauthenticated_at=now()))


async def test_closing_may_become_erasing_now_but_not_closing_twice(ada):
    closing = await ask(erasure.close, ada)
    with pytest.raises(Refused, match="already"):
        await ask(erasure.close, ada)
    assert (await ask(erasure.erase_now, ada)).receipt == closing.receipt
    with pytest.raises(Refused, match="nothing to undo"):
        await ask(erasure.undo, ada)
    await jobs.run_waiting()
    assert (await receipt_of(closing)).handle == closing.receipt


@pytest.mark.promise("11.3")
async def test_without_a_recent_proof_of_identity_nothing_is_planned_closed_or_erased(ada):
    stale = replace(ada, reauthenticated_at=now() - timedelta(hours=1))
    for act in (erasure.plan, erasure.close, erasure.erase_now):
        with pytest.raises(Refused, match="Confirm that it is you"):
            await ask(act, stale)


@given(ANY_TIME)
def test_the_grace_never_outlives_the_earliest_statutory_deadline(asked_at):
    ends, due = erasure.carry_out_at(asked_at), requests.deadlines(asked_at)
    assert timedelta(days=28) <= ends - asked_at <= erasure.GRACE
    assert ends <= due.gdpr_due
    assert ends <= due.ccpa_due


@pytest.mark.promise("4.1")
def test_every_day_of_four_years_keeps_the_deadline():
    for day in range(4 * 366):
        asked_at = datetime(2026, 1, 1, 23, 59, tzinfo=UTC) + timedelta(days=day)
        due = requests.deadlines(asked_at)
        assert erasure.carry_out_at(asked_at) <= due.earliest
        assert due.gdpr_due.month == asked_at.month % 12 + 1  # never into the month after the next


async def test_a_purge_that_dies_anywhere_is_finished_by_the_next_one(both, monkeypatch):
    hers, _ = both
    closing = await ask(erasure.erase_now, hers.person)
    waiting = await _one(Erasure, col(Erasure.carried_out_at).is_(None))
    real, left = purge._empty, iter(range(4))

    async def dying(*args):
        if next(left, None) is None:
            raise ConnectionError("The worker was killed.")
        await real(*args)

    monkeypatch.setattr(purge, "_empty", dying)
    with pytest.raises(ConnectionError):
        await purge.carry_out(str(waiting.id))
    monkeypatch.setattr(purge, "_empty", real)
    await purge.carry_out(str(waiting.id))
    await purge.carry_out(str(waiting.id))  # and once more, as a queue may
    said = json.loads((await receipt_of(closing)).body)
    assert all(line["goes"] == 1 for line in said["tables"] if not line["stays"] and line["table"] != "outgoing_mail")
    async with transaction() as tx:
        assert len(await receipts.chain(tx)) == 1


@pytest.mark.promise("6.3")
async def test_something_left_behind_stops_the_receipt(ada, monkeypatch):
    async with transaction() as tx:  # a bug elsewhere: personal data where the marks do not say so
        trail.write(tx, "page:viewed", account_id=None, who=ADA)
    await ask(erasure.erase_now, ada)
    waiting = await _one(Erasure, Erasure.account_id == ada.account_id)
    with pytest.raises(RuntimeError, match="something is left in trail_entry"):
        await purge.carry_out(str(waiting.id))
    assert await _one(Account, Account.email == ADA)


async def test_mallory_cannot_stop_adas_erasure_by_writing_her_address_into_her_own_things(ada):
    mallory = await customer(MALLORY)
    prada = await customer("prada@example.com")  # another person, whose address only ends like hers
    slash = await customer(f"x/{ADA}")  # and one who chose an address in which hers stands as a word
    async with transaction() as tx:
        await keys.issue(tx, mallory, keys.NewKey(name=ADA))
        await links.link(tx, mallory.account_id, "email-change", new_email=ADA)
        await mail.send(tx, ADA, mail.Message("Confirm", ("Is this you?",)), account_id=mallory.account_id)
        mallory_account = await tx.get_one(Account, mallory.account_id)
        await sessions.open_session(tx, mallory_account, Client("192.0.2.9", f"Firefox for {ADA}"))
    await receipt_of(await erased(ada))
    async with transaction() as tx:
        left = {account.email for account in await tx.exec(select(Account))}
        assert [one.new_email for one in await tx.exec(select(MailToken))] == [None]  # it is Mallory's own
    assert left == {mallory.email, prada.email, slash.email}
    assert [one["subject"] for one in await waiting_mail(ADA)] == ["Your account has been erased"]


async def test_what_staff_wrote_about_ada_stops_nothing_and_names_her_no_more(ada, bob, grace):
    async with transaction() as tx:
        asked = await requests.ask(tx, ada, "question", "Where is my copy?")
        his = await requests.ask(tx, bob, "question", "Who else is here?")
        await requests.extend(tx, grace, his.handle, f"Not {ADA}, but pr{ADA}.")
        await requests.answer(tx, grace, asked.handle, "done", f"We sent it to {ADA.title()}.")
        trail.write(tx, "hold:released", account_id=bob.account_id, actor_id=grace.account_id, reason=f"'{ADA}'")
    await ask(erasure.erase_now, ada)
    await jobs.run_waiting()
    async with transaction() as tx:
        assert (await tx.exec(select(Account.email).where(Account.email == ADA))).first() is None
        found = await tx.exec(select(PrivacyRequest).where(col(PrivacyRequest.handle).in_([asked.handle, his.handle])))
        told = {one.handle: one for one in found}
        (said,) = await tx.exec(select(tables.TrailEntry).where(tables.TrailEntry.action == "hold:released"))
    assert told[asked.handle].outcome == "We sent it to (erased)."
    assert told[his.handle].extension_reason == f"Not (erased), but pr{ADA}."
    assert said.details == {"reason": "'(erased)'"}


async def test_two_clicks_make_one_erasure(ada):
    with pytest.raises(Refused, match="already"):
        await asyncio.gather(ask(erasure.close, ada), ask(erasure.close, ada))
    assert await _one(Erasure, Erasure.account_id == ada.account_id)


async def test_the_plan_during_the_grace_counts_as_the_receipt_will(ada):
    await ask(erasure.close, ada)
    plan = await ask(erasure.plan, ada)
    said = json.loads((await receipt_of(await erased(ada))).body)
    planned = {line.table: (line.goes, line.stays) for line in plan.lines}
    assert planned == {
        line["table"]: (line["goes"], line["stays"]) for line in said["tables"] if line["goes"] or line["stays"]
    }


async def test_the_customer_at_stripe_is_deleted(ada, payments_on):
    from assisters_app.billing import stripe as billing

    customer_id = await billing.new_customer(ADA, "Ada", "org_TEST", attempt="1")
    async with transaction() as tx:
        (await tx.get_one(Organization, ada.organization_id)).stripe_customer_id = customer_id
    await erased(ada)
    assert payments_on.books.find("customer", customer_id).get("deleted") is True


async def test_valkey_forgets_every_key_and_waiting_record_of_the_organization(ada, bob):
    async with transaction() as tx:
        issued = await keys.issue(tx, ada, keys.NewKey(name="Main"))
    await valkey().set(f"hold:{ada.organization_id}:1", "500")
    await valkey().hset(f"grant:{issued.key.handle}", "a", "b")
    await valkey().set(f"hold:{bob.organization_id}:1", "500")
    await valkey().xadd("records", {"record": json.dumps({"organization_id": str(ada.organization_id)})})
    await valkey().xadd("records", {"record": json.dumps({"organization_id": str(bob.organization_id)})})
    await erased(ada)
    assert sorted(await valkey().keys("*")) == [f"hold:{bob.organization_id}:1", "records"]
    assert len(await valkey().xrange("records")) == 1


async def test_calls_that_were_open_or_not_yet_written_down_are_in_the_books_before_they_close(ada, bob):
    def call(person, cost):
        return Event(
            request_id=new_id(), at=now(), organization_id=person.organization_id, key_id=new_id(), mode="live",
            endpoint="/v1/embeddings", model="m", status=200, outcome="completed", cost_nano=cost, price_version=1,
        )  # fmt: skip

    async with transaction() as tx:
        await ddl.ahead(tx)
    still_open, done, his = call(ada, 5), call(ada, 5), call(bob, 3)
    named = open_name(ada.organization_id, still_open.request_id)
    held = f"500:10:{int(now().timestamp())}:{still_open.to_json()}"
    await valkey().hset(Keys.of(ada.organization_id).holds, str(still_open.request_id), held)
    await valkey().zadd(OPEN, {named: (now().timestamp() + 900) * 1000})
    for event in (done, his):
        await valkey().xadd(RECORDS, {"record": event.to_json()})
    said = json.loads((await receipt_of(await erased(ada))).body)
    assert said["elsewhere"]["calls"].startswith("1 open calls ended")
    assert await valkey().zcard(OPEN) == 0
    assert not [key for key in await valkey().keys("*") if str(ada.organization_id) in key]
    entry = inventory.tables.metadata.tables["ledger_entry"]
    async with transaction() as tx:
        revenue = (await tx.sql(select(entry.c.amount_nano).where(entry.c.account == "revenue"))).scalars().all()
        assert 5 in revenue or 10 in revenue  # what she used before is charged, to nobody that can be found
        assert await remains.scan(tx, [str(ada.organization_id)]) == {}


async def test_jobs_and_mail_that_named_ada_are_gone(ada, bob):
    async with transaction() as tx:
        await mail.send(tx, ADA, mail.Message("Hello", ("You.",)), account_id=ada.account_id)
        await mail.send(tx, ADA, mail.Message("Hello", ("You.",)))  # before there was an account to name
        await jobs.enqueue(tx, "mail.deliver", at=now() + timedelta(days=1), mail_id=str(ada.account_id))
    await erased(ada)
    assert [one["subject"] for one in await waiting_mail(ADA)] == ["Your account has been erased"]
    async with transaction() as tx:
        assert await remains.scan(tx, [str(ada.account_id)]) == {}


async def test_a_face_can_have_what_it_keeps_forgotten_too(ada, monkeypatch):
    monkeypatch.setattr(purge, "_also", {})
    seen = []

    async def forget(subject):
        seen.append(subject.account_id)
        return "3 tabs forgotten"

    purge.also("open tabs", forget)
    said = json.loads((await receipt_of(await erased(ada))).body)
    assert seen == [ada.account_id]
    assert said["elsewhere"]["open tabs"] == "3 tabs forgotten"


@pytest.mark.promise("6.3")
async def test_the_receipt_verifies_offline_and_a_changed_byte_does_not(ada):
    receipt = await receipt_of(await erased(ada))
    facts = receipts.verify(receipt.body, receipt.signature, receipt.public_key)
    assert facts["receipt"] == receipt.handle
    for position in range(0, len(receipt.body), 7):
        changed = receipt.body[:position] + chr(ord(receipt.body[position]) ^ 1) + receipt.body[position + 1 :]
        with pytest.raises(receipts.NotGenuine):
            receipts.verify(changed, receipt.signature, receipt.public_key)
    forged = Ed25519PrivateKey.generate()
    with pytest.raises(receipts.NotGenuine):
        receipts.verify(receipt.body, base64.b64encode(forged.sign(receipt.body.encode())).decode(), receipt.public_key)


async def test_the_receipt_names_nobody_but_ada_can_show_that_it_is_hers(ada):
    receipt = await receipt_of(await erased(ada))
    for leads_to_her in (ADA, str(ada.account_id), str(ada.organization_id)):
        assert leads_to_her not in receipt.body
    (letter,) = await waiting_mail(ADA)
    salt = re.search(r"Your salt is (\S+):", " ".join(letter["paragraphs"])).group(1)
    assert json.loads(receipt.body)["subject"] == receipts.subject_hash(salt, ADA)


async def test_receipts_hang_together_and_a_missing_one_shows(ada, bob, grace):
    for person in (ada, bob, grace):
        await erased(person)
    async with transaction() as tx:
        chain = await receipts.chain(tx)
    assert receipts.verify_chain(chain) == 3
    with pytest.raises(receipts.NotGenuine):
        receipts.verify_chain([chain[0], chain[2]])


async def test_a_deletion_stands_in_the_register_without_ada(ada):
    closing = await erased(ada)
    async with transaction() as tx:
        (request,) = (await tx.exec(select(PrivacyRequest).where(col(PrivacyRequest.kind) == "deletion"))).all()
    assert request.state == "done"
    assert closing.receipt in request.outcome
    assert request.account_id != ada.account_id


async def test_a_batch_that_is_being_written_while_the_account_goes_leaves_nothing_of_it(ada, payments_on, monkeypatch):
    """The batch has looked who is alive and written, and commits only once the purge has stripped what stays."""
    closing = await ask(erasure.erase_now, ada)
    record = Event(new_id(), now(), ada.organization_id, new_id(), "live", "/v1/x", "m", 200, "completed", cost_nano=7)
    writing, purging = asyncio.Event(), asyncio.Event()
    writes, strips = ingest.keys.note_use, purge._strip_kept

    async def slowly(tx, uses):
        await writes(tx, uses)
        writing.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(purging.wait(), 0.5)

    async def heard(*words):
        await strips(*words)
        purging.set()

    monkeypatch.setattr(ingest.keys, "note_use", slowly)
    monkeypatch.setattr(purge, "_strip_kept", heard)
    async with transaction() as tx:
        subject = await subject_of(tx, ada.account_id)
        erasure_id = (await tx.exec(select(Erasure.id).where(Erasure.account_id == ada.account_id))).one()
    steps = dict.fromkeys(purge._steps(), at_once)
    monkeypatch.setattr(purge, "_steps", lambda: steps)
    batch = asyncio.ensure_future(ingest._post([record]))
    await writing.wait()
    await purge.carry_out(str(erasure_id))
    assert await batch == set()
    assert purging.is_set()
    async with transaction() as tx:
        entries = (await tx.exec(select(LedgerTransaction.organization_id))).all()
        assert len(entries) == 1
        assert await remains.scan(tx, map(str, subject.ids)) == {}
    assert closing.receipt


async def at_once(_subject):
    return "done"


async def test_five_days_before_the_end_ada_is_reminded_once_and_not_after_she_has_undone_it(house):
    with frozen(datetime(2026, 3, 2, 12, 0, tzinfo=UTC)) as move:
        ada = await customer(ADA)
        closing = await ask(erasure.close, ada)
        move(closing.carry_out_at - timedelta(days=5, hours=1))
        await erasure.remind()
        assert [letter["subject"] for letter in await waiting_mail(ADA)] == ["Your account is closed"]
        move(closing.carry_out_at - timedelta(days=5))
        await erasure.remind()
        await erasure.remind()
        _, second = await waiting_mail(ADA)
        assert second["subject"] == f"Your account is erased on {closing.carry_out_at:%d %B %Y}"
        assert "/dashboard/privacy/delete" in second["action"][1]
        await ask(erasure.undo, replace(ada, reauthenticated_at=now()))
        again = await ask(erasure.close, replace(ada, reauthenticated_at=now()))
        await ask(erasure.undo, replace(ada, reauthenticated_at=now()))
        move(again.carry_out_at - timedelta(days=1))
        await erasure.remind()
        assert len(await waiting_mail(ADA)) == 3


@pytest.mark.promise("6.3")
async def test_the_trail_that_is_kept_names_nothing_that_was_adas(ada, bob, grace):
    async with transaction() as tx:
        issued = await keys.issue(tx, ada, keys.NewKey(name="Main"))
        await organizations.rename(tx, ada, "Analytical Engines")
        talk = await messages.begin(tx, ada, "Where is my invoice?", "I cannot find it.")
        his = await keys.issue(tx, bob, keys.NewKey(name="Main"))
        organization = await tx.get_one(Organization, ada.organization_id)
    closing = await erased(ada)
    async with transaction() as tx:
        kept = (await tx.exec(select(TrailEntry))).all()
    said = json.dumps([entry.details for entry in kept])
    for name in (issued.key.handle, organization.handle, talk):
        assert name not in said
    assert his.key.handle in said
    assert [entry.account_id for entry in kept if entry.details.get("receipt") == closing.receipt] == [None]
