"""What Stripe keeps after an erasure: waited for, redacted, told of, and tried until it is done."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, PASSWORD
from customers import customer
from farewells import erased
from sqlmodel import select

from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs, settings
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.billing import stripe as billing
from assisters_app.privacy import proving
from assisters_app.privacy.erasing import erasure, errands, ledger, receipts, remains, reopening
from assisters_app.privacy.erasing.tables import ErasureErrand, ErasureReceipt

pytestmark = pytest.mark.usefixtures("mail_waits")

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


async def paying(payments_on, times=1):
    """Return Ada, who has paid at Stripe, and what she is called there."""
    ada = await customer(ADA)
    name = await billing.new_customer(ADA, "Ada", "org_TEST", attempt="1")
    async with transaction() as tx:
        (await tx.get_one(Organization, ada.organization_id)).stripe_customer_id = name
    for number in range(times):
        checkout = await billing.open_checkout(
            f"order_{number}", name, 2000, success_url="http://localhost/ok", cancel_url="http://localhost/no"
        )
        assert payments_on.press(checkout.url, "pay").status_code == 303
    return ada, name


async def go_on():
    await errands.run_due()
    await jobs.run_waiting()


async def errand():
    async with transaction() as tx:
        return (await tx.exec(select(ErasureErrand))).one()


async def all_receipts():
    async with transaction() as tx:
        return list((await tx.exec(select(ErasureReceipt).order_by(ErasureReceipt.number))).all())


def held_there(payments_on):
    return json.dumps([payments_on.books.objects, payments_on.books.answers])


@pytest.mark.promise("6.3")
async def test_payments_are_redacted_after_90_days_and_a_second_receipt_says_so(payments_on):
    with frozen(START) as move:
        ada, name = await paying(payments_on, times=2)
        move(START + DAY)
        ada = await again(ada)
        closing = await erased(ada)
        (first,) = await all_receipts()
        said = json.loads(first.body)["elsewhere"]["stripe"]
        assert said == "customer deleted; payments are redacted once Stripe allows it, on 31 May 2026"
        assert payments_on.books.find("customer", name)["deleted"] is True
        assert ADA in held_there(payments_on)  # in the payments, which Stripe keeps
        async with transaction() as tx:
            assert await remains.scan(tx, [name, ADA]) == {"outgoing_mail": 1}  # her receipt, on its way
        move(START + 89 * DAY)
        await go_on()
        assert (await errand()).tries == 1
        for hours in range(4):  # validated, run, redacted
            move(START + 90 * DAY + timedelta(hours=1 + hours))
            await go_on()
        done = await errand()
        assert (done.sealed, bool(done.finished_at)) == (b"", True)
        assert ADA not in held_there(payments_on)
        first, second = await all_receipts()
        facts = receipts.verify(second.body, second.signature, second.public_key)
        assert (facts["completes"], facts["subject"]) == (closing.receipt, json.loads(first.body)["subject"])
        assert "redacted" in facts["elsewhere"]["stripe"]
        async with transaction() as tx:
            (state,) = await errands.of(tx, closing.receipt)
            assert receipts.verify_chain(await receipts.chain(tx)) == 2
        assert state.finished_at
        await reopening.remembering.write_down()
        assert [entry.what for entry in ledger.read()][-1] == "erased"
        assert len([entry for entry in ledger.read() if entry.what == "erased"]) == 2


async def again(person):
    from dataclasses import replace

    from assisters_app.base.clock import now

    return replace(person, reauthenticated_at=now())


async def test_who_has_never_paid_is_gone_from_stripe_within_hours(payments_on):
    with frozen(START) as move:
        ada, _ = await paying(payments_on, times=0)
        await erased(ada)
        for hours in range(4):
            move(START + timedelta(hours=1 + hours))
            await go_on()
        assert (await errand()).finished_at
        assert ADA not in held_there(payments_on)


async def test_many_payments_are_redacted_ten_at_a_time(payments_on):
    with frozen(START) as move:
        ada, _ = await paying(payments_on, times=6)  # six payments, six visits, and herself
        await erased(ada)
        for hours in range(8):
            move(START + 90 * DAY + timedelta(hours=1 + hours))
            await go_on()
        assert (await errand()).finished_at
        assert ADA not in held_there(payments_on)
        assert len(payments_on.books.every("privacy.redaction_job")) == 2


@pytest.mark.promise("4.1")
async def test_nobodys_erasure_waits_for_stripe_to_be_reachable(payments_on, monkeypatch):
    with frozen(START) as move:
        ada, name = await paying(payments_on)
        monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
        settings.settings.cache_clear()
        monkeypatch.setattr(billing, "RETRIES", 0)
        await erased(ada)
        (first,) = await all_receipts()
        assert json.loads(first.body)["elsewhere"]["stripe"] == (
            "Stripe cannot be reached; it is tried again until it is done"
        )
        waits = []
        for _ in range(3):
            waiting = await errand()
            waits.append(waiting.due_at - erasure.now())
            move(waiting.due_at)
            await go_on()
        assert waits == sorted(waits)
        assert waits[0] < waits[-1] <= DAY
        monkeypatch.setenv("STRIPE_API_BASE", payments_on.url)
        settings.settings.cache_clear()
        move((await errand()).due_at)
        await go_on()
        assert payments_on.books.find("customer", name)["deleted"] is True
        assert "on 31 May 2026" in (await errand()).outcome


async def test_a_redaction_that_stripe_refuses_is_tried_again_and_seen_once_it_is_late(payments_on, monkeypatch):
    with frozen(START) as move:
        ada, _ = await paying(payments_on)
        await erased(ada)
        move(START + 90 * DAY + timedelta(hours=1))
        monkeypatch.setattr(billing, "REDACTION", "/v1/privacy/not_for_you")
        await go_on()
        waiting = await errand()
        assert waiting.outcome == "Stripe refuses for now; it is tried again until it is done"
        (result,) = await proving.look("erasure_reaches_everything")
        assert result.state == "holds"
        move(START + 98 * DAY)
        (result,) = await proving.look("erasure_reaches_everything")
        assert result.state == "broken"
        monkeypatch.undo()


async def test_a_charge_younger_than_90_days_is_refused_by_the_stand_in_as_by_stripe(payments_on):
    _, name = await paying(payments_on)
    job = await billing.begin_redaction([("customers", name)])
    assert await billing.redaction(job) == "failed"
    assert ADA in held_there(payments_on)
    with pytest.raises(billing.ForgottenError):
        await billing.begin_redaction([("customers", "cus_nobody")])


async def signed_up_there():
    """Return Ada, whose password Supabase keeps."""
    ada = await customer(ADA)
    async with transaction() as tx:
        assert await identity().enroll(tx, await tx.get_one(Account, ada.account_id), PASSWORD)
    return ada


@pytest.mark.promise("6.3")
async def test_adas_sign_in_at_supabase_is_removed_with_her_account(supabase):
    ada = await signed_up_there()
    await erased(ada)
    assert supabase.users == {}
    (first,) = await all_receipts()
    assert json.loads(first.body)["elsewhere"]["sign-in"] == "removed"
    assert ((await errand()).processor, (await errand()).sealed) == ("supabase", b"")


@pytest.mark.promise("4.1")
async def test_nobodys_erasure_waits_for_supabase_which_is_asked_until_the_sign_in_is_gone(supabase):
    with frozen(START) as move:
        ada = await signed_up_there()
        (there,) = supabase.users
        supabase.fail("DELETE /admin/users/{id}", status=503, times=2)
        closing = await erased(ada)
        (first,) = await all_receipts()
        later = "Supabase cannot be reached; it is tried again until it is done"
        assert json.loads(first.body)["elsewhere"]["sign-in"] == later
        async with transaction() as tx:
            assert await remains.scan(tx, [there, str(ada.account_id)]) == {}  # what is to be done there is sealed
            (state,) = await errands.of(tx, closing.receipt)
        assert (state.processor, state.outcome, state.finished_at) == ("supabase", later, None)
        for _ in range(2):
            move((await errand()).due_at)
            await go_on()
        assert supabase.users == {}
        _, second = await all_receipts()
        facts = receipts.verify(second.body, second.signature, second.public_key)
        assert (facts["completes"], facts["elsewhere"]) == (closing.receipt, {"supabase": "removed"})
