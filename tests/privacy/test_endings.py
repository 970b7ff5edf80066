"""The checks of what is promised about endings hold in a house that is in order, and each can fail."""

from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA
from customers import customer
from farewells import erased

from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.privacy import processors, proving
from assisters_app.privacy.erasing import backups, checks, erasure, ledger, reopening
from assisters_app.privacy.erasing.tables import ErasureErrand, ErasureReceipt

pytestmark = pytest.mark.usefixtures("mail_waits")

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALL = (
    "closed_accounts_are_erased_in_time",
    "nobody_erased_is_back",
    "backups_are_young",
    "decisions_outlive_a_backup",
    "receipts_hang_together",
    "erasure_reaches_everything",
)


async def found(name):
    (result,) = await proving.look(name)
    assert "The check itself failed" not in result.found, result.found
    return result


@pytest.mark.promise("4.1", "6.3", "11.3")
async def test_in_a_house_that_is_in_order_every_check_of_endings_holds(ada, bob):
    await reopening.reopen()
    backups.back_up()
    await erased(ada)
    async with transaction() as tx:
        await erasure.close(tx, bob)
    for name in ALL:
        result = await found(name)
        assert result.state == "holds", (name, result.found)
        assert ADA not in result.found


@pytest.mark.promise("4.1")
async def test_an_account_that_is_not_erased_an_hour_after_its_grace_is_seen(house):
    with frozen(START) as move:
        ada = await customer(ADA)
        async with transaction() as tx:
            closing = await erasure.close(tx, ada)
        move(closing.carry_out_at + timedelta(minutes=59))
        assert (await found("closed_accounts_are_erased_in_time")).state == "holds"
        move(closing.carry_out_at + timedelta(minutes=61))
        assert (await found("closed_accounts_are_erased_in_time")).state == "broken"


async def test_somebody_who_is_back_a_shut_house_and_a_damaged_ledger_are_seen(ada, monkeypatch):
    await reopening.reopen()
    ledger.append("erasing", receipt="rcp_1", account=ledger.mark_of(ada.account_id), organizations=[])
    assert (await found("nobody_erased_is_back")).found == (
        "1 accounts or organizations are there again that were erased."
    )
    kept = ledger.path().read_bytes()
    ledger.path().write_bytes(kept[:-60] + b"\n")
    assert (await found("nobody_erased_is_back")).state == "broken"
    ledger.path().write_bytes(kept)

    async def shut(_tx):
        return False

    monkeypatch.setattr(checks.stamp, "is_open", shut)
    assert "was restored" in (await found("nobody_erased_is_back")).found


async def test_an_old_backup_is_seen(house):
    made = backups.back_up()
    with frozen(made.made_at + timedelta(days=31)):
        assert (await found("backups_are_young")).state == "broken"


async def test_a_changed_receipt_and_an_erasure_without_one_are_seen(ada, bob):
    closing = await erased(ada)
    await erased(bob)
    async with transaction() as tx:
        first = await tx.get_one(ErasureReceipt, 1)
        body, first.body = first.body, first.body.replace("rcp_", "rcx_")
        tx.add(first)
    assert (await found("receipts_hang_together")).state == "broken"
    async with transaction() as tx:
        first = await tx.get_one(ErasureReceipt, 1)
        first.body, first.handle = body, "rcp_other"
        tx.add(first)
    assert (await found("receipts_hang_together")).found == "1 erasures were carried out without a receipt."
    assert closing.receipt


async def test_a_company_that_nobody_reaches_and_an_errand_that_is_late_are_seen(house, monkeypatch):
    async with transaction() as tx:
        errand = ErasureErrand(receipt="rcp_1", processor="stripe", sealed=b"x", due_at=now(), promised_for=now())
        tx.add(errand)
    assert (await found("erasure_reaches_everything")).state == "holds"
    with frozen(now() + timedelta(hours=2)):
        assert "At 1 companies" in (await found("erasure_reaches_everything")).found
    monkeypatch.setattr(checks, "REACHED", {})
    assert processors.PROCESSORS[0].name in (await found("erasure_reaches_everything")).found


def test_the_checks_here_are_all_there_are():
    names = {check.name for check in proving.promises.checks() if check.look.__module__ == checks.__name__}
    assert names == set(ALL)
