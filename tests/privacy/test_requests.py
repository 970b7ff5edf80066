"""The register: both channels in one queue, two clocks, answers with reasons."""

from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.tables import TrailEntry
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


async def test_a_mailed_request_with_its_true_date_stands_before_younger_ones(ada, grace):
    await entered(grace, STRANGER, now() - timedelta(days=2))
    await entered(grace, ADA, now() - timedelta(days=20))
    async with transaction() as tx:
        queue = await requests.queue(tx, grace)
    assert [row.email for row in queue] == [ADA, STRANGER]
    async with transaction() as tx:
        (hers,) = await requests.mine(tx, ada)
    assert hers.channel == "email"


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
