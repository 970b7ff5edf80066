"""Whoever holds the passwords keeps the same promises: our own database and Supabase Auth, one suite."""

import pytest
from argon2 import PasswordHasher
from cast import ADA, BOB, PASSWORD
from places import HERE
from sqlmodel import select

from assisters_app.accounts import passwords, recovering, resetting, sessions, signing_in, signing_up, verifying
from assisters_app.accounts.identity import identity, local
from assisters_app.accounts.identity import supabase_auth as remote
from assisters_app.accounts.tables import Account, ExternalIdentity, MailboxRecovery
from assisters_app.base import clock, jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.doubles.supabase_auth import User

OTHER = "staple battery horse correct 8"


@pytest.fixture(params=["local", "supabase"])
def adapter(request, house):
    """Run a test against each adapter."""
    if request.param == "supabase":
        request.getfixturevalue("supabase")
    return identity()


async def opened(email=ADA):
    async with transaction() as tx:
        return await signing_up.open_account(tx, email)


async def of(tx, account):
    return await tx.get_one(Account, account.id)


async def enrolled(adapter, email=ADA, password=PASSWORD):
    account = await opened(email)
    async with transaction() as tx:
        account = await of(tx, account)
        assert await adapter.enroll(tx, account, password)
        account.verified_at = account.created_at
        tx.add(account)
        await adapter.confirm(tx, account)
    return account


async def matches(adapter, account, password):
    async with transaction() as tx:
        return await adapter.matches(tx, await of(tx, account) if account else None, password)


def test_the_setting_chooses_the_adapter(house, monkeypatch):
    assert identity() is local


def test_with_a_supabase_address_it_is_supabase(supabase):
    assert identity() is remote


async def test_the_right_password_matches_and_no_other(adapter):
    ada, bob = await enrolled(adapter), await enrolled(adapter, BOB, OTHER)
    assert await matches(adapter, ada, PASSWORD)
    assert not await matches(adapter, ada, OTHER)
    assert not await matches(adapter, bob, PASSWORD)


async def test_a_password_means_the_same_however_it_was_typed(adapter):
    composed, decomposed = "caf\u00e9 with many words 9", "cafe\u0301 with many words 9"
    ada = await enrolled(adapter, password=composed)
    assert await matches(adapter, ada, decomposed)


async def test_nobody_matches_nothing(adapter):
    assert not await matches(adapter, None, PASSWORD)


async def test_an_account_without_a_password_matches_nothing(adapter):
    ada = await opened()
    async with transaction() as tx:
        assert not await adapter.has_password(tx, await of(tx, ada))
    assert not await matches(adapter, ada, PASSWORD)
    assert not await matches(adapter, ada, "")


async def test_an_unproven_address_matches_its_password_and_no_other(adapter):
    ada = await opened()
    async with transaction() as tx:
        await adapter.enroll(tx, await of(tx, ada), PASSWORD)
    assert await matches(adapter, ada, PASSWORD)
    assert not await matches(adapter, ada, OTHER)


async def test_a_new_password_replaces_the_old_one(adapter):
    ada = await enrolled(adapter)
    async with transaction() as tx:
        await adapter.set_password(tx, await of(tx, ada), OTHER)
    assert await matches(adapter, ada, OTHER)
    assert not await matches(adapter, ada, PASSWORD)


async def test_a_password_can_be_set_where_there_was_none(adapter):
    ada = await opened()
    async with transaction() as tx:
        await adapter.set_password(tx, await of(tx, ada), PASSWORD)
        assert await adapter.has_password(tx, await of(tx, ada))
    assert await matches(adapter, ada, PASSWORD)


async def test_the_password_moves_with_the_address(adapter):
    ada = await enrolled(adapter)
    async with transaction() as tx:
        account = await of(tx, ada)
        await adapter.change_email(tx, account, "ada@lovelace.example")
        account.email = "ada@lovelace.example"
        tx.add(account)
    assert await matches(adapter, ada, PASSWORD)


async def test_what_is_removed_matches_nothing_and_is_removed_twice_without_harm(adapter):
    ada = await enrolled(adapter)
    for _ in range(2):
        async with transaction() as tx:
            await adapter.remove(tx, await of(tx, ada))
    async with transaction() as tx:
        assert not await adapter.has_password(tx, await of(tx, ada))
    assert not await matches(adapter, ada, PASSWORD)


