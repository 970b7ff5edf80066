"""The written procedure is the software's own: every step is tried from every state, and every clock is counted."""

import inspect
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from cast import BOB
from customers import customer
from sqlmodel import select

from assisters_app.accounts.sessions import Person
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy.erasing import erasure, purge
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.registers import holds
from assisters_app.privacy.rights import procedure, requests
from assisters_app.privacy.rights.tables import PrivacyRequest

NOT_STEPS = {  # they read, they are parts of a step, or (record) one: what is met on the spot
    "answer_as_far_as_allowed", "deletions_under_way", "members", "mine", "queue", "record", "requests_in_time", "view",
}  # fmt: skip
_numbers = count()


async def act(verb, *args):
    async with transaction() as tx:
        return await verb(tx, *args)


def steps_of(grace, ada, handle):
    """Return how each step is taken, by its name in the procedure."""
    return {
        "acknowledge": (requests.acknowledge, grace, handle),
        "assign": (requests.assign, grace, handle, grace.email),
        "ask_identity": (requests.ask_identity, grace, handle, "Another address."),
        "confirm_identity": (requests.confirm_identity, ada, handle),
        "identity_confirmed": (requests.identity_confirmed, grace, handle),
        "extend": (requests.extend, grace, handle, "It is complex."),
        "answer:done": (requests.answer, grace, handle, "done", "It is done."),
        "answer:refused": (requests.answer, grace, handle, "refused", "It is not yours."),
        "meet": (requests.meet, ada.account_id, [handle], "You took it."),
        "withdraw_deletion": (requests.withdraw_deletion, ada.account_id),
        "end_with_account": (requests.end_with_account, ada.account_id, "rcp_1"),
    }


BY_ACCOUNT = {
    "meet",
    "withdraw_deletion",
    "end_with_account",
}  # they take whatever of the account is open, and refuse nothing
ON_THE_WAY = {
    "open": (),
    "doubted": ("ask_identity",),
    "done": ("answer:done",),
    "refused": ("answer:refused",),
    "withdrawn": ("withdraw_deletion",),
}


async def state_of(handle):
    async with transaction() as tx:
        one = (await tx.exec(select(PrivacyRequest).where(PrivacyRequest.handle == handle))).one()
    return "doubted" if one.state == "open" and one.identity_asked_at and not one.identity_answered_at else one.state


async def asked(ada, kind):
    """Write a request down whose receipt nobody has confirmed, the one step that would be past already."""
    async with transaction() as tx:
        return (await requests.record(tx, kind, "email", account_id=ada.account_id, acknowledged=False)).handle


@pytest.mark.promise("6.6")
async def test_from_every_state_of_a_request_the_steps_of_the_procedure_lead_where_it_says_and_no_others(ada, grace):
    for state, way in ON_THE_WAY.items():
        allowed = {step.id: step for step in procedure.REQUEST.after(state)}
        for name in steps_of(grace, ada, ""):
            deletion = state == "withdrawn" or (name in BY_ACCOUNT and state != "done")  # that takes an erased account
            handle = await asked(ada, "deletion" if deletion else "question")
            steps = steps_of(grace, ada, handle)
            for before in way:
                await act(*steps[before])
            assert await state_of(handle) == state
            if name in allowed or name in BY_ACCOUNT:
                await act(*steps[name])
            else:
                with pytest.raises(Refused):
                    await act(*steps[name])
            after = await state_of(handle)
            stays = state in allowed[name].after if name in allowed else True
            expected = {state} if stays else set(allowed[name].after)
            assert after in expected, f"{name} from {state} leads to {after}"
            if name in allowed and allowed[name].once and after in ("open", "doubted"):
                with pytest.raises(Refused):
                    await act(*steps[name])


async def test_an_erasure_that_was_asked_for_is_done_with_the_account_and_all_else_is_withdrawn(ada):
    deletion, question = await asked(ada, "deletion"), await asked(ada, "question")
    await act(requests.end_with_account, ada.account_id, "rcp_1")
    (ends,) = [step for step in procedure.REQUEST.steps if step.id == "end_with_account"]
    assert (await state_of(deletion), await state_of(question)) == ends.after


async def test_every_verb_of_the_register_is_a_step_of_the_procedure_and_every_step_is_a_verb():
    verbs = {
        name
        for name, made in vars(requests).items()
        if inspect.iscoroutinefunction(made) and made.__module__ == requests.__name__ and not name.startswith("_")
    }
    steps = {step.id.partition(":")[0] for step in procedure.REQUEST.steps}
    assert verbs - NOT_STEPS == steps
    assert all(hasattr(erasure, step.id) or hasattr(purge, step.id) for step in procedure.ERASURE.steps)


@pytest.mark.parametrize("course", [procedure.REQUEST, procedure.ERASURE], ids=lambda course: course.title)
def test_every_state_is_reached_and_only_an_end_has_nothing_after_it(course):
    named = {state.id for state in course.states}
    assert {one for step in course.steps for one in (*step.before, *step.after)} - {""} == named
    assert {state.id for state in course.states if state.ends} == {one for one in named if not course.after(one)}
    assert len({step.id for step in course.steps}) == len(course.steps)


