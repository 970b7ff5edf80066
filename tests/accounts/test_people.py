"""Grace from staff looks after accounts, and every look leaves a line that its owner can read."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from cast import ADA, BOB, GRACE, MALLORY, PASSWORD
from places import HERE
from sqlmodel import select

from assisters_app.accounts import people, resetting, sessions, signing_in, signing_up, verifying
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import TrailEntry


@pytest.fixture
async def staff(joins):
    """Grace, signed in."""
    cookie, _ = await joins(GRACE)
    async with transaction() as tx:
        await people.create_account(tx, GRACE, role="admin")
    return await sessions.resolve(cookie)


async def test_who_is_made_staff_is_staff_at_the_next_click(staff):
    assert staff.role == "admin"


async def test_no_member_can_do_what_staff_does(joins):
    _, mallory = await joins(MALLORY)
    _, ada = await joins(ADA)
    for act in (
        lambda tx: people.listed(tx, mallory),
        lambda tx: people.view(tx, mallory, ada.account_id),
        lambda tx: people.suspend(tx, mallory, ada.account_id, "because"),
        lambda tx: people.unsuspend(tx, mallory, ada.account_id),
    ):
        with pytest.raises(NotFound):
            async with transaction() as tx:
                await act(tx)


async def test_a_look_at_adas_account_is_written_where_she_can_read_it(joins, staff):
    """Promise 5.5."""
    _, ada = await joins(ADA)
    async with transaction() as tx:
        seen = await people.view(tx, staff, ada.account_id)
    assert (seen.email, seen.organization_id, seen.plan) == (ADA, ada.organization_id, "free")
    async with transaction() as tx:
        entry = (await tx.exec(select(TrailEntry).where(TrailEntry.action == "account:viewed"))).one()
    assert (entry.account_id, entry.actor_id) == (ada.account_id, staff.account_id)


async def test_nobody_to_look_at_is_nobody(staff):
    with pytest.raises(NotFound):
        async with transaction() as tx:
            await people.view(tx, staff, staff.session_id)


async def test_a_list_names_nobody_and_is_written_down(joins, staff):
    await joins(ADA)
    async with transaction() as tx:
        page = await people.listed(tx, staff)
    assert [row.masked_email for row in page.rows] == ["a…@example.com", "g…@assisters.example"]
    assert page.next is None
    async with transaction() as tx:
        await people.listed(tx, staff)  # within the hour the same look is not written down again
    async with transaction() as tx:
        ada = (await tx.exec(select(Account.id).where(Account.email == ADA))).one()
        entry = (await tx.exec(select(TrailEntry).where(TrailEntry.action == "account:listed"))).one()
    assert (entry.account_id, entry.actor_id) == (ada, staff.account_id)


@pytest.mark.parametrize(
    ("search", "found"),
    [(" ADA@Example.com ", ["a…@example.com"]), ("bob@example.org", ["b…@example.org"]), ("ada@", []), ("%", []),
     ("a_a", []), ("nobody", [])],
)  # fmt: skip
async def test_staff_finds_an_account_by_its_whole_address_since_none_can_be_read_in_the_database(
    joins, staff, search, found
):
    await joins(ADA)
    await joins(BOB)
    async with transaction() as tx:
        assert [row.masked_email for row in (await people.listed(tx, staff, people.Sought(search))).rows] == found


async def test_staff_finds_an_account_by_its_name_its_organization_and_either_id(joins, staff):
    _, ada = await joins(ADA)
    await joins(BOB)
    async with transaction() as tx:
        account = await tx.get_one(Account, ada.account_id)
        account.name = "Ada Lovelace"
        organization = await tx.get_one(Organization, ada.organization_id)
        organization.name = "Analytical Engines"
    for search in ("lovelace", "ENGINES", organization.handle, str(ada.account_id), f" {ada.organization_id} "):
        async with transaction() as tx:
            found = await people.listed(tx, staff, people.Sought(search))
        assert [row.id for row in found.rows] == [ada.account_id], search
    async with transaction() as tx:
        assert (await people.listed(tx, staff, people.Sought(str(staff.session_id)))).rows == ()


async def test_the_list_goes_on_where_it_stopped(staff, monkeypatch):
    monkeypatch.setattr(people, "PAGE", 4)
    async with transaction() as tx:
        for turn in range(9):
            await signing_up.open_account(tx, f"dev{turn}@example.com")
    seen, after = [], None
    while True:
        async with transaction() as tx:
            page = await people.listed(tx, staff, after=after)
        seen += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break
    async with transaction() as tx:
        everybody = (await tx.exec(select(Account.id))).all()
    assert len(seen) == len(set(seen)) == len(everybody) == 10
    assert set(seen) == set(everybody)


async def test_a_suspended_account_gets_the_reason_and_a_way_to_appeal(joins, staff, mailbag, trail):
    """Promise 2.4."""
    cookie, ada = await joins(ADA)
    async with transaction() as tx:
        await people.suspend(tx, staff, ada.account_id, "Keys sold to others.")
    assert await sessions.resolve(cookie) is None
    with pytest.raises(Refused, match="Keys sold to others") as refused:
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)
    assert refused.value.code == "suspended"
    assert "legal@assisters.io" in str(refused.value)
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, "a stranger's guess", HERE)
    letter = (await mailbag.letters(ADA))[-1]
    assert "Keys sold to others." in " ".join(letter["paragraphs"])
    assert "legal@assisters.io" in " ".join(letter["paragraphs"])
    assert (await trail(ada.account_id))[-2:] == ["session:ended-all", "account:suspended"]


async def test_a_suspension_ends(joins, staff, mailbag, trail):
    _, ada = await joins(ADA)
    async with transaction() as tx:
        await people.suspend(tx, staff, ada.account_id, "A mistake of ours.")
    async with transaction() as tx:
        await people.unsuspend(tx, staff, ada.account_id)
    async with transaction() as tx:
        assert await signing_in.sign_in(tx, ADA, PASSWORD, HERE)
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Your account is open again"
    assert "account:unsuspended" in await trail(ada.account_id)


async def test_a_suspension_needs_a_reason_a_recent_proof_and_somebody_else(joins, staff):
    _, ada = await joins(ADA)
    old = replace(staff, reauthenticated_at=clock.now() - timedelta(minutes=11))
    for who, whom, reason, code in (
        (staff, ada.account_id, "  ", "no_reason"),
        (old, ada.account_id, "because", "reauthenticate"),
        (staff, staff.account_id, "because", "own_account"),
    ):
        with pytest.raises(Refused) as refused:
            async with transaction() as tx:
                await people.suspend(tx, who, whom, reason)
        assert refused.value.code == code


async def test_an_account_made_at_the_command_line_is_opened_by_setting_a_password(house):
    async with transaction() as tx:
        link = await people.create_account(tx, "Grace@Assisters.example", role="admin")
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, GRACE, PASSWORD, HERE)
    token = re.search(r"/reset\?token=([\w-]+)$", link).group(1)
    async with transaction() as tx:
        await resetting.reset(tx, token, PASSWORD, HERE)
    async with transaction() as tx:
        cookie = (await signing_in.sign_in(tx, GRACE, PASSWORD, HERE)).reveal()
    person = await sessions.resolve(cookie)
    assert (person.role, person.verified) == ("admin", True)


async def test_who_signed_up_with_graces_address_before_her_is_not_made_staff_with_her(house, mailbag):
    async with transaction() as tx:
        await signing_up.sign_up(tx, GRACE, PASSWORD, HERE)  # it was Mallory, who knows this password
    mallorys_link = await mailbag.token(GRACE)
    async with transaction() as tx:
        await people.create_account(tx, GRACE, role="admin")
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await verifying.verify(tx, mallorys_link)
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, GRACE, PASSWORD, HERE)


async def test_making_an_account_again_takes_nothing_away(staff):
    async with transaction() as tx:
        await people.create_account(tx, GRACE)
    async with transaction() as tx:
        account = (await tx.exec(select(Account).where(Account.email == GRACE))).one()
    assert account.role == "admin"
    async with transaction() as tx:
        assert await signing_in.sign_in(tx, GRACE, PASSWORD, HERE)
