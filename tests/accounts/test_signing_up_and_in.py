"""Ada opens an account, proves her address, and signs in; nobody learns whether somebody else has one."""

import pytest
from cast import ADA, BOB, MALLORY, PASSWORD
from places import HERE
from sqlmodel import select

from assisters_app.accounts import passwords, resetting, sessions, signing_in, signing_up, verifying
from assisters_app.accounts.client import Client
from assisters_app.accounts.tables import Account, Membership, Organization
from assisters_app.base import jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.valkey import valkey


async def sign_up(email, password=PASSWORD, client=HERE):
    async with transaction() as tx:
        return await signing_up.sign_up(tx, email, password, client)


async def sign_in(email, password=PASSWORD, client=HERE):
    async with transaction() as tx:
        return (await signing_in.sign_in(tx, email, password, client)).reveal()


async def test_ada_signs_up_confirms_and_signs_in(house, mailbag, trail):
    await sign_up("Ada@Example.com ")
    async with transaction() as tx:
        assert await verifying.verify(tx, await mailbag.token(ADA)) == ADA
    person = await sessions.resolve(await sign_in(" ADA@example.com"))
    assert (person.email, person.role, person.verified) == (ADA, "member", True)
    assert person.organization_name == "Personal"
    assert await trail(person.account_id) == ["account:signed-up", "account:verified", "session:opened"]


async def test_ada_owns_an_organization_from_the_start(house, mailbag):
    await sign_up(ADA)
    async with transaction() as tx:
        account = (await tx.exec(select(Account))).one()
        organization = (await tx.exec(select(Organization))).one()
        membership = (await tx.exec(select(Membership))).one()
    assert organization.owner_id == account.id
    assert organization.handle.startswith("org_")
    assert (membership.account_id, membership.organization_id, membership.role) == (
        account.id,
        organization.id,
        "owner",
    )
    assert account.password_hash.startswith("$argon2id$")


async def test_mallory_cannot_tell_that_ada_has_an_account(joins, mailbag, monkeypatch):
    await joins(ADA)
    hashed = []
    verify, make = passwords.verified, passwords.hashed
    monkeypatch.setattr(passwords, "verified", lambda *a: (hashed.append("work"), verify(*a))[1])
    monkeypatch.setattr(passwords, "hashed", lambda *a: (hashed.append("work"), make(*a))[1])
    assert await sign_up(ADA, "Mallory was here 42") is None
    work_for_a_known_address = hashed.copy()
    hashed.clear()
    assert await sign_up(BOB, "Mallory was here 42") is None
    assert work_for_a_known_address == hashed == ["work"]
    assert (await mailbag.letters(ADA))[-1]["subject"] == "You already have an account"
    await sign_in(ADA)  # her password is as it was


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer_and_the_same_work(joins, monkeypatch):
    await joins(ADA)
    hashed = []
    verify = passwords.verified
    monkeypatch.setattr(passwords, "verified", lambda *a: (hashed.append("work"), verify(*a))[1])
    with pytest.raises(Refused) as known:
        await sign_in(ADA, "not her password")
    with pytest.raises(Refused) as unknown:
        await sign_in(BOB, "not his password")
    with pytest.raises(Refused) as nonsense:
        await sign_in("no address", "not a password")
    assert str(known.value) == str(unknown.value) == str(nonsense.value)
    assert known.value.code == unknown.value.code == nonsense.value.code == "bad_credentials"
    assert len(hashed) == 3


async def test_nobody_signs_in_before_the_address_is_proven(house, mailbag):
    await sign_up(ADA)
    with pytest.raises(Refused) as refused:
        await sign_in(ADA)
    assert refused.value.code == "unverified"
    with pytest.raises(Refused) as stranger:
        await sign_in(ADA, "a stranger's guess")
    assert stranger.value.code == "bad_credentials"


async def test_ada_asks_for_another_link_and_only_the_new_one_works(house, mailbag):
    await sign_up(ADA)
    first = await mailbag.token(ADA)
    async with transaction() as tx:
        await signing_up.send_verification_again(tx, ADA, HERE)
    await jobs.run_waiting()
    second = await mailbag.token(ADA)
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await verifying.verify(tx, first)
    async with transaction() as tx:
        await verifying.verify(tx, second)


async def test_a_link_works_once(house, mailbag):
    await sign_up(ADA)
    token = await mailbag.token(ADA)
    async with transaction() as tx:
        await verifying.verify(tx, token)
    with pytest.raises(Refused) as refused:
        async with transaction() as tx:
            await verifying.verify(tx, token)
    assert refused.value.code == "bad_link"


async def test_a_verification_link_is_no_reset_link(house, mailbag):
    await sign_up(ADA)
    token = await mailbag.token(ADA)
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await resetting.reset(tx, token, "Mallory was here 42", HERE)


async def test_ada_takes_the_account_that_mallory_began_in_her_name(house, mailbag):
    await sign_up(ADA, "Mallory was here 42")
    await sign_up(ADA, PASSWORD)
    assert (await mailbag.letters(ADA))[-1]["subject"] == "Finish signing up"
    async with transaction() as tx:
        await resetting.reset(tx, await mailbag.token(ADA), PASSWORD, HERE)
    assert await sign_in(ADA, PASSWORD)
    with pytest.raises(Refused, match="do not go together"):
        await sign_in(ADA, "Mallory was here 42")


async def test_guessing_ends_with_a_time_to_wait_and_only_for_the_one_who_guesses(joins):
    await joins(ADA)
    mallory = Client("203.0.113.9")
    for _ in range(signing_in.TOGETHER.most):
        with pytest.raises(Refused, match="do not go together"):
            await sign_in(ADA, "a guess", mallory)
    with pytest.raises(Refused) as refused:
        await sign_in(ADA, PASSWORD, mallory)
    assert (refused.value.code, refused.value.status) == ("too_many", 429)
    assert 0 < refused.value.retry_after <= 900
    assert "minutes" in str(refused.value)
    assert await sign_in(ADA, PASSWORD, HERE)


async def test_signing_in_again_and_again_is_no_guessing(joins):
    await joins(ADA)
    for _ in range(signing_in.TOGETHER.most + 1):
        await sign_in(ADA)


async def test_nobodys_mailbox_is_filled_through_us(joins, mailbag):
    await joins(ADA)
    for place in range(8):
        await sign_up(ADA, client=Client(f"203.0.113.{place}"))
    assert len(await mailbag.letters(ADA)) == signing_up.MAILS.most


async def test_one_place_cannot_open_accounts_without_end(house, mailbag):
    for turn in range(signing_up.BY_PLACE.most):
        await sign_up(f"m{turn}@example.net")
    with pytest.raises(Refused) as refused:
        await sign_up(MALLORY)
    assert refused.value.code == "too_many"


@pytest.mark.parametrize("address", ["ada", "ada@", "@example.com", "a b@example.com", "x" * 250 + "@example.com"])
async def test_what_is_no_address_gets_no_account(house, address):
    with pytest.raises(Refused) as refused:
        await sign_up(address)
    assert (refused.value.code, refused.value.field) == ("bad_email", "email")


async def test_no_throttle_key_holds_an_address_or_lasts(joins):
    await joins(ADA)
    with pytest.raises(Refused):
        await sign_in(ADA, "a guess")
    keys = await valkey().keys("throttle:*")
    assert len(keys) >= 4
    for key in keys:
        assert ADA not in key
        assert HERE.ip not in key
        assert await valkey().ttl(key) > 0
