"""Grace reviews usage, finds accounts, answers requests; each look of hers is written down, and members get nothing."""

from datetime import timedelta

import pytest
from cast import ADA, BOB, GRACE
from reflex.state import State
from sqlmodel import delete, select
from uses import calls, has_key

import assisters_app.assisters_app  # noqa: F401 (registers every State)
from assisters_app.accounts import rights, sessions
from assisters_app.accounts.tables import Account, Organization, Session
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound
from assisters_app.base.ids import new_id
from assisters_app.base.tables import TrailEntry
from assisters_app.gateway.content import contents
from assisters_app.gateway.content.contents import Said, Side
from assisters_app.keys import keys
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.registers.tables import Disclosure, LegalHold
from assisters_app.privacy.rights import requests
from assisters_app.privacy.rights.tables import PrivacyRequest
from assisters_app.ui.disclosures import YearsState
from assisters_app.ui.privacy.requests import OwnRequestsState
from assisters_app.ui.security import SecurityState
from assisters_app.ui.staff.account import AccountState
from assisters_app.ui.staff.accounts import AccountsState
from assisters_app.ui.staff.audits import AuditsState
from assisters_app.ui.staff.disclosures import DemandsState
from assisters_app.ui.staff.holds import HoldsState
from assisters_app.ui.staff.incidents import IncidentsState
from assisters_app.ui.staff.mailboxes import MailboxesState
from assisters_app.ui.staff.models import ModelsState
from assisters_app.ui.staff.news import NewsState
from assisters_app.ui.staff.policy import PolicyDeskState
from assisters_app.ui.staff.request import AskedState
from assisters_app.ui.staff.requests import QueueState
from assisters_app.ui.staff.retention import RetentionState
from assisters_app.ui.staff.roles import RolesState
from assisters_app.ui.staff.support import DeskState
from assisters_app.ui.staff.trail import AuditState
from assisters_app.ui.staff.usage import ReviewState

