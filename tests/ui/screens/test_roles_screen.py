"""Grace gives and takes roles on a page that everyone of staff can read."""

import pytest
from cast import BOB, GRACE
from sqlmodel import select, update

import assisters_app.assisters_app  # noqa: F401 (registers every State)
from assisters_app.accounts import sessions
from assisters_app.accounts.tables import Account, Session
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.ui.staff.roles import RolesState


@pytest.fixture
async def bob(signs_in):
    signed = await signs_in(BOB)
    async with transaction() as tx:
        await tx.exec(update(Account).where(Account.email == BOB).values(verified_at=now()))
    return signed


async def role_of(email):
    async with transaction() as tx:
        return (await tx.exec(select(Account.role).where(Account.email == email))).one()


async def test_grace_gives_bob_a_role_and_all_of_staff_read_who_gave_it(bob, grace, tab):
    page = tab(grace)
    await page.send(RolesState.ask, dialog="give", whose=BOB)
    shown = await page.send(RolesState.give, sent={"email": BOB, "role": "support"})
    assert shown.said() == "Done. They and every other admin are told by mail."
    sessions._known.clear()
    seen = (await tab(bob).send(RolesState.load)).of(RolesState)
    assert [(one.email, one.role, one.me) for one in seen["team"]] == [(GRACE, "Admin", False), (BOB, "Support", True)]
    assert [(one.whose, one.what, one.by) for one in seen["changes"]] == [(BOB, "Member → Support", GRACE)]


async def test_what_cannot_be_given_is_said_in_the_dialog(bob, grace, tab):
    page = tab(grace)
    await page.send(RolesState.ask, dialog="give", whose="")
    for whose, role, says in (
        (GRACE, "member", "Nobody changes their own role: another admin does."),
        ("nobody@example.com", "admin", "That account does not exist."),
        (BOB, "owner", "That is their role already."),
    ):
        shown = await page.send(RolesState.give, sent={"email": whose, "role": role})
        assert shown.of(RolesState)["problem"] == says
    assert (await role_of(BOB), await role_of(GRACE)) == ("member", "admin")


async def test_who_has_not_just_proven_who_they_are_is_led_there_first(bob, grace, tab):
    async with transaction() as tx:
        await tx.exec(
            update(Session)
            .where(Session.account_id == grace.person.account_id)
            .values(reauthenticated_at=grace.person.reauthenticated_at.replace(year=2020))
        )
    sessions._known.clear()
    shown = await tab(grace).send(RolesState.give, sent={"email": BOB, "role": "admin"})
    assert not shown.of(RolesState).get("problem")
    assert await role_of(BOB) == "member"
