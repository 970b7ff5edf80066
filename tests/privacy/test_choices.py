"""Consents and opting out: nothing from silence, one click out, and for good."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from cast import ADA, BOB
from customers import customer
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from assisters_app.base import clock, jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy import promises
from assisters_app.privacy.choices import consents, opting_out
from assisters_app.privacy.choices.tables import Consent, Suppression
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.policies import policy
from assisters_app.privacy.rights.tables import PrivacyRequest


async def choose(person, purpose, *, given):
    async with transaction() as tx:
        await consents.choose(tx, person, purpose, given=given)


async def choice(person, purpose):
    async with transaction() as tx:
        return next(one for one in await consents.choices(tx, person) if one.purpose.id == purpose)


async def renew(person, purpose):
    async with transaction() as tx:
        await consents.renew(tx, person, purpose)


async def given(person, purpose):
    async with transaction() as tx:
        return await consents.given(tx, person.account_id, purpose)


async def since(person, purpose):
    async with transaction() as tx:
        return await consents.given_since(tx, person.account_id, purpose)


async def may_mail(email):
    async with transaction() as tx:
        return await opting_out.may_mail_marketing(tx, email)


async def click(address):
    async with transaction() as tx:
        return await opting_out.opt_out(tx, address.rsplit("/", 1)[1])


@pytest.mark.promise("1.10")
async def test_silence_is_not_consent(ada):
    async with transaction() as tx:
        assert [(c.purpose.id, c.given, c.since) for c in await consents.choices(tx, ada)] == [
            ("marketing", False, None),
            ("training", False, None),
        ]
    assert not await may_mail(ADA)


async def test_every_choice_is_kept_with_the_words_and_the_policy_that_were_seen(ada):
    for given in (True, True, False, True):
        await choose(ada, "training", given=given)
    async with transaction() as tx:
        records = await consents.history(tx, ada)
        assert await consents.given(tx, ada.account_id, "training")
        assert not await consents.given(tx, ada.account_id, "marketing")
    assert [record.given for record in records] == [True, False, True]  # the repeated choice is not another one
    assert {(record.text, record.policy_version) for record in records} == {
        (consents.PURPOSES[1].text, policy.CURRENT.version)
    }
    assert [record.ended_at is None for record in records] == [True, False, False]


@pytest.mark.promise("1.10")
async def test_consent_ends_by_itself_unless_ada_says_it_once_more(ada):
    start = clock.now()
    with clock.frozen(start) as move:
        await choose(ada, "training", given=True)
        move(start + timedelta(days=304))
        assert not (await choice(ada, "training")).renewable
        move(start + timedelta(days=306))
        assert (await choice(ada, "training")).renewable
        await renew(ada, "training")
        move(start + timedelta(days=306 + 364))
        assert await given(ada, "training")
        assert await since(ada, "training") == start, "a renewal is no break"
        move(start + timedelta(days=306 + 366))
        assert not await given(ada, "training"), "no job has run: it has ended all the same"
        assert await since(ada, "training") is None
        await consents.expire()
        async with transaction() as tx:
            records = await consents.history(tx, ada)
    assert [(record.source, record.given) for record in records] == [
        ("expiry", False),
        ("renewal", True),
        ("settings", True),
    ]


async def test_what_has_ended_cannot_be_renewed_but_given_anew_and_then_counts_from_there(ada):
    with pytest.raises(Refused, match="no consent in force"):
        await renew(ada, "training")
    start = clock.now()
    with clock.frozen(start) as move:
        await choose(ada, "training", given=True)
        move(start + timedelta(days=400))
        with pytest.raises(Refused, match="no consent in force"):
            await renew(ada, "training")
        await consents.expire()
        move(start + timedelta(days=401))
        await choose(ada, "training", given=True)
        assert await since(ada, "training") == start + timedelta(days=401)
        await choose(ada, "training", given=False)
        assert await since(ada, "training") is None


@pytest.mark.promise("1.10")
async def test_consent_to_other_words_is_no_consent(ada, monkeypatch):
    await choose(ada, "training", given=True)
    wider = tuple(replace(one, text=one.text + " And those of my friends.") for one in consents.PURPOSES)
    monkeypatch.setattr(consents, "PURPOSES", wider)
    assert not await given(ada, "training")
    assert not (await choice(ada, "training")).given
    await choose(ada, "training", given=True)
    assert await given(ada, "training")


@pytest.mark.parametrize(
    "rewriting",
    [
        "UPDATE consent SET text = 'I agree to everything.'",
        "UPDATE consent SET given = true, ended_at = NULL",
        "UPDATE consent SET ended_at = now() - interval '25 months' WHERE ended_at IS NOT NULL",
        "DELETE FROM consent",
    ],
)
async def test_not_even_we_can_rewrite_what_ada_said(ada, rewriting):
    await choose(ada, "training", given=True)
    await choose(ada, "training", given=False)
    with pytest.raises(IntegrityError, match="append-only"):
        async with transaction() as tx:
            await tx.sql(text(rewriting))


@pytest.mark.promise("1.10")
async def test_consent_that_nobody_gave_is_found(ada, bob):
    await choose(ada, "training", given=True)
    async with transaction() as tx:
        assert (await consents.training_is_opted_into(tx)).startswith("1 accounts")
        tx.add(
            Consent(
                account_id=bob.account_id,
                purpose="training",
                given=True,
                text="",
                policy_version="2027",
                source="policy",
            )
        )
    async with transaction() as tx:
        with pytest.raises(promises.Broken, match="1 consents"):
            await consents.training_is_opted_into(tx)


@pytest.mark.promise("7.2")
async def test_the_signal_of_a_browser_is_kept_with_adas_consents_once_and_for_good(ada, bob):
    async with transaction() as tx:
        assert await consents.heed_signal(tx, ada)
        assert not await consents.heed_signal(tx, ada)
        (record,) = await consents.history(tx, ada)
        assert await consents.history(tx, bob) == ()
    assert (record.purpose_id, record.given, record.source, record.ended_at) == ("sale-or-sharing", False, "gpc", None)
    with clock.frozen(clock.now() + timedelta(days=2000)):
        await consents.expire()
        async with transaction() as tx:
            assert not await consents.heed_signal(tx, ada)


async def test_a_signal_says_nothing_about_what_ada_chose_herself(ada):
    await choose(ada, "marketing", given=True)
    async with transaction() as tx:
        await consents.heed_signal(tx, ada)
    assert await given(ada, "marketing")
    with pytest.raises(Refused, match="does not exist"):
        await choose(ada, "sale-or-sharing", given=True)


async def test_a_purpose_nobody_named_cannot_be_consented_to(ada):
    with pytest.raises(Refused, match="does not exist"):
        await choose(ada, "sale", given=True)


async def test_mallory_cannot_see_or_change_adas_choices(ada, bob):
    await choose(ada, "marketing", given=True)
    await choose(bob, "marketing", given=False)
    async with transaction() as tx:
        assert await consents.given(tx, ada.account_id, "marketing")
        assert [record.given for record in await consents.history(tx, bob)] == [False]


@pytest.mark.promise("6.5")
async def test_one_click_without_signing_in_ends_marketing_and_stands_in_the_register(ada):
    await choose(ada, "marketing", given=True)
    assert await may_mail(ADA)
    assert await click(opting_out.unsubscribe_address(ADA.upper())) == "a…@example.com"
    await click(opting_out.unsubscribe_address(ADA))
    assert not await may_mail(ADA)
    async with transaction() as tx:
        (withdrawn,) = [c for c in await tx.exec(select(Consent)) if not c.given]
        (request,) = (await tx.exec(select(PrivacyRequest))).all()
    assert withdrawn.source == "one-click-unsubscribe"
    assert (request.kind, request.state) == ("opt-out", "done")


async def test_a_link_that_we_did_not_make_opts_nobody_out(ada):
    good = opting_out.unsubscribe_address(ADA)
    for bad in (
        good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1],
        good + "x",
        "/unsubscribe/",
        "/unsubscribe/é",
    ):
        with pytest.raises(Refused, match="not one of ours"):
            await click(bad)


async def test_the_address_is_not_in_the_link_nor_in_the_list(ada):
    address = opting_out.unsubscribe_address(ADA)
    assert "ada" not in address
    await click(address)
    async with transaction() as tx:
        (one,) = (await tx.exec(select(Suppression))).all()
    assert "ada" not in one.email_hash


@pytest.mark.promise("6.5")
async def test_opting_out_survives_deletion_and_a_new_sign_up_until_opting_in(ada):
    link = opting_out.unsubscribe_address(ADA)
    await click(link)
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    await jobs.run_waiting()
    await click(link)  # an old mail's link still works, for nobody
    again = await customer(ADA)
    assert not await may_mail(ADA)
    await choose(again, "marketing", given=True)
    assert await may_mail(ADA)
    assert not await may_mail(BOB)


async def test_consent_that_a_request_from_before_the_restore_holds_ends_all_the_same(ada):
    await choose(ada, "training", given=True)
    waits = text("SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid")
    async with transaction() as tx:
        await tx.exec(select(Consent).with_for_update())
        ending = asyncio.create_task(consents.forget_after_restore())
        while not (ending.done() or (await tx.sql(waits)).first()):  # noqa: ASYNC110 (a lock rings no bell)
            await asyncio.sleep(0.01)
    assert await ending == 1
    assert not await given(ada, "training")
