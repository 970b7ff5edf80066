"""An address that somebody typed and nobody proved is not kept."""

from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, BOB
from customers import customer
from markers import everything
from sqlmodel import select

from assisters_app.accounts import links, people, signing_up, verifying
from assisters_app.accounts.client import Client
from assisters_app.accounts.tables import Account
from assisters_app.base import jobs
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy import promises
from assisters_app.privacy.erasing import unproven
from assisters_app.privacy.erasing.tables import Erasure, ErasureReceipt
from assisters_app.privacy.registers import holds
from assisters_app.privacy.rights import requests

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


async def typed(email):
    """Have somebody, who may be anybody, sign up with an address."""
    async with transaction() as tx:
        await signing_up.sign_up(tx, email, "correct horse battery staple 7", Client("198.51.100.9", "Browser"))
        account = await signing_up.find(tx, email)
        return (await links.link(tx, account.id, "verify")).partition("token=")[2]


async def accounts():
    async with transaction() as tx:
        return {account.email for account in await tx.exec(select(Account))}


async def found():
    async with transaction() as tx:
        return await unproven.unproven_accounts_go(tx)


@pytest.mark.promise("4.1", "1.1")
async def test_an_address_that_nobody_proved_is_gone_after_thirty_days_and_one_that_somebody_did_stays(house):
    with frozen(START) as move:
        await customer(BOB)
        await typed(ADA)
        link = await typed("late@example.com")
        move(START + 30 * DAY)
        await unproven.forget_unproven()
        assert await accounts() == {ADA, BOB, "late@example.com"}
        async with transaction() as tx:
            late = await signing_up.find(tx, "late@example.com")
            link = (await links.link(tx, late.id, "verify")).partition("token=")[2]
            await verifying.verify(tx, link)
        move(START + 33 * DAY)
        with pytest.raises(promises.Broken, match="1 accounts should have been erased"):
            await found()
        await jobs.run_waiting()
        await unproven.forget_unproven()
        assert await accounts() == {BOB, "late@example.com"}
        assert await found() == "0 addresses wait to be proved; none for longer than 30 days."
    async with transaction() as tx:
        dump = str(await everything(tx))
        assert (await tx.exec(select(ErasureReceipt))).all() == (await tx.exec(select(Erasure))).all() == []
    assert ADA not in dump


async def test_an_account_that_cannot_be_erased_holds_up_none_after_it_and_is_told_of(house, monkeypatch):
    with frozen(START) as move:
        for email in (ADA, BOB, "late@example.com"):
            await typed(email)
        async with transaction() as tx:
            first = (await tx.exec(select(Account.id).order_by(Account.id).limit(1))).one()
        forget = unproven._forget

        async def fails_for_the_first(account_id):
            if account_id == first:
                raise OSError("Supabase does not answer.")
            await forget(account_id)

        monkeypatch.setattr(unproven, "_forget", fails_for_the_first)
        monkeypatch.setattr(unproven, "AT_ONCE", 1)
        move(START + 31 * DAY)
        with pytest.raises(ExceptionGroup, match="still there"):
            await unproven.forget_unproven()
    async with transaction() as tx:
        assert [account.id for account in await tx.exec(select(Account))] == [first]


async def test_a_hold_keeps_it_and_whoever_is_invited_by_staff_has_as_long(house, grace):
    with frozen(START) as move:
        await typed(ADA)
        async with transaction() as tx:
            await people.create_account(tx, "new@example.com")
            again = await _fresh(grace)
            new = holds.NewHold(email=ADA, ground="Order 7 of a court", review_by=START + 90 * DAY)
            hold = await holds.place(tx, again, new)
        move(START + 33 * DAY)
        await unproven.forget_unproven()
        assert await accounts() == {ADA, grace.email}
        assert "1 addresses wait" in await found()
        async with transaction() as tx:
            await holds.release(tx, await _fresh(grace), hold.handle, "It is over")
        await unproven.forget_unproven()
        assert await accounts() == {grace.email}


async def test_a_hold_on_a_part_of_it_makes_it_wait_and_keeps_the_promise(house, grace, monkeypatch):
    monkeypatch.setattr(unproven, "AT_ONCE", 1)
    with frozen(START) as move:
        for email in (ADA, BOB):
            await typed(email)
        async with transaction() as tx:
            new = holds.NewHold(email=ADA, tables=("mail_token",), ground="Order 8", review_by=START + 90 * DAY)
            hold = await holds.place(tx, await _fresh(grace), new)
        move(START + 33 * DAY)
        with pytest.raises(promises.Broken, match="1 accounts should have been erased"):
            await found()  # Bob's, which nothing holds
        await unproven.forget_unproven()
        assert await accounts() == {ADA, grace.email}
        told = "1 addresses wait to be proved; none for longer than 30 days; 1 wait for a legal hold on a part of them."
        assert await found() == told
        async with transaction() as tx:
            await holds.release(tx, await _fresh(grace), hold.handle, "It is over")
        assert await found() == told  # until the next night
        await unproven.forget_unproven()
        assert await accounts() == {grace.email}


async def test_nobody_is_late_before_the_night_after_a_hold_or_an_answer(house, grace):
    with frozen(START) as move:
        await typed(ADA)
        async with transaction() as tx:
            asked = await requests.enter(tx, grace, "access", BOB, START)
            new = holds.NewHold(email=ADA, ground="Order 9", review_by=START + 90 * DAY)
            hold = await holds.place(tx, await _fresh(grace), new)
        await typed(BOB)
        move(START + 40 * DAY)
        async with transaction() as tx:
            await holds.release(tx, await _fresh(grace), hold.handle, "It is over")
            await requests.answer(tx, grace, asked.handle, "done", "We hold nothing but this letter")
        assert "2 addresses wait to be proved" in await found()
        move(START + 42 * DAY + timedelta(minutes=1))
        with pytest.raises(promises.Broken, match="2 accounts should have been erased"):
            await found()


async def test_who_wrote_to_us_from_that_address_is_answered_before_it_is_forgotten(house, grace):
    with frozen(START) as move:
        async with transaction() as tx:  # Ada asks by mail; then somebody signs up with her address, and with Bob's
            asked = await requests.enter(tx, grace, "access", ADA, START)
        await typed(ADA)
        await typed(BOB)
        async with transaction() as tx:
            bobs = await requests.enter(tx, grace, "correction", BOB, START)
        move(START + 33 * DAY)
        await unproven.forget_unproven()
        assert await accounts() == {ADA, BOB, grace.email}
        assert "2 addresses wait" in await found()
        async with transaction() as tx:
            for one in (asked, bobs):
                await requests.answer(tx, grace, one.handle, "done", "We hold nothing but this letter")
            told = {letter.to_email for letter in await tx.exec(select(OutgoingMail))}
        assert {ADA, BOB} <= told
        await unproven.forget_unproven()
        assert await accounts() == {grace.email}


async def _fresh(person):
    from dataclasses import replace

    from assisters_app.base.clock import now

    return replace(person, reauthenticated_at=now())