async def test_the_whole_way_in_is_the_same(adapter, joins, mailbag):
    cookie, person = await joins(ADA)
    assert (person.email, person.verified) == (ADA, True)
    async with transaction() as tx:
        await resetting.request_reset(tx, ADA, HERE)
    await jobs.run_waiting()
    async with transaction() as tx:
        await resetting.reset(tx, await mailbag.token(ADA), OTHER, HERE)
    assert await sessions.resolve(cookie) is None
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)
    async with transaction() as tx:
        assert await signing_in.sign_in(tx, ADA, OTHER, HERE)


async def test_our_database_raises_the_cost_of_an_old_hash_at_the_next_sign_in(house, monkeypatch):
    ada = await enrolled(local)
    dearer = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", dearer)
    assert await matches(local, ada, PASSWORD)
    async with transaction() as tx:
        assert not dearer.check_needs_rehash((await of(tx, ada)).password_hash)


async def test_with_supabase_no_hash_is_kept_by_us_and_no_session_stays_open_there(supabase):
    ada = await enrolled(remote)
    assert await matches(remote, ada, PASSWORD)
    async with transaction() as tx:
        assert (await of(tx, ada)).password_hash is None
        kept = (await tx.exec(select(ExternalIdentity))).one()
    assert (kept.issuer, kept.subject) == (f"{supabase.url}/auth/v1", supabase.user_of(ADA).id)
    assert supabase.sessions == {}


async def test_an_address_that_supabase_knows_already_is_opened_by_its_owner_only(supabase, joins, mailbag):
    """Its user there may be of another product of ours, or left over from a sign-up that did not finish here."""
    ada = await opened(BOB)
    async with transaction() as tx:
        await remote.set_password(tx, await of(tx, ada), OTHER)
    supabase.users[supabase.user_of(BOB).id].email = ADA
    async with transaction() as tx:
        await signing_up.sign_up(tx, ADA, PASSWORD, HERE)
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Finish signing up"
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)


async def test_its_owner_takes_over_the_user_that_supabase_has_for_a_proven_address(supabase):
    left_over = User(ADA, confirmed_at=None)
    supabase.users[left_over.id] = left_over
    ada = await opened()
    async with transaction() as tx:
        assert not await remote.enroll(tx, await of(tx, ada), PASSWORD)
        await remote.set_password(tx, await of(tx, ada), PASSWORD)
    assert await matches(remote, ada, PASSWORD)
    assert list(supabase.users) == [left_over.id]


async def test_a_user_that_supabase_has_for_the_new_address_does_not_keep_ada_from_another_mailbox(supabase):
    ada = await enrolled(remote)
    left_over = User(BOB, confirmed_at=None)
    supabase.users[left_over.id] = left_over
    long_ago = clock.now() - 2 * recovering.WAIT
    async with transaction() as tx:
        asked = MailboxRecovery(handle="rec_1", account_id=ada.id, new_email=BOB, proofs="key invoice")
        asked.created_at = asked.confirmed_at = asked.approved_at = asked.due_at = long_ago
        tx.add(asked)
    async with transaction() as tx:
        assert await recovering.due(tx)
    assert [one.email for one in supabase.users.values()] == [BOB]
    assert not await matches(remote, ada, PASSWORD)


async def test_a_user_that_was_removed_at_supabase_is_made_again_by_a_reset(supabase):
    ada = await enrolled(remote)
    supabase.users.clear()
    assert not await matches(remote, ada, PASSWORD)
    async with transaction() as tx:
        await remote.set_password(tx, await of(tx, ada), PASSWORD)
    assert await matches(remote, ada, PASSWORD)


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (503, {}, "unavailable"),
        (429, {"code": "over_request_rate_limit", "message": "Request rate limit reached"}, "too_many"),
    ],
)
async def test_when_supabase_is_out_people_are_told_when_to_try_again(supabase, status, said, code):
    ada = await enrolled(remote)
    supabase.fail("POST /token", status=status, **said)
    with pytest.raises(Refused) as refused:
        await matches(remote, ada, PASSWORD)
    assert (refused.value.code, refused.value.status, refused.value.retry_after) == (code, status, 60)
    assert await matches(remote, ada, PASSWORD)


async def test_a_sign_up_that_supabase_does_not_take_leaves_nothing_behind(supabase, mailbag):
    supabase.fail("POST /admin/users", status=503)
    with pytest.raises(Refused, match="not possible right now"):
        async with transaction() as tx:
            await signing_up.sign_up(tx, ADA, PASSWORD, HERE)
    async with transaction() as tx:
        assert await signing_up.find(tx, ADA) is None
    assert await mailbag.letters(ADA) == []
    async with transaction() as tx:
        await signing_up.sign_up(tx, ADA, PASSWORD, HERE)
    async with transaction() as tx:
        await verifying.verify(tx, await mailbag.token(ADA))
    assert supabase.user_of(ADA).confirmed_at is not None