EVERY = {sub for state in State.get_substates() for sub in (state, *state.get_substates())}
STATES = sorted(
    (state for state in EVERY if state.__module__.startswith("assisters_app.ui.staff.")), key=lambda one: one.__name__
)
MODEL = {
    "id": "x-1",
    "family": "chat",
    "title": "X",
    "upstream_model": "x",
    "context_tokens": "64000",
    "max_output_tokens": "8000",
}
HANDLERS = (
    (ReviewState.load, {"zone": "UTC"}),
    (ReviewState.again, {}),
    (ReviewState.span, {"chosen": "7d"}),
    (AccountsState.load, {}),
    (AccountsState.find, {"sent": {"search": "a"}}),
    (AccountsState.load_more, {}),
    (AccountState.load, {}),
    (AccountState.again, {}),
    (AccountState.ask, {"dialog": "suspend"}),
    (AccountState.suspend, {"sent": {"reason": "because"}}),
    (AccountState.unsuspend, {}),
    (QueueState.load, {}),
    (QueueState.widen, {"everything": True}),
    (QueueState.ask, {"dialog": "enter"}),
    (QueueState.enter, {"sent": {"kind": "access", "email": "x@example.com", "received": "2026-01-01"}}),
    (AskedState.load, {}),
    (AskedState.again, {}),
    (AskedState.ask, {"dialog": "answer"}),
    (AskedState.acknowledge, {}),
    (AskedState.send_link, {}),
    (AskedState.unsubscribe, {}),
    (AskedState.assign, {"email": GRACE}),
    (AskedState.ask_identity, {"sent": {"what": "doubt"}}),
    (AskedState.identified, {}),
    (AskedState.extend, {"sent": {"reason": "because"}}),
    (AskedState.answer, {"sent": {"state": "done", "outcome": "done"}}),
    (HoldsState.load, {}),
    (HoldsState.ask, {"dialog": "place", "handle": ""}),
    (HoldsState.place, {"sent": {"email": BOB, "ground": "an order", "review_by": "2026-12-31"}}),
    (HoldsState.renew, {"sent": {"reason": "because", "review_by": "2026-12-31"}}),
    (HoldsState.release, {"sent": {"reason": "because"}}),
    (HoldsState.tell, {}),
    (DemandsState.load, {}),
    (DemandsState.ask, {"dialog": "enter", "handle": ""}),
    (DemandsState.enter, {"sent": {"authority": "x", "kind": "order", "received": "2026-01-01", "scope": "y"}}),
    (DemandsState.answer, {"sent": {"outcome": "none", "what": "z"}}),
    (DemandsState.tell, {}),
    (IncidentsState.load, {}),
    (IncidentsState.ask, {"dialog": "enter", "handle": ""}),
    (
        IncidentsState.enter,
        {
            "sent": {
                "title": "x",
                "what": "y",
                "aware_at": "2026-01-01 10:00",
                "risk": "risk",
                "consequences": "z",
                "addresses": BOB,
            }
        },
    ),
    (IncidentsState.told, {"sent": {"told_at": "2026-01-01 11:00", "why": "z"}}),
    (IncidentsState.send, {"sent": {"text": "x"}}),
    (IncidentsState.close, {"sent": {"done": "x"}}),
    (NewsState.load, {}),
    (NewsState.review, {"sent": {"subject": "Hi", "text": "Hello"}}),
    (NewsState.close, {}),
    (NewsState.send, {}),
    (RetentionState.load, {}),
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
    (AuditsState.load, {}),
    (AuditsState.ask, {"dialog": "enter", "kind": "host"}),
    (AuditsState.enter, {"sent": {"kind": "host", "done_on": "2026-01-01", "says": "x", "result": "passed"}}),
    (MailboxesState.load, {}),
    (MailboxesState.ask, {"dialog": "ask", "handle": ""}),
    (MailboxesState.begin, {"sent": {"email": BOB, "new_email": "b@example.com", "proof-key": True}}),
    (MailboxesState.approve, {}),
    (MailboxesState.stop, {}),
    (ModelsState.load, {}),
    (ModelsState.ask, {"dialog": "add", "handle": ""}),
    (ModelsState.add, {"sent": MODEL}),
    (ModelsState.change, {"sent": MODEL}),
    (ModelsState.publish, {"sent": {"input": "0.15", "begins": ""}}),
    (ModelsState.retire, {"sent": {}}),
    (ModelsState.offer_again, {"model": "assisters-chat-v1"}),
    (RolesState.load, {}),
    (RolesState.ask, {"dialog": "give", "whose": BOB}),
    (RolesState.give, {"sent": {"email": BOB, "role": "admin"}}),
)
FOR_SUPPORT = {"desk", "accounts", "support", "requests"}
ONLY_A_DIALOG = {  # they open or close one in one's own tab, and read nothing
    AccountState.ask,
    HoldsState.ask,
    DemandsState.ask,
    IncidentsState.ask,
    NewsState.close,
    NewsState.send,
    RolesState.ask,
    MailboxesState.ask,
    ModelsState.ask,
    ModelsState.change,  # of none: nothing was read, and nothing was chosen
    AuditsState.ask,
    AccountsState.load_more,
    AuditState.load_more,
}
HENRY = "henry@assisters.example"  # from support


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


@pytest.mark.promise("5.5")
@pytest.mark.parametrize("role", rights.STAFF)
async def test_a_role_of_staff_can_call_what_its_rights_say_and_nothing_else(bob, signs_in, tab, caplog, role):
    page = tab(await signs_in(HENRY, role=role))
    for handler, payload in HANDLERS:
        caplog.clear()
        shown = await page.send(handler, path=page_of(bob), **payload)
        denied = any("denied event" in record.message for record in caplog.records)
        assert denied == (handler.fn.__right__ not in rights.rights_of(role)), handler
        if denied:
            assert [shown.of(state) for state in STATES] == [{}] * len(STATES), handler