async def closing_of(who):
    async with transaction() as tx:
        return (
            await tx.exec(
                select(Erasure).where(Erasure.account_id == who.account_id).order_by(Erasure.requested_at.desc())
            )
        ).first()


async def course_of(erasure_id):
    async with transaction() as tx:
        one = await tx.get_one(Erasure, erasure_id)
    if one.withdrawn_at:
        return "taken-back"
    if one.carried_out_at:
        return "erased"
    if "held" in one.progress:
        return "waiting"
    return "erasing" if one.progress["at_once"] else "closed"


async def somebody() -> Person:
    return await customer(f"{next(_numbers)}-{BOB}")


async def brought_to(state, grace):
    """Return somebody whose erasure stands at `state`, and its id."""
    who = await somebody()
    await act(erasure.close if state in ("closed", "taken-back") else erasure.erase_now, who)
    one = await closing_of(who)
    if state == "taken-back":
        await act(erasure.undo, who)
    if state == "waiting":
        await act(
            holds.place,
            grace,
            holds.NewHold(email=who.email, ground="Court order 7", review_by=now() + timedelta(days=90)),
        )
    if state in ("waiting", "erased"):
        await purge.carry_out(str(one.id))
    assert await course_of(one.id) == state
    return who, one.id


async def took(step, who, erasure_id):
    """Take a step of an erasure; return whether the software took it."""
    before = await course_of(erasure_id)
    if step == "carry_out":
        with frozen(now() + erasure.GRACE):
            await purge.carry_out(str(erasure_id))
        return await course_of(erasure_id) != before
    if step == "remind":
        with frozen(now() + erasure.GRACE - erasure.REMINDED + timedelta(hours=1)):
            await erasure.remind()
        async with transaction() as tx:
            return "reminded_at" in (await tx.get_one(Erasure, erasure_id)).progress
    try:
        await act(getattr(erasure, step), replace(who, reauthenticated_at=now()))
    except Refused:
        return False
    return True


@pytest.mark.promise("4.1", "6.3")
async def test_from_every_state_of_an_erasure_no_step_leads_but_those_of_the_procedure(grace):
    tried = ("undo", "remind", "carry_out", "close")
    for state in ("closed", "erasing", "taken-back"):
        allowed = {step.id: step for step in procedure.ERASURE.after(state)}
        for name in tried if state != "taken-back" else ("undo", "remind", "carry_out"):  # an open account may close
            who, erasure_id = await brought_to(state, grace)
            assert await took(name, who, erasure_id) is (name in allowed), f"{name} from {state}"
            led = await course_of(erasure_id)
            assert led in (allowed[name].after if name in allowed else (state,)), f"{name} from {state} leads to {led}"


@pytest.mark.promise("4.1")
async def test_whoever_closed_may_still_erase_now_and_what_is_erased_stays_so(grace):
    who, erasure_id = await brought_to("closed", grace)
    assert await took("erase_now", who, erasure_id)
    assert await course_of(erasure_id) == "erasing"
    assert await took("carry_out", who, erasure_id)
    assert await course_of(erasure_id) == "erased"
    assert not await took("carry_out", who, erasure_id)


async def test_an_erasure_that_waits_for_the_law_is_carried_out_when_the_hold_is_released(grace):
    who, erasure_id = await brought_to("waiting", grace)
    allowed = {step.id for step in procedure.ERASURE.after("waiting")}
    assert not await took("undo", who, erasure_id)
    assert not await took("carry_out", who, erasure_id)  # still held
    async with transaction() as tx:
        (hold,) = await holds.listed(tx, grace)
        await holds.release(tx, grace, hold.handle, "The case is over.")
    assert allowed == {"carry_out"}
    assert await took("carry_out", who, erasure_id)
    assert await course_of(erasure_id) == "erased"


def test_the_clocks_of_the_page_are_counted_by_the_code(monkeypatch):
    said = {clock.what: clock.length for clock in procedure.clocks()}
    assert said["A request is answered"] == "1 month"
    assert said["The same in California"] == "45 days"
    assert said["Time to change your mind after closing"].startswith("30 days")
    dates = dict(procedure.example())
    due = requests.deadlines(procedure.AN_EXAMPLE)
    assert (dates["Answered by, GDPR"], dates["Answered by, California"]) == (due.gdpr_due, due.ccpa_due)
    assert dates["Answered by, GDPR"].day == 28
    monkeypatch.setattr(erasure, "GRACE", timedelta(days=14))
    monkeypatch.setattr(requests, "GDPR_ANSWER_MONTHS", 2)
    said = {clock.what: clock.length for clock in procedure.clocks()}
    assert said["Time to change your mind after closing"].startswith("14 days")
    assert said["A request is answered"] == "2 months"
    assert dict(procedure.example())["Answered by, GDPR"].month == 3
