"""The living policy, its versions, the banner and the desk of staff, as a tab sees them."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlmodel import select

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import promises, proving
from assisters_app.privacy.policies import policy, versions
from assisters_app.privacy.policies.tables import PolicyTold, PolicyVersion, PromiseResult, Transfer
from assisters_app.ui import policy as policy_page
from assisters_app.ui.landing import LandingState
from assisters_app.ui.policy import PolicyState
from assisters_app.ui.policy_history import PolicyHistoryState
from assisters_app.ui.policy_news import PolicyNewsState
from assisters_app.ui.privacy.changes import PolicyChangesState
from assisters_app.ui.staff.policy import PolicyDeskState

SUMMARY = "We keep request logs for 20 days instead of 30."
NEXT = "2099-01"


@pytest.fixture
def draft(monkeypatch, tmp_path):
    first = (policy.FOLDER / f"{policy.CURRENT.version}.txt").read_text()
    second = first.replace("API request logs: 30 days", "API request logs: 20 days")
    (tmp_path / f"{NEXT}.txt").write_text(second.replace("\n", f"\nmaterial {SUMMARY}\n", 1))
    monkeypatch.setattr(policy, "FOLDER", tmp_path)
    monkeypatch.setattr(policy, "VERSIONS", (policy.CURRENT, policy.read(NEXT)))


def in_days(days):
    return datetime.combine((now() + timedelta(days=days)).date(), time(), UTC)


async def publish():
    async with transaction() as tx:
        tx.add(
            PolicyVersion(
                version=NEXT, sha256=policy.VERSIONS[-1].sha256, material=True, summary=SUMMARY,
                published_at=now(), effective_at=in_days(40),
            )
        )  # fmt: skip


async def kinds(who):
    async with transaction() as tx:
        found = await tx.exec(
            select(PolicyTold.notice, PolicyTold.kind).where(PolicyTold.account_id == who.person.account_id)
        )
        return set(found.all())


async def spoil(name, *, ago):
    at = now() - ago
    async with transaction() as tx:
        await tx.merge(PromiseResult(name=name, holds=False, found="31 days.", since=at, looked_at=at))


@pytest.mark.promise("0.1")
async def test_a_broken_check_turns_its_sentence_red_on_the_page_for_everyone(house, tab):
    await proving.look()
    seen = (await tab().send(PolicyState.load)).of(PolicyState)
    assert seen["phase"] == "ready"
    assert seen["states"]["10.1"] == "holds"
    assert "10.1" not in seen["untrue"]
    await spoil("contact_is_the_policys", ago=timedelta(minutes=1))
    seen = (await tab().send(PolicyState.load)).of(PolicyState)
    assert seen["states"]["10.1"] == "broken"
    assert "10.1" in seen["untrue"]
    assert (seen["found"]["contact_is_the_policys"].state, seen["found"]["contact_is_the_policys"].found) == (
        "broken",
        "31 days.",
    )


@pytest.mark.promise("0.1")
async def test_a_look_that_is_over_an_hour_old_is_red_too_and_the_landing_page_counts_it(house, tab):
    await proving.look()
    before = (await tab().send(LandingState.check)).of(LandingState)["untrue"]
    async with transaction() as tx:
        kept = await tx.get(PromiseResult, "contact_is_the_policys")
        kept.looked_at = now() - timedelta(minutes=61)
        tx.add(kept)
    seen = (await tab().send(PolicyState.load)).of(PolicyState)
    assert seen["states"]["10.1"] == "unknown"
    assert (await tab().send(LandingState.check)).of(LandingState)["untrue"] == before + 2  # 10.1 and 10.2


async def test_every_check_and_every_test_stands_beside_its_sentence(house):
    drawn = str(policy_page.page())
    for check in promises.checks():
        assert check.says in drawn, check.name
    for proofs in proving.tests().values():
        for proof in proofs:
            assert proof.words.replace('"', '\\"') in drawn, proof


@pytest.mark.promise("9.1")
async def test_the_history_shows_what_was_published_and_no_draft(house, draft, tab):
    seen = (await tab().send(PolicyHistoryState.load)).of(PolicyHistoryState)
    assert [one.version for one in seen["editions"]] == [policy.CURRENT.version]
    await publish()
    newest, first = (await tab().send(PolicyHistoryState.load)).of(PolicyHistoryState)["editions"]
    assert (newest.version, newest.state, first.state) == (NEXT, "announced", "in force")
    (change,) = newest.changes
    said = [(one.kind, one.text) for one in change.pieces]
    assert change.id == "4.2"
    assert said == [("same", "API request logs: "), ("gone", "30"), ("new", "20"), ("same", " days")]
    shown = (await tab().send(PolicyState.load)).of(PolicyState)
    assert (shown["version"], shown["coming"]) == (policy.CURRENT.version, SUMMARY)


@pytest.mark.promise("9.2", "9.3")
async def test_ada_is_told_on_every_page_until_she_says_she_has_read_it(ada, draft, tab):
    await publish()
    page = tab(ada)
    seen = (await page.send(PolicyNewsState.look, zone="UTC")).of(PolicyNewsState)
    assert (seen["notice"], seen["kind"], seen["summary"]) == (NEXT, "policy", SUMMARY)
    mine = (await page.send(PolicyChangesState.load)).of(PolicyChangesState)
    assert [(one.id, one.kind) for one in mine["changes"]] == [("4.2", "changed")]
    assert (await page.send(PolicyNewsState.read)).of(PolicyNewsState)["notice"] == ""
    assert (await tab(ada).send(PolicyNewsState.look, zone="UTC")).of(PolicyNewsState)["notice"] == ""
    assert await kinds(ada) == {
        (policy.CURRENT.version, "used"), (NEXT, "flashed"), (NEXT, "viewed"), (NEXT, "agreed"),
    }  # fmt: skip


@pytest.mark.promise("9.2")
async def test_grace_publishes_a_draft_after_reading_what_it_changes(grace, draft, tab):
    page = tab(grace)
    shown = (await page.send(PolicyDeskState.load)).of(PolicyDeskState)
    assert [(row.version, row.state) for row in shown["versions"]] == [
        (NEXT, "draft"),
        (policy.CURRENT.version, "in force"),
    ]
    shown = (await page.send(PolicyDeskState.ask, dialog="publish", about=NEXT)).of(PolicyDeskState)
    assert (shown["earliest"], shown["changes"][0].id) == (in_days(31).date().isoformat(), "4.2")
    for sent, said in (("tomorrow", "not a day"), (in_days(2).date().isoformat(), "at the earliest")):
        shown = (await page.send(PolicyDeskState.publish, sent={"effective_on": sent})).of(PolicyDeskState)
        assert said in shown["problem"]
    await page.send(PolicyDeskState.publish, sent={"effective_on": in_days(31).date().isoformat()})
    async with transaction() as tx:
        assert (await versions.upcoming(tx)).policy.version == NEXT
        assert (await tx.exec(select(TrailEntry).where(TrailEntry.action == "policy:published"))).one().details == {
            "version": NEXT
        }


@pytest.mark.promise("3.7")
async def test_grace_announces_a_transfer_and_calls_it_off(grace, tab):
    page = tab(grace)
    sent = {"acquirer": "Acme Corp.", "contact": "privacy@acme.example", "transfers_on": in_days(5).date().isoformat()}
    await page.send(PolicyDeskState.ask, dialog="announce", about="")
    shown = (await page.send(PolicyDeskState.announce, sent=sent)).of(PolicyDeskState)
    assert "30 days" in shown["problem"]
    await page.send(PolicyDeskState.announce, sent={**sent, "transfers_on": in_days(31).date().isoformat()})
    (row,) = (await page.send(PolicyDeskState.load)).of(PolicyDeskState)["transfers"]
    assert (row.acquirer, row.state, row.open) == ("Acme Corp.", "announced", True)
    await page.send(PolicyDeskState.ask, dialog="off", about=row.handle)
    await page.send(PolicyDeskState.call_off, sent={})
    async with transaction() as tx:
        assert (await tx.exec(select(Transfer))).one().withdrawn_at is not None