@pytest.mark.promise("5.5")
async def test_what_support_may_not_do_the_domain_refuses_too(bob, signs_in, tab, monkeypatch):
    page = tab(await signs_in(HENRY, role="support"))
    monkeypatch.setattr("assisters_app.ui.session._may", lambda *_: True)  # as if the guard were gone
    tried = [(handler, payload) for handler, payload in HANDLERS if handler.fn.__right__ not in FOR_SUPPORT]
    for handler, payload in tried:
        if handler in ONLY_A_DIALOG:
            continue
        shown = await page.send(handler, path=page_of(bob), **payload)
        said = repr([shown.of(state) for state in STATES]) + shown.said()
        assert "does not exist" in said or "'phase': 'failed'" in said, handler
    async with transaction() as tx:
        assert (await tx.exec(select(LegalHold))).all() == (await tx.exec(select(Disclosure))).all() == []
        assert (await tx.exec(select(Account.role).where(Account.email == BOB))).one() == "member"


@pytest.mark.promise("5.5")
async def test_support_cannot_read_what_is_said_in_adas_calls_and_neither_can_an_admin(ada, signs_in, tab):
    """Nobody of staff has the right, and no handler of theirs takes it; the door itself opens for Ada alone."""
    assert [duty.roles for duty in rights.DUTIES if duty.right == "content"] == [()]
    assert "content" not in {handler.fn.__right__ for handler, _ in HANDLERS}
    async with transaction() as tx:
        await contents.turn(tx, ada.person, (await has_key(ada)).handle, on=True)
        said = Said(new_id(), ada.person.organization_id, now(), Side("text/plain", "hush", 4), Side("", "", 0))
        await contents.keep(tx, [said])
    async with transaction() as tx:
        assert (await contents.read(tx, ada.person, said.request_id)).sent.text == "hush"
    for role in rights.STAFF:
        somebody = await signs_in(f"{role}@assisters.example", role=role)
        async with transaction() as tx:
            with pytest.raises(NotFound):
                await contents.read(tx, somebody.person, said.request_id)


@pytest.mark.promise("5.5")
async def test_a_look_of_supports_stands_in_adas_trail_as_an_admins_does(ada, signs_in, tab):
    henry = await signs_in(HENRY, role="support")
    shown = (await tab(henry).send(AccountState.load, path=page_of(ada))).of(AccountState)
    assert shown["account"].email == ADA
    looks = {(one.account_id, one.actor_id) for one in await trail("account:viewed")}
    assert looks == {(ada.person.account_id, henry.person.account_id)}


async def test_every_staff_handler_is_tried_by_a_member():
    written = {
        handler.fn.__qualname__
        for state in STATES
        for handler in state.event_handlers.values()
        if handler.fn.__module__ == state.__module__
    }
    assert written == {handler.fn.__qualname__ for handler, _ in HANDLERS}


@pytest.mark.promise("5.5")
async def test_nothing_of_staff_shows_ada_without_a_look_in_her_trail(ada, grace, tab):
    await calls(ada, await has_key(ada), 2)
    async with transaction() as tx:
        handle = (await requests.ask(tx, ada.person, "question", "What do you hold?")).handle
        organization = (await tx.exec(select(Organization).where(Organization.owner_id == ada.person.account_id))).one()
    page, seen = tab(grace), set()
    for handler, payload in HANDLERS:
        if "sent" in payload and handler is not AccountsState.find:
            continue  # what staff does is written down as what it is; here it is about what they see
        async with transaction() as tx:
            await tx.sql(delete(TrailEntry).where(TrailEntry.actor_id == grace.person.account_id))
        asked = f"/staff/requests/{handle}" if handler.fn.__module__.endswith(".request") else page_of(ada)
        brought = await page.send(handler, path=asked, **payload)
        shown = repr([brought.of(state) for state in STATES])
        if any(name in shown for name in (ADA, "a…@example.com", organization.handle, str(ada.person.account_id))):
            seen.add(handler.fn.__qualname__)
            async with transaction() as tx:
                look = (TrailEntry.account_id == ada.person.account_id, TrailEntry.actor_id == grace.person.account_id)
                assert (await tx.exec(select(TrailEntry).where(*look))).all(), handler.fn.__qualname__
    assert len(seen) >= 7


