"""The register: both channels in one queue, two clocks, answers with reasons."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, GRACE
from customers import customer
from hypothesis import given
from hypothesis import strategies as st
from mails import waiting_mail
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import people
from assisters_app.accounts.tables import Account
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import promises
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.rights import access, export, requests

STRANGER = "stranger@example.com"


def day(year, month, number):
    return datetime(year, month, number, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("received", "gdpr", "ccpa", "confirm"),
    [
        (day(2026, 1, 31), day(2026, 2, 28), day(2026, 3, 17), day(2026, 2, 13)),
        (day(2028, 1, 31), day(2028, 2, 29), day(2028, 3, 16), day(2028, 2, 14)),
        (day(2026, 12, 31), day(2027, 1, 31), day(2027, 2, 14), day(2027, 1, 14)),
        (day(2026, 11, 23), day(2026, 12, 23), day(2027, 1, 7), day(2026, 12, 7)),
    ],
)
def test_the_clocks_know_short_months_and_weekends(received, gdpr, ccpa, confirm):
    assert requests.deadlines(received) == requests.Deadlines(confirm, gdpr, ccpa)
    assert requests.deadlines(received).earliest == gdpr


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_month_is_never_longer_than_31_days_and_confirming_comes_first(received):
    due = requests.deadlines(received)
    assert timedelta(days=28) <= due.gdpr_due - received <= timedelta(days=31)
    assert due.confirm_by < due.earliest
    assert due.confirm_by.weekday() < 5


async def entered(grace, email, received_at, kind="access"):
    async with transaction() as tx:
        return await requests.enter(tx, grace, kind, email, received_at)


async def test_what_is_pasted_with_a_nul_in_it_arrives_without(ada):
    async with transaction() as tx:
        assert (await requests.ask(tx, ada, "question", "Where\x00 is it?")).words == "Where is it?"


async def test_a_mailed_request_with_its_true_date_stands_before_younger_ones(ada, grace):
    await entered(grace, STRANGER, now() - timedelta(days=2))
    await entered(grace, ADA, now() - timedelta(days=20))
    async with transaction() as tx:
        queue = await requests.queue(tx, grace)
    assert [row.email for row in queue] == [ADA, STRANGER]
    async with transaction() as tx:
        (hers,) = await requests.mine(tx, ada)
    assert hers.channel == "email"


async def test_grace_answers_in_the_moment_in_which_adas_account_changes_and_neither_fails(ada, grace):
    handle = (await entered(grace, ADA, now(), "question")).handle
    waits = text("SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid")

    async def answer():
        async with transaction() as tx:
            await requests.answer(tx, grace, handle, "done", "On Tuesday.")

    async with transaction() as tx:
        await tx.exec(select(Account).where(Account.id == ada.account_id).with_for_update())  # as an erasure holds it
        answering = asyncio.create_task(answer())
        while not (answering.done() or (await tx.sql(waits)).first()):  # noqa: ASYNC110 (a lock rings no bell)
            await asyncio.sleep(0.01)
        await requests.end_with_account(tx, ada.account_id, "rcp_ADA")
    with pytest.raises(Refused, match="answered already"):
        await answering


async def test_ada_can_read_who_saw_her_request_in_the_queue(ada, grace):
    await entered(grace, ADA, now())
    async with transaction() as tx:
        await requests.queue(tx, grace)
    async with transaction() as tx:
        seen = (await tx.exec(select(TrailEntry).where(TrailEntry.action == "request:viewed"))).one()
    assert (seen.account_id, seen.actor_id) == (ada.account_id, grace.account_id)


async def test_access_and_export_write_themselves_into_the_register(ada, bob):
    async with transaction() as tx:
        await access.copy(tx, ada)
        await export.begin(tx, ada)
    async with transaction() as tx:
        assert sorted((row.kind, row.state) for row in await requests.mine(tx, ada)) == [
            ("access", "done"),
            ("export", "done"),
        ]
        assert await requests.mine(tx, bob) == ()


async def test_a_refusal_needs_its_reason_and_an_answer_is_given_once(ada, grace):
    row = await entered(grace, ADA, now())

    async def answer(outcome):
        async with transaction() as tx:
            await requests.answer(tx, grace, row.handle, "refused", outcome)

    with pytest.raises(Refused, match="Say what was done"):
        await answer("  ")
    await answer("We hold nothing under this name. You may complain to a supervisory authority.")
    with pytest.raises(Refused, match="already"):
        await answer("Again")
    async with transaction() as tx:
        (hers,) = await requests.mine(tx, ada)
        assert hers.state == "refused"
        assert await requests.queue(tx, grace) == ()


async def test_only_staff_see_the_queue_and_answer_it(ada, grace):
    row = await entered(grace, STRANGER, now())
    async with transaction() as tx:
        for attempt in (
            requests.queue(tx, ada),
            requests.enter(tx, ada, "access", STRANGER, now()),
            requests.answer(tx, ada, row.handle, "done", "Done"),
        ):
            with pytest.raises(Refused, match="does not exist"):
                await attempt


async def test_a_request_cannot_have_arrived_tomorrow(grace):
    with pytest.raises(Refused, match="future"):
        await entered(grace, STRANGER, now() + timedelta(days=1))


async def test_an_open_request_past_its_earlier_date_is_overdue(grace):
    received = day(2026, 11, 1)
    with frozen(received):
        await entered(grace, STRANGER, received)
    for at, overdue in ((day(2026, 12, 1), False), (day(2026, 12, 1) + timedelta(seconds=1), True)):
        with frozen(at):
            async with transaction() as tx:
                (row,) = await requests.queue(tx, grace)
            assert row.overdue is overdue


async def act(verb, *args):
    async with transaction() as tx:
        return await verb(tx, *args)


def said(letter):
    return " ".join((letter["subject"], *letter["paragraphs"]))


async def row_of(grace, handle):
    row, _ = await act(requests.view, grace, handle)
    return row


@pytest.mark.promise("6.6")
async def test_ada_asks_in_the_dashboard_and_is_told_at_once_by_when_she_gets_her_answer(ada, bob, grace):
    with frozen(day(2026, 1, 31)):
        row = await act(requests.ask, ada, "objection", "  Do not use my data for improving things.  ")
        (letter,) = await waiting_mail(ADA)
    assert row.acknowledged_at == day(2026, 1, 31)
    assert "28 February 2026" in said(letter)
    seen = await row_of(grace, row.handle)
    assert (seen.words, seen.channel, seen.email) == ("Do not use my data for improving things.", "dashboard", ADA)
    assert await act(requests.mine, bob) == ()
    with pytest.raises(Refused, match="Say what"):
        await act(requests.ask, ada, "question", "  ")


async def test_nobody_floods_the_queue(ada):
    for _ in range(requests.OFTEN.most):
        await act(requests.ask, ada, "question", "Again")
    with pytest.raises(Refused, match="Too many"):
        await act(requests.ask, ada, "question", "Again")


@pytest.mark.promise("6.6")
async def test_a_backdated_request_by_mail_is_confirmed_at_once_and_its_clocks_run_from_its_true_date(grace):
    received = day(2026, 11, 2)
    with frozen(day(2026, 11, 24)):
        row = await entered(grace, STRANGER, received)
        (letter,) = await waiting_mail(STRANGER)
    assert (row.due, row.ccpa_due) == (day(2026, 12, 2), day(2026, 12, 17))
    assert "02 November 2026" in said(letter)
    assert "02 December 2026" in said(letter)


@pytest.mark.promise("6.6")
async def test_asking_who_somebody_is_stops_the_gdprs_clock_and_never_the_ccpas(ada, grace):
    with frozen(day(2026, 3, 2)) as move:
        row = await entered(grace, ADA, now())
        move(day(2026, 3, 4))
        await act(requests.ask_identity, grace, row.handle, "The mail came from another address.")
        assert "another address" in said((await waiting_mail(ADA))[-1])
        move(day(2026, 3, 30))
        still = await row_of(grace, row.handle)
        assert (still.paused, still.gdpr_due, still.ccpa_due) == (True, day(2026, 4, 28), row.ccpa_due)
        assert still.due == row.ccpa_due
        await act(requests.confirm_identity, replace(ada, reauthenticated_at=now()), row.handle)
        on = await row_of(grace, row.handle)
        assert (on.paused, on.gdpr_due, on.ccpa_due) == (False, day(2026, 4, 28), row.ccpa_due)
        move(day(2026, 4, 16) + timedelta(hours=1))
        assert (await row_of(grace, row.handle)).overdue


async def test_only_whose_request_it_is_confirms_it_and_only_after_proving_who_they_are(ada, bob, grace):
    row = await entered(grace, ADA, now())
    await act(requests.ask_identity, grace, row.handle, "A new address")
    stale = replace(ada, reauthenticated_at=now() - timedelta(hours=1))
    for who, sentence in ((bob, "does not exist"), (stale, "Confirm that it is you")):
        with pytest.raises(Refused, match=sentence):
            await act(requests.confirm_identity, who, row.handle)
    await act(requests.identity_confirmed, grace, row.handle)
    with pytest.raises(Refused, match="does not exist"):
        await act(requests.confirm_identity, ada, row.handle)
    with pytest.raises(Refused, match="asked already"):
        await act(requests.ask_identity, grace, row.handle, "Once more")


@pytest.mark.promise("6.6")
async def test_more_time_is_taken_once_with_a_reason_that_is_mailed_and_only_before_the_first_date(grace):
    with frozen(day(2026, 1, 31)) as move:
        row, late = await entered(grace, STRANGER, now()), await entered(grace, STRANGER, now())
        with pytest.raises(Refused, match="Give the reason"):
            await act(requests.extend, grace, row.handle, " ")
        await act(requests.extend, grace, row.handle, "Four archives have to be searched.")
        longer = await row_of(grace, row.handle)
        assert (longer.gdpr_due, longer.ccpa_due) == (day(2026, 4, 30), day(2026, 1, 31) + timedelta(days=90))
        letter = said((await waiting_mail(STRANGER))[-1])
        assert "Four archives" in letter
        assert "supervisory authority" in letter
        assert "30 April 2026" in letter
        with pytest.raises(Refused, match="extended already"):
            await act(requests.extend, grace, row.handle, "Again")
        move(day(2026, 2, 28) + timedelta(seconds=1))
        with pytest.raises(Refused, match="too late"):
            await act(requests.extend, grace, late.handle, "Forgotten")


@pytest.mark.promise("6.6")
async def test_a_refusal_is_mailed_with_its_reason_and_how_to_appeal(ada, grace):
    row = await entered(grace, ADA, now())
    await act(requests.answer, grace, row.handle, "refused", "We hold nothing under this name.")
    letter = said((await waiting_mail(ADA))[-1])
    for part in ("We hold nothing", "appeal", "Another person", "supervisory authority", "court"):
        assert part in letter


@pytest.mark.promise("2.4")
async def test_whoever_suspended_ada_or_refused_her_does_not_decide_her_appeal(ada, grace):
    henry = replace(await customer("henry@assisters.example"), role="admin")
    async with transaction() as tx:
        (await tx.get_one(Account, henry.account_id)).role = "admin"
        await people.suspend(tx, grace, ada.account_id, "Fraud")
    appeal = await entered(grace, ADA, now(), "appeal")
    refused = await entered(henry, STRANGER, now())
    await act(requests.answer, henry, refused.handle, "refused", "No")
    other = await entered(henry, STRANGER, now(), "appeal")
    for member, email, handle in ((grace, GRACE, appeal.handle), (henry, henry.email, other.handle)):
        with pytest.raises(Refused, match="Another person"):
            await act(requests.answer, member, handle, "refused", "I was right")
        with pytest.raises(Refused, match="Another person"):
            await act(requests.assign, member, handle, email)
    await act(requests.assign, grace, appeal.handle, henry.email)
    assert (await row_of(grace, appeal.handle)).assigned == henry.email
    await act(requests.answer, henry, appeal.handle, "done", "Opened again")
    await act(requests.answer, grace, other.handle, "done", "Done after all")


async def test_a_request_is_assigned_to_staff_and_its_person_does_not_learn_to_whom(ada, grace):
    row = await entered(grace, ADA, now())
    await act(requests.assign, grace, row.handle, GRACE)
    with pytest.raises(Refused, match="member of staff"):
        await act(requests.assign, grace, row.handle, ADA)
    (hers,) = await act(requests.mine, ada)
    assert hers.assigned == ""
    await act(requests.assign, grace, row.handle, "")
    seen, steps = await act(requests.view, grace, row.handle)
    assert seen.assigned == ""
    assert [step.action for step in steps] == ["request:entered", "request:assigned", "request:assigned"]


@pytest.mark.promise("6.6")
async def test_a_request_past_its_date_or_unconfirmed_breaks_the_promise(grace):
    with frozen(day(2026, 3, 2)) as move:
        row = await entered(grace, STRANGER, now())
        assert "1 requests are open" in await act(requests.requests_in_time)
        move(day(2026, 4, 2) + timedelta(minutes=1))
        with pytest.raises(promises.Broken, match="past the date"):
            await act(requests.requests_in_time)
        await act(requests.answer, grace, row.handle, "done", "Sent")
        async with transaction() as tx:
            silent = await requests.record(tx, "access", "email", email=STRANGER, acknowledged=False)
        move(day(2026, 4, 18))
        with pytest.raises(promises.Broken, match="ten business days"):
            await act(requests.requests_in_time)
        await act(requests.acknowledge, grace, silent.handle)
        assert "1 requests are open" in await act(requests.requests_in_time)


@pytest.mark.promise("6.6")
async def test_an_erasure_that_begins_at_its_deadline_breaks_nothing_while_it_is_carried_out(ada):
    with frozen(day(2026, 4, 10)) as move:
        closing = await act(erasure.close, replace(ada, reauthenticated_at=now()))
        assert closing.carry_out_at == day(2026, 5, 10), "30 days, and a month of April"
        move(closing.carry_out_at + timedelta(minutes=59))
        assert "1 requests are open" in await act(requests.requests_in_time)
        assert not (await act(requests.mine, ada))[0].overdue
        move(closing.carry_out_at + timedelta(minutes=61))
        assert (await act(requests.mine, ada))[0].overdue
        with pytest.raises(promises.Broken, match="past the date"):
            await act(requests.requests_in_time)


async def test_every_verb_of_staff_is_refused_to_ada(ada, grace):
    row = await entered(grace, STRANGER, now())
    for verb, *more in (
        (requests.view,), (requests.acknowledge,), (requests.assign, GRACE), (requests.ask_identity, "Doubt"),
        (requests.identity_confirmed,), (requests.extend, "Long"), (requests.answer, "done", "Done"),
    ):  # fmt: skip
        with pytest.raises(Refused, match="does not exist"):
            await act(verb, ada, row.handle, *more)
    with pytest.raises(Refused, match="does not exist"):
        await act(requests.members, ada)
