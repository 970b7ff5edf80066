"""An incident starts a clock of 72 hours, drafts what is to be said, and reaches whom it touched."""

from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, BOB
from sqlmodel import select

from assisters_app.base import jobs
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.registers import incidents
from assisters_app.privacy.registers.tables import IncidentNotice
from assisters_app.privacy.rights import access


def happened(**more):
    usual = {
        "title": "A lost laptop",
        "what": "A laptop with a dump of the database was lost.",
        "consequences": "Somebody could read addresses.",
        "categories": ("user.contact.email",),
        "risk": "risk",
        "aware_at": now(),
        "addresses": (ADA,),
    }
    return incidents.NewIncident.model_validate({**usual, **more})


async def entered(staff, **more):
    async with transaction() as tx:
        return await incidents.enter(tx, staff, happened(**more))


async def mails():
    async with transaction() as tx:
        return sorted((mail.to_email, mail.subject) for mail in await tx.exec(select(OutgoingMail)))


@pytest.mark.promise("5.6")
async def test_entering_an_incident_starts_72_hours_and_drafts_what_is_to_be_said(ada, bob, grace):
    row = await entered(grace)
    assert row.tell_by == row.aware_at + timedelta(hours=72)
    assert (row.notices, row.sent) == (1, 0)
    draft = incidents.to_authority(row, row.notices)
    for said in (row.handle, "became aware on", "A laptop with a dump", "user.contact.email", "legal@assisters.io",
                 "about 1 customers", "Somebody could read addresses", "to be completed"):  # fmt: skip
        assert said in draft
    async with transaction() as tx:
        (notice,) = await tx.exec(select(IncidentNotice))
    assert notice.account_id == ada.account_id
    assert "A laptop with a dump" in notice.text
    assert await mails() == []  # nothing leaves before staff has read it


@pytest.mark.promise("5.6")
async def test_an_incident_that_nobody_told_of_for_72_hours_makes_the_sentence_untrue(grace):
    row = await entered(grace, everyone=True, addresses=())
    async with transaction() as tx:
        with frozen(row.tell_by - timedelta(seconds=1)):
            assert "1 of them open; none is overdue" in await incidents.incidents_are_told_in_time(tx)
        with frozen(row.tell_by + timedelta(seconds=1)):
            with pytest.raises(Broken, match="1 incidents were not told"):
                await incidents.incidents_are_told_in_time(tx)
            (shown,) = await incidents.listed(tx, grace)
            assert shown.overdue
            assert "later than 72 hours, because" in incidents.to_authority(shown, 1)
    await told(grace, row, now(), "")
    async with transaction() as tx:
        with frozen(row.tell_by + timedelta(days=9)):
            await incidents.incidents_are_told_in_time(tx)


async def told(staff, row, at, why):
    async with transaction() as tx:
        await incidents.told_authority(tx, staff, row.handle, at, why)


async def test_what_is_told_late_or_not_at_all_needs_its_reason(grace):
    late = await entered(grace, aware_at=now() - timedelta(hours=80), addresses=())
    with pytest.raises(Refused, match="say why"):
        await told(grace, late, now(), " ")
    await told(grace, late, now(), "It was found on a holiday.")
    with pytest.raises(Refused, match="stands in the register already"):
        await told(grace, late, now(), "Another reason.")
    risky = await entered(grace, addresses=())
    with pytest.raises(Refused, match="unlikely to put anybody at risk"):
        await told(grace, risky, None, "We would rather not.")
    harmless = await entered(grace, risk="none", addresses=())
    await told(grace, harmless, None, "The disk was sealed.")
    for at in (now() + timedelta(hours=1), now() - timedelta(days=9)):
        with pytest.raises(Refused, match="before we knew, or is still to come"):
            await told(grace, risky, at, "")


async def test_notices_reach_whom_it_touched_once_and_stand_in_their_copy(ada, bob, grace, monkeypatch):
    row = await entered(grace)
    async with transaction() as tx:
        assert "A lost laptop" not in str((await access.copy(tx, ada)).sections)  # a draft is not a notice
        assert await incidents.send_notices(tx, grace, row.handle, "A laptop was lost.\n\nIt held your address.") == 1
    for _ in range(2):
        await incidents.notify(row.handle)
    assert await mails() == [(ADA, "A security incident touched your data")]
    async with transaction() as tx:
        assert "It held your address." in str((await access.copy(tx, ada)).sections)
        assert "It held your address." not in str((await access.copy(tx, bob)).sections)
        assert (await incidents.listed(tx, grace))[0].sent == 1


async def test_an_incident_of_everyone_is_drafted_for_everyone(ada, bob, grace, monkeypatch):
    monkeypatch.setattr(incidents, "AT_ONCE", 2)
    row = await entered(grace, everyone=True, addresses=())
    assert row.notices == 3
    async with transaction() as tx:
        await incidents.send_notices(tx, grace, row.handle, "Something happened.")
    await incidents.notify(row.handle)
    assert {to for to, _ in await mails()} == {ADA, BOB, grace.email}


async def test_staff_is_reminded_once_a_day_before_the_time_is_over(ada, grace):
    row = await entered(grace, addresses=())
    with frozen(row.tell_by - timedelta(hours=25)):
        await incidents.remind()
    assert await mails() == []
    with frozen(row.tell_by - timedelta(hours=23)):
        await incidents.remind()
        await incidents.remind()
    ((to, subject),) = await mails()
    assert to == grace.email
    assert row.handle in subject


async def test_an_incident_is_closed_only_once_it_was_told_and_with_what_was_done(grace):
    row = await entered(grace, addresses=())
    async with transaction() as tx:
        with pytest.raises(Refused, match="First the authority"):
            await incidents.close(tx, grace, row.handle, "Locked.")
    await told(grace, row, now(), "")
    async with transaction() as tx:
        with pytest.raises(Refused, match="Say what was done"):
            await incidents.close(tx, grace, row.handle, "  ")
        await incidents.close(tx, grace, row.handle, "The laptop was wiped from afar.")
        assert (await incidents.listed(tx, grace))[0].closed_at is not None


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"what": "ada@example.com was read."}, "Name nobody here"),
        ({"aware_at": datetime(2999, 1, 1, tzinfo=UTC)}, "in the future"),
        ({"categories": ("user.genetic",)}, "We hold no"),
        ({"addresses": ("nobody@example.com",)}, "has no account here"),
        ({"consequences": " "}, "what may come of it"),
    ],
)
async def test_what_cannot_be_is_not_entered(ada, grace, more, complaint):
    with pytest.raises(Refused, match=complaint):
        await entered(grace, **more)


async def test_mallory_knows_of_no_incidents(ada, bob, grace):
    row = await entered(grace)
    async with transaction() as tx:
        for attempt in (
            incidents.enter(tx, bob, happened()),
            incidents.listed(tx, bob),
            incidents.told_authority(tx, bob, row.handle, now(), ""),
            incidents.send_notices(tx, bob, row.handle, "x"),
            incidents.close(tx, bob, row.handle, "x"),
        ):
            with pytest.raises(NotFound):
                await attempt


def test_the_jobs_are_known():
    assert {"incidents.notify", "incidents.remind"} <= set(jobs._jobs)