async def test_the_domain_refuses_a_member_whom_the_screen_let_through(ada, tab, monkeypatch):
    monkeypatch.setattr("assisters_app.ui.session.level_of", lambda _: "member")
    assert (await tab(ada).send(ReviewState.load, zone="UTC")).of(ReviewState)["phase"] == "failed"
    assert (await tab(ada).send(AccountsState.load)).of(AccountsState)["phase"] == "failed"
    assert (await tab(ada).send(AccountState.load, path=page_of(ada))).of(AccountState)["phase"] == "failed"
    assert (await tab(ada).send(QueueState.load)).of(QueueState)["phase"] == "failed"
    assert (await tab(ada).send(AskedState.load, path="/staff/requests/req_X")).of(AskedState)["phase"] == "failed"
    assert (await tab(ada).send(HoldsState.load)).of(HoldsState)["phase"] == "failed"
    assert (await tab(ada).send(DemandsState.load)).of(DemandsState)["phase"] == "failed"
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
    shown = (await tab(grace).send(AccountsState.find, sent={"search": "ada@example.com"})).of(AccountsState)
    assert [row.masked_email for row in shown["rows"]] == ["a…@example.com"]
    assert ADA not in repr(shown["rows"])
    nobody = (await tab(grace).send(AccountsState.find, sent={"search": "nobody"})).of(AccountsState)
    assert nobody.get("rows", []) == []


async def test_grace_finds_an_account_by_a_key_of_which_no_more_is_shown_than_in_lists(ada, bob, grace, tab):
    await has_key(bob)
    async with transaction() as tx:
        issued = await keys.issue(tx, ada.person, keys.NewKey(name="Server"))
    page = tab(grace)
    for text in (issued.secret.reveal(), issued.key.prefix, issued.key.handle, issued.key.prefix[:9]):
        await page.send(AccountsState.find, sent={"search": text})
        state = await page.state(AccountsState)
        assert [row.page for row in state.rows] == [page_of(ada)], text
        assert state.search == text[:12] if text.startswith("ask_") else state.search == text
    for text in ("ask_zzzzzzzz", "key_none"):
        await page.send(AccountsState.find, sent={"search": text})
        assert (await page.state(AccountsState)).rows == []


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
    await page.send(AccountState.ask, path=page_of(ada), dialog="suspend")
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
    await page.send(QueueState.ask, dialog="enter")
    sent = {"kind": "deletion", "email": " ADA@example.com", "received": "2026-01-31"}
    shown = await page.send(QueueState.enter, sent=sent)
    assert shown.of(QueueState)["dialog"] == ""
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
    page = tab(grace)
    await page.send(QueueState.ask, dialog="enter")
    shown = (await page.send(QueueState.enter, sent=sent)).of(QueueState)
    assert shown["problem"]
    assert "dialog" not in shown, "it stays open"
    async with transaction() as tx:
        assert (await tx.exec(select(PrivacyRequest))).all() == []


async def test_grace_answers_a_request_once_and_only_with_an_outcome(grace, tab):
    page = tab(grace)
    sent = {"kind": "access", "email": "stranger@example.com", "received": now().date().isoformat()}
    line = (await page.send(QueueState.enter, sent=sent)).of(QueueState)["rows"][0]
    here = f"/staff/requests/{line.handle}"
    shown = (await page.send(AskedState.load, path=here)).of(AskedState)
    assert (shown["phase"], shown["one"].email) == ("ready", "stranger@example.com")
    await page.send(AskedState.ask, path=here, dialog="answer")
    silent = await page.send(AskedState.answer, path=here, sent={"state": "refused", "outcome": " "})
    assert "why it was refused" in silent.of(AskedState)["problem"]
    shown = await page.send(AskedState.answer, path=here, sent={"state": "done", "outcome": "Sent a copy"})
    assert (shown.of(AskedState)["one"].state, shown.of(AskedState)["dialog"]) == ("done", "")
    assert [step.words for step in shown.of(AskedState)["steps"]] == ["Request entered", "Request answered"]
    assert (await page.send(AskedState.acknowledge, path=here)).said() == "That request has been answered already."
    everything = (await page.send(QueueState.widen, everything=True)).of(QueueState)
    assert [(one.state, one.outcome) for one in everything["rows"]] == [("done", "Sent a copy")]


