"""Staff have roles: each may do what one table says, nobody gives one to themselves, and every admin hears of it."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from cast import ADA, GRACE, MALLORY
from sqlmodel import col, select

from assisters_app.accounts import people, rights, roles, sessions
from assisters_app.accounts.tables import Account
from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused

HENRY = "henry@assisters.example"


@pytest.fixture
async def hire(joins):
    """Give somebody an account with a role, from the command line; return who they are, and their cookie."""

    async def hired(email, role="admin"):
        cookie, _ = await joins(email)
        async with transaction() as tx:
            await people.create_account(tx, email, role)
        return await sessions.resolve(cookie), cookie

    return hired


async def role_of(email):
    async with transaction() as tx:
        return (await tx.exec(select(Account.role).where(Account.email == email))).one()


def test_a_member_has_no_right_and_an_unknown_role_neither():
    assert rights.rights_of("member") == rights.rights_of("staff") == rights.rights_of("") == ()
    assert rights.role_named("staff") == "member"


def test_support_has_fewer_rights_than_an_admin_and_both_stand_in_one_table():
    support, admin = set(rights.rights_of("support")), set(rights.rights_of("admin"))
    assert support < admin
    assert support == {"desk", "accounts", "support", "requests"}
    assert {duty.right for duty in rights.DUTIES} - admin == {"content"}
    assert len({duty.right for duty in rights.DUTIES}) == len(rights.DUTIES)


async def test_a_role_is_in_force_at_the_next_click_and_ends_as_soon(hire, joins):
    grace, _ = await hire(GRACE)
    cookie, _ = await joins(HENRY)
    for role in ("support", "admin", "member"):
        async with transaction() as tx:
            await roles.give(tx, grace, f" {HENRY.upper()}", role)
        assert (await sessions.resolve(cookie)).role == role


async def test_giving_a_role_is_written_down_and_told_to_its_owner_and_every_other_admin(hire, joins, mailbag, trail):
    grace, _ = await hire(GRACE)
    await hire("iris@assisters.example")
    _, henry = await joins(HENRY)
    graces = len(await mailbag.letters(GRACE))  # of Iris she was told: that was done at the command line
    async with transaction() as tx:
        await roles.give(tx, grace, HENRY, "support")
    assert "role:given" in await trail(henry.account_id)
    letter = (await mailbag.letters("iris@assisters.example"))[-1]
    assert letter["subject"] == "A role was changed"
    assert f"{HENRY} was member and is support now." in letter["paragraphs"]
    assert (await mailbag.letters(HENRY))[-1]["subject"] == "Your role was changed"
    assert len(await mailbag.letters(GRACE)) == graces == 3
    async with transaction() as tx:
        change = (await roles.changes(tx, grace))[0]
        team = await roles.team(tx, replace(henry, role="support"))
    assert (change.whose, change.before, change.after, change.by) == (HENRY, "member", "support", GRACE)
    assert [(one.email, one.role) for one in team] == [
        (GRACE, "admin"),
        ("iris@assisters.example", "admin"),
        (HENRY, "support"),
    ]


async def test_nobody_gives_a_role_without_the_right_a_recent_proof_and_another_person(hire, joins):
    grace, _ = await hire(GRACE)
    henry, _ = await hire(HENRY, "support")
    _, mallory = await joins(MALLORY)
    old = replace(grace, reauthenticated_at=clock.now() - timedelta(minutes=11))
    async with transaction() as tx:
        await people.create_account(tx, ADA)  # she has not followed the link yet
    for who, whom, role, code in (
        (mallory, MALLORY, "admin", "not_found"),
        (henry, HENRY, "admin", "not_found"),
        (henry, GRACE, "member", "not_found"),
        (old, HENRY, "admin", "reauthenticate"),
        (grace, GRACE, "support", "own_role"),
        (grace, HENRY, "support", "same_role"),
        (grace, ADA, "support", "unproven"),
        (grace, "nobody@example.com", "support", "not_found"),
    ):
        with pytest.raises(Refused) as refused:
            async with transaction() as tx:
                await roles.give(tx, who, whom, role)
        assert refused.value.code == code, (who.email, whom)
    assert (await role_of(GRACE), await role_of(HENRY), await role_of(MALLORY)) == ("admin", "support", "member")


async def test_two_admins_who_take_each_others_role_at_once_leave_one(hire):
    grace, _ = await hire(GRACE)
    iris, _ = await hire("iris@assisters.example")

    async def takes(who, whom):
        async with transaction() as tx:
            await roles.give(tx, who, whom, "member")

    done = await asyncio.gather(takes(grace, iris.email), takes(iris, grace.email), return_exceptions=True)
    assert [type(one) for one in done if one is not None] == [NotFound]
    assert sorted([await role_of(GRACE), await role_of(iris.email)]) == ["admin", "member"]


async def suspends(tx, who, whom):
    await people.suspend(tx, who, whom.account_id, "Gone bad.")


async def demotes(tx, who, whom):
    await roles.give(tx, who, whom.email, "member")


async def test_whatever_three_admins_do_to_each_other_at_once_one_is_left_to_undo_it(hire, house):
    three = [(await hire(f"{name}@assisters.example"))[0] for name in ("grace", "iris", "joan")]

    async def does(who, whom, act):
        async with transaction() as tx:
            await act(tx, who, whom)

    others = [[(one, act) for one in three if one is not who for act in (suspends, demotes)] for who in three]
    for choices in itertools.islice(itertools.product(*others), 0, None, 5):
        done = await asyncio.gather(
            *(does(who, *choice) for who, choice in zip(three, choices, strict=True)), return_exceptions=True
        )
        assert {type(one) for one in done} <= {type(None), NotFound, Refused}, done
        async with transaction() as tx:
            assert await rights.holders(tx, "roles"), [(one.email, act.__name__) for one, act in choices]
            team = select(Account).where(col(Account.id).in_([one.account_id for one in three]))
            for account in await tx.exec(team):
                account.role, account.suspended_at, account.suspension_reason = "admin", None, ""


async def test_who_was_suspended_gives_no_role_and_hears_of_none(hire, joins, mailbag):
    grace, _ = await hire(GRACE)
    iris, _ = await hire("iris@assisters.example")
    async with transaction() as tx:
        await people.suspend(tx, grace, iris.account_id, "Lost her laptop.")
    heard = len(await mailbag.letters(iris.email))
    await joins(HENRY)
    with pytest.raises(NotFound):
        async with transaction() as tx:
            await roles.give(tx, iris, HENRY, "admin")
    async with transaction() as tx:
        await roles.give(tx, grace, HENRY, "support")
    assert len(await mailbag.letters(iris.email)) == heard
