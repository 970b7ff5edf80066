"""Consents and opting out: nothing from silence, one click out, and for good."""

import pytest
from cast import ADA, BOB
from customers import customer
from sqlmodel import select

from assisters_app.base import jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy.choices import consents, opting_out
from assisters_app.privacy.choices.tables import Consent, Suppression
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.policies import policy
from assisters_app.privacy.rights.tables import PrivacyRequest


async def choose(person, purpose, *, given):
    async with transaction() as tx:
        await consents.choose(tx, person, purpose, given=given)


async def may_mail(email):
    async with transaction() as tx:
        return await opting_out.may_mail_marketing(tx, email)


async def click(address):
    async with transaction() as tx:
        return await opting_out.opt_out(tx, address.rsplit("/", 1)[1])


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


async def test_a_purpose_nobody_named_cannot_be_consented_to(ada):
    with pytest.raises(Refused, match="does not exist"):
        await choose(ada, "sale", given=True)


async def test_mallory_cannot_see_or_change_adas_choices(ada, bob):
    await choose(ada, "marketing", given=True)
    await choose(bob, "marketing", given=False)
    async with transaction() as tx:
        assert await consents.given(tx, ada.account_id, "marketing")
        assert [record.given for record in await consents.history(tx, bob)] == [False]


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