async def test_grace_assigns_doubts_and_extends_a_request_of_ada(ada, grace, tab):
    page = tab(grace)
    sent = {"kind": "access", "email": ADA, "received": now().date().isoformat()}
    line = (await page.send(QueueState.enter, sent=sent)).of(QueueState)["rows"][0]
    here = f"/staff/requests/{line.handle}"
    await page.send(AskedState.load, path=here)
    assert (await page.send(AskedState.assign, path=here, email=GRACE)).of(AskedState)["one"].assigned == GRACE
    await page.send(AskedState.ask, path=here, dialog="identity")
    doubted = (await page.send(AskedState.ask_identity, path=here, sent={"what": "Another address"})).of(AskedState)
    assert (doubted["one"].paused, doubted["one"].state) == (True, "waiting for identity")
    hers = tab(ada)
    (own,) = (await hers.send(OwnRequestsState.load)).of(OwnRequestsState)["rows"]
    assert own.doubted
    (own,) = (await hers.send(OwnRequestsState.confirm, handle=own.handle)).of(OwnRequestsState)["rows"]
    assert not own.doubted
    await page.send(AskedState.ask, path=here, dialog="extend")
    longer = (await page.send(AskedState.extend, path=here, sent={"reason": "Four archives"})).of(AskedState)
    assert (longer["one"].extension_reason, longer["one"].paused) == ("Four archives", False)
    missing = await page.send(AskedState.load, path="/staff/requests/req_NOBODY")
    assert missing.of(AskedState)["phase"] == "none"


async def test_ada_asks_and_reads_holds_and_demands_that_she_may_know_of(ada, bob, grace, tab):
    hers, page = tab(ada), tab(grace)
    empty = (await hers.send(OwnRequestsState.ask, sent={"kind": "objection", "words": " "})).of(OwnRequestsState)
    assert empty["problem"] == "Say what you ask for."
    await hers.send(OwnRequestsState.ask, sent={"kind": "objection", "words": "Stop that"})
    day = (now() + timedelta(days=30)).date().isoformat()
    gag = {"secrecy": "The same order", "secret_until": day}
    held = {"email": ADA, "ground": "An order", "review_by": day, "table-session": "on"}
    placed = (await page.send(HoldsState.place, sent=held)).of(HoldsState)
    assert [(row.whose, row.what, row.told) for row in placed["rows"]] == [(ADA, "Your sign-in sessions", True)]
    await page.send(HoldsState.place, sent={**held, **gag})
    demand = {
        "authority": "A court",
        "kind": "order",
        "received": "2026-01-01",
        "scope": "Times",
        "addresses": f"{ADA}, {BOB}",
    }
    assert (await page.send(DemandsState.enter, sent=demand)).said().startswith("Entered as dis_")
    shown = (await hers.send(OwnRequestsState.load)).of(OwnRequestsState)
    assert [(one.words, one.state) for one in shown["rows"]] == [("Stop that", "open")]
    assert [(one.ground, one.state) for one in shown["holds"]] == [("An order", "in force")]
    assert [(one.authority, one.disclosed) for one in shown["demands"]] == [("A court", "Not answered yet")]
    theirs = (await tab(bob).send(OwnRequestsState.load)).of(OwnRequestsState)
    assert (theirs.get("rows", []), theirs.get("holds", []), len(theirs["demands"])) == ([], [], 1)
    public = (await tab().send(YearsState.load)).of(YearsState)
    assert public["rows"][0].demands == 1
    assert ADA not in repr(public)


async def test_grace_renews_releases_and_answers_from_the_page(ada, grace, tab):
    page = tab(grace)
    day = (now() + timedelta(days=30)).date().isoformat()
    gag = {"secrecy": "The same order", "secret_until": day}
    hold = (await page.send(HoldsState.place, sent={"email": ADA, "ground": "An order", "review_by": day, **gag})).of(
        HoldsState
    )
    await page.send(HoldsState.ask, dialog="renew", handle=hold["rows"][0].handle)
    refused = (await page.send(HoldsState.renew, sent={"reason": " ", "review_by": day})).of(HoldsState)
    assert refused["problem"] == "Give the reason."
    await page.send(HoldsState.renew, sent={"reason": "It goes on", "review_by": day})
    await page.send(HoldsState.tell)
    released = (await page.send(HoldsState.release, sent={"reason": "The case is closed"})).of(HoldsState)
    assert [(row.state, row.told, row.reason) for row in released["rows"]] == [("released", True, "The case is closed")]
    demand = {"authority": "A court", "kind": "order", "received": "2026-01-01", "scope": "Times", "addresses": ADA}
    secret = {"not_told_why": "The same order", "secret_until": day}
    made = (await page.send(DemandsState.enter, sent={**demand, **secret})).of(DemandsState)
    assert made["rows"][0].untold == 1
    await page.send(DemandsState.ask, dialog="answer", handle=made["rows"][0].handle)
    answered = (await page.send(DemandsState.answer, sent={"outcome": "part", "what": "Times"})).of(DemandsState)
    assert answered["rows"][0].outcome == "a part of it"
    assert (await page.send(DemandsState.tell)).of(DemandsState)["rows"][0].untold == 0


