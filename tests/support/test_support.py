"""Ada writes to support and is answered; nobody else reads it but staff, and Ada sees that they did."""

import json
from datetime import timedelta

import pytest
from cast import ADA
from sqlmodel import select

from assisters_app.accounts.throttling import Limit
from assisters_app.base import clock, crypto, jobs
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy import promises
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.registers import answers, trails
from assisters_app.privacy.rights import access
from assisters_app.support import messages
from assisters_app.support.tables import Conversation, SupportMessage

QUESTION = "Why was request req_1 refused?\n\nIt worked yesterday."


async def ask(person, subject="A refusal", text=QUESTION):
    async with transaction() as tx:
        return await messages.begin(tx, person, subject, text)


async def mine(person):
    async with transaction() as tx:
        return await messages.mine(tx, person)


async def waiting(staff, **how):
    async with transaction() as tx:
        return [one.handle for one in await messages.waiting(tx, staff, **how)]


async def answer(staff, handle, text="Its budget was used up."):
    async with transaction() as tx:
        await messages.answer(tx, staff, handle, text)


@pytest.mark.promise("2.6")
async def test_ada_asks_and_reads_the_answer_where_she_asked(ada, grace):
    handle = await ask(ada)
    assert await waiting(grace) == [handle]
    async with transaction() as tx:
        seen = await messages.read(tx, grace, handle)
    assert (seen.subject, seen.email, [line.text for line in seen.lines]) == ("A refusal", ADA, [QUESTION])
    await answer(grace, handle)
    (talk,) = await mine(ada)
    assert [(line.from_us, line.text) for line in talk.lines] == [(False, QUESTION), (True, "Its budget was used up.")]
    assert (talk.waiting_since, talk.email) == (None, "")
    assert await waiting(grace) == []
    assert await waiting(grace, everything=True) == [handle]
    async with transaction() as tx:
        (letter,) = (await tx.exec(select(OutgoingMail))).all()
    said = json.loads(crypto.unseal("mail", letter.sealed))
    assert letter.to_email == ADA
    assert "budget" not in json.dumps(said), "the answer itself is not mailed"


@pytest.mark.promise("2.6")
async def test_what_ada_wrote_is_in_her_copy_and_in_nobody_elses(ada, bob):
    await ask(ada, text="m4rk-of-a-question")
    async with transaction() as tx:
        assert "m4rk-of-a-question" in repr(await access.copy(tx, ada))
        assert "m4rk-of-a-question" not in repr(await access.copy(tx, bob))


@pytest.mark.promise("5.5")
async def test_ada_sees_that_staff_read_her_question_and_the_queue_alone_tells_nothing(ada, grace):
    handle = await ask(ada)
    async with transaction() as tx:
        (row,) = await messages.waiting(tx, grace)
    assert ADA not in repr(row)
    assert "refusal" not in repr(row)
    async with transaction() as tx:
        await messages.read(tx, grace, handle)
    async with transaction() as tx:
        looked = await trails.mine(tx, ada, others=True)
    assert [(entry.words, entry.by) for entry in looked.entries] == [("Messages to support read", "staff")]


async def test_mallory_reads_writes_and_closes_nothing_of_adas(ada, bob):
    handle = await ask(ada)
    assert await mine(bob) == ()
    for act in (
        lambda tx: messages.write(tx, bob, handle, "I am Ada"),
        lambda tx: messages.close(tx, bob, handle),
        lambda tx: messages.read(tx, bob, handle),
        lambda tx: messages.waiting(tx, bob),
        lambda tx: messages.answer(tx, bob, handle, "Trust me"),
    ):
        with pytest.raises(NotFound):
            async with transaction() as tx:
                await act(tx)
    (talk,) = await mine(ada)
    assert len(talk.lines) == 1


async def test_writing_again_opens_what_was_closed_and_keeps_the_first_time_of_waiting(ada, grace):
    start = clock.now()
    with clock.frozen(start) as move:
        handle = await ask(ada)
        move(start + timedelta(hours=1))
        async with transaction() as tx:
            await messages.write(tx, ada, handle, "Are you there?")
        assert (await mine(ada))[0].waiting_since == start
        async with transaction() as tx:
            await messages.close(tx, ada, handle)
        assert await waiting(grace) == []
        move(start + timedelta(hours=2))
        async with transaction() as tx:
            await messages.write(tx, ada, handle, "One more thing.")
        (talk,) = await mine(ada)
    assert (talk.waiting_since, talk.closed_at) == (start + timedelta(hours=2), None)


@pytest.mark.parametrize(
    ("subject", "text"), [("", "x"), ("s" * 121, "x"), ("a\x07", "x"), ("s", " \n "), ("s", "x" * 5001)]
)
async def test_what_says_nothing_or_too_much_is_refused(ada, subject, text):
    with pytest.raises(Refused):
        await ask(ada, subject, text)
    assert await mine(ada) == ()


async def test_who_writes_all_the_time_is_asked_to_wait(ada, monkeypatch):
    monkeypatch.setattr(messages, "WRITING", Limit("support", 2, timedelta(hours=1)))
    for _ in range(2):
        await ask(ada)
    with pytest.raises(Refused, match="Too many"):
        await ask(ada)


@pytest.mark.promise("6.3")
async def test_what_ada_wrote_goes_with_her_account(ada, bob):
    await ask(ada)
    await ask(bob)
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    await jobs.run_waiting()
    async with transaction() as tx:
        for kind in (Conversation, SupportMessage):
            assert {one.account_id for one in await tx.exec(select(kind))} == {bob.account_id}


@pytest.mark.promise("2.6")
async def test_a_question_that_waits_too_long_is_found(ada, grace):
    handle = await ask(ada)
    async with transaction() as tx:
        assert (await answers.support_is_given(tx)).startswith("1 questions wait")
    with clock.frozen(clock.now() + timedelta(days=7, seconds=1)):
        async with transaction() as tx:
            with pytest.raises(promises.Broken, match="has waited"):
                await answers.support_is_given(tx)
        await answer(grace, handle)
        async with transaction() as tx:
            assert (await answers.support_is_given(tx)).startswith("0 questions wait")
