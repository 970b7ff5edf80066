"""Grace reviews usage, finds accounts, answers requests; each look of hers is written down, and members get nothing."""

from datetime import timedelta

import pytest
from cast import ADA, BOB, GRACE
from sqlmodel import select
from uses import calls, has_key

from assisters_app.accounts import sessions
from assisters_app.accounts.tables import Account
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.rights import requests
from assisters_app.privacy.rights.tables import PrivacyRequest
from assisters_app.ui.staff.account import AccountState
from assisters_app.ui.staff.accounts import AccountsState
from assisters_app.ui.staff.news import NewsState
from assisters_app.ui.staff.policy import PolicyDeskState
from assisters_app.ui.staff.requests import QueueState
from assisters_app.ui.staff.support import DeskState
from assisters_app.ui.staff.trail import AuditState
from assisters_app.ui.staff.usage import ReviewState

STATES = (ReviewState, AccountsState, AccountState, QueueState, NewsState, DeskState, AuditState, PolicyDeskState)
HANDLERS = (
    (ReviewState.load, {"zone": "UTC"}),
    (ReviewState.again, {}),
    (ReviewState.span, {"chosen": "7d"}),
    (AccountsState.load, {}),
    (AccountsState.find, {"sent": {"search": "a"}}),
    (AccountsState.load_more, {}),
    (AccountState.load, {}),
    (AccountState.again, {}),
    (AccountState.ask, {"suspending": True}),
    (AccountState.suspend, {"sent": {"reason": "because"}}),
    (AccountState.unsuspend, {}),
    (QueueState.load, {}),
    (QueueState.widen, {"everything": True}),
    (QueueState.ask, {"dialog": "enter", "handle": ""}),
    (QueueState.enter, {"sent": {"kind": "access", "email": "x@example.com", "received": "2026-01-01"}}),
    (QueueState.answer, {"sent": {"state": "done", "outcome": "done"}}),
    (NewsState.load, {}),
    (NewsState.review, {"sent": {"subject": "Hi", "text": "Hello"}}),
    (NewsState.close, {}),
    (NewsState.send, {}),
    (DeskState.load, {}),
    (DeskState.widen, {"everything": True}),
    (DeskState.read, {"handle": "sup_1"}),
    (DeskState.answer, {"sent": {"text": "x"}}),
    (PolicyDeskState.load, {}),
    (PolicyDeskState.ask, {"dialog": "publish", "about": "2027-01"}),
    (PolicyDeskState.publish, {"sent": {"effective_on": "2099-06-01"}}),
    (PolicyDeskState.announce, {"sent": {"acquirer": "A", "contact": "b", "transfers_on": "2099-06-01"}}),
    (PolicyDeskState.call_off, {"sent": {}}),
    (AuditState.load, {}),
    (AuditState.load_more, {}),
    (AuditState.narrow, {"about": "key"}),
    (AuditState.only_staff, {"by_staff": True}),
)


@pytest.fixture
async def grace(signs_in):
    return await signs_in(GRACE, role="staff")


@pytest.fixture
async def bob(signs_in):
    return await signs_in(BOB)


async def trail(action):
    async with transaction() as tx:
        return (await tx.exec(select(TrailEntry).where(TrailEntry.action == action))).all()


def page_of(who):
    return f"/staff/accounts/{who.person.account_id}"


async def test_a_member_who_calls_a_staff_handler_gets_nothing(ada, bob, tab):
    page = tab(ada)
    for handler, payload in HANDLERS:
        shown = await page.send(handler, path=page_of(bob), **payload)
        assert [shown.of(state) for state in STATES] == [{}] * len(STATES), handler
    async with transaction() as tx:
        assert (await tx.exec(select(PrivacyRequest))).all() == []
        assert (await tx.exec(select(Account.suspended_at).where(Account.email == BOB))).one() is None
    assert await trail("account:viewed") == []


async def test_every_staff_handler_is_tried_by_a_member():
    written = {
        handler.fn.__qualname__
        for state in STATES
        for handler in state.event_handlers.values()
        if handler.fn.__module__ == state.__module__
    }
    assert written == {handler.fn.__qualname__ for handler, _ in HANDLERS}


async def test_the_domain_refuses_a_member_whom_the_screen_let_through(ada, tab, monkeypatch):
    monkeypatch.setattr("assisters_app.ui.session.level_of", lambda _: "member")
    assert (await tab(ada).send(ReviewState.load, zone="UTC")).of(ReviewState)["phase"] == "failed"
    assert (await tab(ada).send(AccountsState.load)).of(AccountsState)["phase"] == "failed"
    assert (await tab(ada).send(AccountState.load, path=page_of(ada))).of(AccountState)["phase"] == "failed"
    assert (await tab(ada).send(QueueState.load)).of(QueueState)["phase"] == "failed"
    assert (await tab(ada).send(AuditState.load)).of(AuditState)["phase"] == "failed"


async def test_grace_reviews_everybodys_usage_without_names(ada, bob, grace, tab):
    await calls(ada, await has_key(ada), 3)
    await calls(bob, await has_key(bob), 1, at=now() - timedelta(days=8), cost_nano=5_000_000)
    shown = (await tab(grace).send(ReviewState.load, zone="Asia/Kolkata")).of(ReviewState)
    assert (shown["phase"], shown["sums"].requests) == ("ready", "4")
    assert len(shown["accounts"]) == 2
    assert shown["cost_figure"]["data"]
    assert ADA not in repr(shown)
    week = (await tab(grace).send(ReviewState.span, chosen="7d")).of(ReviewState)
    assert week["sums"].requests == "3"
    assert [(mover.change, mover.tone) for mover in week["movers"]] == [("-$0.005", "warn"), ("+$0.000009", "good")]