async def test_whoever_has_not_just_proven_who_they_are_is_led_there_first(ada, grace, tab):
    async with transaction() as tx:
        session = (await tx.exec(select(Session).where(Session.account_id == grace.person.account_id))).one()
        session.reauthenticated_at = now() - timedelta(hours=1)
    sessions._known.clear()
    day = (now() + timedelta(days=30)).date().isoformat()
    await tab(grace).send(HoldsState.place, sent={"email": ADA, "ground": "An order", "review_by": day})
    await tab(grace).send(
        DemandsState.enter, sent={"authority": "A court", "kind": "order", "received": "2026-01-01", "scope": "Times"}
    )
    async with transaction() as tx:
        assert (await tx.exec(select(LegalHold))).all() == []
        assert (await tx.exec(select(Disclosure))).all() == []


async def test_reading_the_audit_trail_is_in_the_audit_trail(ada, grace, tab):
    page = tab(grace)
    first = (await page.send(AuditState.load)).of(AuditState)
    assert {row.words for row in first["rows"]} >= {"Signed in"}
    assert ADA not in repr(first["rows"])
    again = (await page.send(AuditState.narrow, about="looks")).of(AuditState)
    assert {(row.words, row.actor) for row in again["rows"]} == {("Trail read", GRACE)}
    by_staff = (await page.send(AuditState.only_staff, by_staff=True)).of(AuditState)
    assert {row.actor for row in by_staff["rows"]} == {GRACE}


async def test_grace_enters_an_audit_that_everyone_reads_and_whose_evidence_staff_alone_reads(grace, tab):
    page, today = tab(grace), now().date().isoformat()
    await page.send(AuditsState.ask, dialog="enter", kind="security")
    sent = {"kind": "security", "done_on": today, "says": "Two findings, put right.", "result": "passed"}
    for wrong, says in (
        ({"kind": "dependencies"}, "Choose what was looked at."),
        ({"done_on": "2999-01-01"}, "What was done lies in the past."),
        ({"done_on": ""}, "Give the day on which it was done."),
        ({"says": " "}, "Say in a sentence what was found."),
    ):
        assert (await page.send(AuditsState.enter, sent=sent | wrong)).of(AuditsState)["problem"] == says
    shown = await page.send(AuditsState.enter, sent=sent | {"evidence": "report 7"})
    assert shown.said() == "Entered. Everyone can read it on the security page."
    register = (await tab(grace).send(AuditsState.load)).of(AuditsState)
    newest = register["entries"][0]
    assert (newest.title, newest.passed, newest.evidence) == ("Security audit by people", True, "report 7")
    public = (await tab().send(SecurityState.load)).of(SecurityState)["audits"]
    assert ("passed", "Two findings, put right.") in {(one.state, one.says) for one in public}
    assert "report 7" not in repr(public)
    [entry] = await trail("audit:entered")
    assert (entry.actor_id, entry.details) == (grace.person.account_id, {"kind": "security", "passed": True})


async def test_an_account_that_is_being_erased_is_not_opened_again(ada, grace, tab):
    async with transaction() as tx:
        await erasure.erase_now(tx, ada.person)
    page = tab(grace)
    await page.send(AccountState.load, path=page_of(ada))
    await page.send(AccountState.unsuspend, path=page_of(ada))
    async with transaction() as tx:
        assert (await tx.get(Account, ada.person.account_id)).suspended_at is not None
