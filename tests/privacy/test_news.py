"""News goes to who asked for it, and to nobody else; mail about the account goes to everybody."""

from datetime import timedelta

import pytest
from cast import ADA, BOB, GRACE, MALLORY
from customers import customer
from sqlmodel import select, update

from assisters_app.accounts import people
from assisters_app.accounts.tables import Account
from assisters_app.base import clock, crypto, jobs, mail
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy import promises
from assisters_app.privacy.choices import consents, news, opting_out, suppressions
from assisters_app.privacy.erasing import erasure

NEWS = news.Written(subject="Faster\n streams", text="First tokens come sooner.\n\nPrices stay.")


@pytest.fixture
def posted(monkeypatch):
    """Collect what is handed to the mail server."""
    letters = []

    async def take(letter):
        letters.append(letter)

    monkeypatch.setattr(mail, "_hand_over", take)
    return letters


@pytest.fixture
async def mallory(house):
    return await customer(MALLORY)


async def choose(person, *, given):
    async with transaction() as tx:
        await consents.choose(tx, person, "marketing", given=given)


async def send(staff):
    async with transaction() as tx:
        return await news.send(tx, staff, NEWS)


async def click(email):
    async with transaction() as tx:
        await opting_out.opt_out(tx, opting_out.unsubscribe_address(email).rsplit("/", 1)[1])


def to(letters):
    return sorted(letter["To"] for letter in letters)


@pytest.mark.promise("2.5", "6.5")
async def test_news_reaches_who_asked_for_it_and_every_copy_can_be_ended_by_one_click(ada, bob, mallory, grace, posted):
    await choose(ada, given=True)
    await choose(mallory, given=True)
    await click(MALLORY)
    async with transaction() as tx:
        assert await news.reach(tx, grace) == 1
    await send(grace)
    await jobs.run_waiting()
    (letter,) = posted
    assert (letter["To"], letter["Subject"]) == (ADA, "Faster streams")
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = letter["List-Unsubscribe"].strip("<>")
    assert opting_out.address_in(address.rsplit("/", 1)[1]) == ADA
    text = letter.get_body(("plain",)).get_content()
    assert address in text
    assert "because you asked for news" in text
    async with transaction() as tx:
        (one,) = await news.sent(tx, grace)
    assert (one.copies, bool(one.done_at)) == (1, True)


@pytest.mark.promise("2.5", "6.5")
async def test_who_unsubscribes_while_a_copy_waits_does_not_get_it_but_still_hears_of_the_account(ada, grace, posted):
    await choose(ada, given=True)
    await send(grace)
    await news.write_copies((await _news()).hex)
    await click(ADA)
    async with transaction() as tx:
        await people.suspend(tx, grace, ada.account_id, "Spam")
    await jobs.run_waiting()
    assert [letter["Subject"] for letter in posted] == ["Your account was suspended"]
    assert "List-Unsubscribe" not in posted[0]
    async with transaction() as tx:
        assert (await tx.exec(select(OutgoingMail))).all() == []


@pytest.mark.promise("6.5")
async def test_no_news_comes_after_erasure_and_a_new_sign_up_until_ada_asks_for_it(ada, grace, posted):
    await choose(ada, given=True)
    await click(ADA)
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    await jobs.run_waiting()
    again = await customer(ADA)
    posted.clear()
    await send(grace)
    await jobs.run_waiting()
    assert posted == []
    await choose(again, given=True)
    await send(grace)
    await jobs.run_waiting()
    assert to(posted) == [ADA]


async def test_nobody_gets_two_copies_however_often_the_job_dies(ada, bob, grace, posted, monkeypatch):
    monkeypatch.setattr(news, "AT_ONCE", 1)
    await choose(ada, given=True)
    await choose(bob, given=True)
    await send(grace)
    id_ = (await _news()).hex
    await news._write_some(news.UUID(id_))  # the process dies after one
    await news.write_copies(id_)
    await news.write_copies(id_)
    await jobs.run_waiting()
    assert to(posted) == [ADA, BOB]


async def test_whose_account_is_shut_closing_or_unproven_gets_no_news(ada, bob, mallory, grace):
    for person in (ada, bob, mallory):
        await choose(person, given=True)
    async with transaction() as tx:
        await people.suspend(tx, grace, ada.account_id, "Spam")
        await erasure.close(tx, bob)
        await tx.exec(update(Account).where(Account.email == MALLORY).values(verified_at=None))
    async with transaction() as tx:
        assert await news.reach(tx, grace) == 0


async def test_only_staff_who_have_just_proven_who_they_are_send_news(ada, grace):
    async with transaction() as tx:
        for act in (news.reach(tx, ada), news.sent(tx, ada), news.send(tx, ada, NEWS), news.try_out(tx, ada, NEWS)):
            with pytest.raises(NotFound):
                await act
    with clock.frozen(clock.now() + timedelta(hours=1)), pytest.raises(Refused) as refused:
        await send(grace)
    assert refused.value.code == "reauthenticate"


@pytest.mark.parametrize("written", [{"subject": " "}, {"subject": "a\x07"}, {"subject": "Hi", "text": " \n\n "}])
async def test_news_that_says_nothing_is_refused_before_it_is_sent(grace, written):
    with pytest.raises(Refused):
        async with transaction() as tx:
            await news.send(tx, grace, news.Written.model_validate({"text": "Hello", **written}))


async def test_a_copy_to_try_out_goes_to_its_author_alone(ada, grace, posted):
    await choose(ada, given=True)
    async with transaction() as tx:
        await news.try_out(tx, grace, NEWS)
    await jobs.run_waiting()
    assert to(posted) == [GRACE]


async def test_without_a_guard_no_marketing_leaves(ada, grace, posted, monkeypatch):
    await choose(ada, given=True)
    monkeypatch.setattr(mail, "_guards", [])
    async with transaction() as tx:
        with pytest.raises(promises.Broken, match="nobody is asked"):
            await news.mail_is_of_two_kinds(tx)
    await send(grace)
    await jobs.run_waiting()
    assert [letter for letter in posted if "List-Unsubscribe" in letter] == []


@pytest.mark.promise("2.5")
async def test_mail_that_is_not_delivered_is_found(ada):
    async with transaction() as tx:
        await mail.send(tx, ADA, mail.Message("An invoice", ("It is here.",)), account_id=ada.account_id)
        assert "1 mails wait" in await news.mail_is_of_two_kinds(tx)
        with clock.frozen(clock.now() + timedelta(hours=25)), pytest.raises(promises.Broken, match="more than a day"):
            await news.mail_is_of_two_kinds(tx)


@pytest.mark.promise("6.5")
async def test_an_address_that_opted_out_and_still_counts_as_asking_is_found(ada, monkeypatch):
    await choose(ada, given=True)
    async with transaction() as tx:
        assert await opting_out.opting_out_works(tx)
        await suppressions.suppress(tx, ADA)
        with pytest.raises(promises.Broken, match="1 of the latest"):
            await opting_out.opting_out_works(tx)
        monkeypatch.setattr(crypto, "unseal", lambda *_: "somebody@else.example")
        with pytest.raises(promises.Broken, match="link"):
            await opting_out.opting_out_works(tx)


async def _news():
    async with transaction() as tx:
        return (await tx.exec(select(news.News.id))).one()