async def test_a_range_that_is_none_fails_in_words(grace, tab):
    shown = await tab(grace).send(ReviewState.span, chosen="forever")
    assert shown.of(ReviewState)["phase"] == "failed"
    assert shown.said() == "Choose a range from the list."


async def test_grace_finds_an_account_by_its_address_and_sees_it_masked(ada, bob, grace, tab):
    shown = (await tab(grace).send(AccountsState.find, sent={"search": "ada@"})).of(AccountsState)
    assert [row.masked_email for row in shown["rows"]] == ["a…@example.com"]
    assert ADA not in repr(shown["rows"])
    nobody = (await tab(grace).send(AccountsState.find, sent={"search": "nobody"})).of(AccountsState)
    assert nobody.get("rows", []) == []


async def test_looking_at_one_account_is_written_where_its_owner_reads_it(ada, grace, tab):
    await calls(ada, await has_key(ada), 2)
    shown = (await tab(grace).send(AccountState.load, path=page_of(ada))).of(AccountState)
    assert (shown["account"].email, shown["sums"].requests) == (ADA, "2")
    looks = {(look.account_id, look.actor_id) for look in await trail("account:viewed")}
    assert looks == {(ada.person.account_id, grace.person.account_id)}


async def test_an_account_that_does_not_exist_is_said_not_to(grace, tab):
    for path in ("/staff/accounts/nonsense", "/staff/accounts/00000000-0000-7000-8000-000000000000"):
        shown = await tab(grace).send(AccountState.load, path=path)
        assert shown.said() == "That account does not exist."


async def test_grace_suspends_an_account_with_a_reason_and_opens_it_again(ada, grace, tab):
    page = tab(grace)
    await page.send(AccountState.load, path=page_of(ada))
    nameless = await page.send(AccountState.suspend, path=page_of(ada), sent={"reason": " "})
    assert "reason" in nameless.of(AccountState)["problem"]
    shown = await page.send(AccountState.suspend, path=page_of(ada), sent={"reason": "Fraud"})
    assert shown.of(AccountState)["account"].reason == "Fraud"
    sessions._known.clear()
    assert await sessions.resolve(ada.cookie) is None
    again = await page.send(AccountState.unsuspend, path=page_of(ada))
    assert again.of(AccountState)["account"].suspended == ""


async def test_a_request_by_mail_keeps_its_true_date_and_both_clocks_count_from_it(ada, grace, tab):
    page = tab(grace)
    sent = {"kind": "deletion", "email": " ADA@example.com", "received": "2026-01-31"}
    shown = await page.send(QueueState.enter, sent=sent)
    (line,) = shown.of(QueueState)["rows"]
    assert (line.email, line.channel, line.state) == (ADA, "by mail", "overdue")
    assert line.received.startswith("2026-01-31")
    assert line.gdpr_due.startswith("2026-02-28")
    assert line.ccpa_due.startswith("2026-03-17")
    assert line.due == line.gdpr_due
    async with transaction() as tx:
        assert [one.kind for one in await requests.mine(tx, ada.person)] == ["deletion"]


@pytest.mark.parametrize(
    "sent",
    [
        {"kind": "revenge", "email": ADA, "received": "2026-01-31"},
        {"kind": "access", "email": "no address", "received": "2026-01-31"},
        {"kind": "access", "email": ADA, "received": "soon"},
        {"kind": "access", "email": ADA, "received": "2999-01-01"},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_in_the_dialog(grace, tab, sent):
    shown = (await tab(grace).send(QueueState.enter, sent=sent)).of(QueueState)
    assert shown["problem"]
    async with transaction() as tx:
        assert (await tx.exec(select(PrivacyRequest))).all() == []


async def test_grace_answers_a_request_once_and_only_with_an_outcome(grace, tab):
    page = tab(grace)
    sent = {"kind": "access", "email": "stranger@example.com", "received": now().date().isoformat()}
    line = (await page.send(QueueState.enter, sent=sent)).of(QueueState)["rows"][0]
    await page.send(QueueState.ask, dialog="answer", handle=line.handle)
    silent = (await page.send(QueueState.answer, sent={"state": "refused", "outcome": " "})).of(QueueState)
    assert "why it was refused" in silent["problem"]
    shown = (await page.send(QueueState.answer, sent={"state": "done", "outcome": "Sent a copy"})).of(QueueState)
    assert shown["rows"] == []
    again = (await page.send(QueueState.answer, sent={"state": "done", "outcome": "Again"})).of(QueueState)
    assert "answered already" in again["problem"]
    everything = (await page.send(QueueState.widen, everything=True)).of(QueueState)
    assert [(one.state, one.outcome) for one in everything["rows"]] == [("done", "Sent a copy")]


async def test_reading_the_audit_trail_is_in_the_audit_trail(ada, grace, tab):
    page = tab(grace)
    first = (await page.send(AuditState.load)).of(AuditState)
    assert {row.words for row in first["rows"]} >= {"Session opened"}
    assert ADA not in repr(first["rows"])
    again = (await page.send(AuditState.narrow, about="looks")).of(AuditState)
    assert {(row.words, row.actor) for row in again["rows"]} == {("Trail read", GRACE)}
    by_staff = (await page.send(AuditState.only_staff, by_staff=True)).of(AuditState)
    assert {row.actor for row in by_staff["rows"]} == {GRACE}


async def test_an_account_that_is_being_erased_is_not_opened_again(ada, grace, tab):
    async with transaction() as tx:
        await erasure.erase_now(tx, ada.person)
    page = tab(grace)
    await page.send(AccountState.load, path=page_of(ada))
    await page.send(AccountState.unsuspend, path=page_of(ada))
    async with transaction() as tx:
        assert (await tx.get(Account, ada.person.account_id)).suspended_at is not None
