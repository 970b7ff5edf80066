"""Versions of the policy never change, come into force when everybody was told, and each person sees what is theirs."""

import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cast import ADA, BOB, GRACE
from customers import customer, key_of
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from assisters_app.accounts.tables import Account, Session
from assisters_app.base import jobs
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.tables import OutgoingMail, TrailEntry
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy import proving
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.policies import handing_over, policy, telling, transfers, versions
from assisters_app.privacy.policies.tables import PolicyTold, PolicyVersion

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SOON = date(2026, 12, 25)  # the first midnight that is 30 days away
THEN = datetime(2026, 12, 25, tzinfo=UTC)
SUMMARY = "We keep request logs for 20 days instead of 30."


@pytest.fixture
async def grace(house):
    with frozen(NOW - timedelta(days=1)):
        return await customer(GRACE)


@pytest.fixture
def draft(monkeypatch, tmp_path):
    """Put a second version beside the first, which changes two sentences, drops one and adds one."""
    first = (policy.FOLDER / "2026-01.txt").read_text()
    second = first.replace("API request logs: 30 days", "API request logs: 20 days")
    second = second.replace("Organization details (if applicable)", "Organization details")
    second = second.replace("[5.7] While we strive", "[5.8] We answer. While we strive")
    (tmp_path / "2026-01.txt").write_text(first)
    (tmp_path / "2027-01.txt").write_text(
        second.replace("effective 2026-01-01", f"effective 2026-12-20\nmaterial {SUMMARY}")
    )
    monkeypatch.setattr(policy, "FOLDER", tmp_path)
    found = policy.read("2027-01")
    monkeypatch.setattr(policy, "VERSIONS", (policy.CURRENT, found))
    return found


async def people(at=NOW):
    with frozen(at):
        return await customer(ADA), await customer(BOB)


async def publish(staff, on=SOON, at=NOW):
    with frozen(at):
        async with transaction() as tx:
            await versions.publish(tx, replace(staff, reauthenticated_at=at), "2027-01", on)


async def told(who, notice="2027-01"):
    async with transaction() as tx:
        rows = await tx.exec(
            select(PolicyTold).where(PolicyTold.account_id == who.account_id, PolicyTold.notice == notice)
        )
        return {row.kind: row for row in rows}


async def letters():
    async with transaction() as tx:
        return sorted((await tx.exec(select(OutgoingMail.to_email, OutgoingMail.subject))).all())


async def tell(at):
    with frozen(at):
        await telling.tell_by_the_clock()


@pytest.mark.promise("9.1")
async def test_a_published_version_cannot_be_changed_or_deleted_even_in_the_database(house):
    for attempt in ("UPDATE policy_version SET summary = 'x'", "DELETE FROM policy_version"):
        with pytest.raises(IntegrityError, match="is published"):
            async with transaction() as tx:
                await tx.sql(text(attempt))


@pytest.mark.promise("9.1")
async def test_a_published_text_that_was_edited_stops_the_start_and_turns_the_sentence_red(house, monkeypatch):
    async with transaction() as tx:
        await versions.at_opening(tx)
    (result,) = await proving.look("published_versions_are_as_published")
    assert (result.state, policy.CURRENT.sha256 in result.found) == ("holds", True)
    first = policy.CURRENT.sections[0]
    edited = replace(policy.CURRENT, sections=(replace(first, parts=first.parts[1:]), *policy.CURRENT.sections[1:]))
    monkeypatch.setattr(policy, "VERSIONS", (edited,))
    (result,) = await proving.look("published_versions_are_as_published")
    assert (result.state, "its text was changed since" in result.found) == ("broken", True)
    with pytest.raises(Refused, match="was changed since"):
        async with transaction() as tx:
            await versions.at_opening(tx)


@pytest.mark.promise("9.1")
async def test_a_version_says_which_sentences_it_changes(house, draft):
    async with transaction() as tx:
        newest, first = await versions.editions(tx)
    assert (newest.state, first.state) == ("draft", "in force")
    assert [(c.id, c.before[-7:], c.after[-7:]) for c in newest.changes] == [
        ("1.4", "icable)", "details"),
        ("4.2", "30 days", "20 days"),
        ("5.8", "", draft.sentence("5.8")[-7:]),
        ("5.7", policy.CURRENT.sentence("5.7")[-7:], ""),
    ]


@pytest.mark.promise("9.2")
async def test_a_material_version_is_published_by_staff_30_days_ahead_or_not_at_all(grace, draft):
    ada, _ = await people()
    for who, on, code in ((ada, SOON, "not_found"), (grace, SOON - timedelta(days=1), "too_soon")):
        with pytest.raises(Refused) as refused:
            await publish(who, on)
        assert refused.value.code == code
    with frozen(NOW):
        async with transaction() as tx:
            with pytest.raises(Refused) as refused:
                await versions.publish(tx, grace, "2027-01", SOON)
    assert refused.value.code == "reauthenticate"
    too_soon = PolicyVersion(
        version="2027-01", sha256="", material=True, summary="", published_at=NOW, effective_at=NOW
    )
    async with transaction() as tx:
        tx.add(too_soon)
        with pytest.raises(IntegrityError, match="told_ahead"):
            await tx.flush()
        await tx.rollback()
    await publish(grace)
    with pytest.raises(NotFound):
        await publish(grace)


@pytest.mark.promise("9.2")
async def test_everybody_is_told_by_mail_at_once_and_the_version_comes_into_force_on_its_day(grace, draft):
    ada, bob = await people()
    await publish(grace)
    await tell(NOW)
    await tell(NOW + timedelta(minutes=10))
    assert await letters() == [
        (who.email, "Our privacy policy changes on 25 December 2026") for who in (ada, bob, grace)
    ]
    for who in (ada, bob):
        notified = (await told(who))["notified"]
        assert (notified.created_at, notified.sha256) == (NOW, draft.sha256)
    with frozen(THEN - timedelta(seconds=1)) as move:
        async with transaction() as tx:
            assert (await versions.in_force(tx)).version == "2026-01"
            assert (await versions.upcoming(tx)).policy.version == "2027-01"
            move(THEN)
            assert (await versions.in_force(tx)).version == "2027-01"
            assert await versions.upcoming(tx) is None


@pytest.mark.promise("9.2")
async def test_somebody_left_out_turns_the_sentence_red(grace, draft):
    await people()
    await publish(grace)
    with frozen(NOW + timedelta(minutes=59)) as move:
        (result,) = await proving.look("everybody_is_told_ahead")
        assert result.state == "holds"
        move(NOW + timedelta(minutes=61))
        (result,) = await proving.look("everybody_is_told_ahead")
        assert result.state == "broken"
        assert result.found.startswith("3 people were not told of version 2027-01")
        await telling.tell_by_the_clock()
        (result,) = await proving.look("everybody_is_told_ahead")
        assert result.state == "holds"


@pytest.mark.promise("9.2")
async def test_the_dashboard_tells_until_ada_says_she_has_read_it_and_each_step_is_written_down_once(grace, draft):
    ada, _ = await people()
    await publish(grace)
    with frozen(NOW) as move:
        for minutes in (1, 2):
            move(NOW + timedelta(minutes=minutes))
            async with transaction() as tx:
                news = await telling.news(tx, ada)
                assert (news.id, news.summary, news.takes_place_at) == ("2027-01", SUMMARY, THEN)
                await telling.viewed(tx, ada, "2027-01")
        async with transaction() as tx:
            await telling.agreed(tx, ada, "2027-01")
            assert await telling.news(tx, ada) is None
            with pytest.raises(NotFound):
                await telling.agreed(tx, ada, "2030-01")
    deeds = await told(ada)
    assert set(deeds) == {"flashed", "viewed", "agreed"}
    assert {row.created_at for row in deeds.values()} == {NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)}
    assert deeds["flashed"].created_at == NOW + timedelta(minutes=1)


@pytest.mark.promise("9.2")
async def test_who_comes_after_a_version_is_in_force_is_not_told_that_it_changed(grace, draft):
    await publish(grace)
    later = THEN + timedelta(days=1)
    ada, _ = await people(later)
    with frozen(later + timedelta(minutes=1)):
        async with transaction() as tx:
            assert await telling.news(tx, ada) is None
            assert await telling.news(tx, grace) is not None


@pytest.mark.promise("9.3")
async def test_the_first_use_under_a_version_is_written_down_with_its_hash_and_no_consent_is_touched(grace, draft):
    ada, bob = await people()
    _, handle, _ = await key_of(bob)
    await publish(grace)
    with frozen(THEN + timedelta(days=2)) as move:
        async with transaction() as tx:
            await telling.news(tx, ada)
            called = THEN + timedelta(days=1)
            await tx.exec(update(ApiKey).where(ApiKey.handle == handle).values(last_used_at=called))
        move(THEN + timedelta(days=3))
        async with transaction() as tx:
            await telling.news(tx, ada)
        await telling.tell_by_the_clock()
        first, by_key = (await told(ada))["used"], (await told(bob))["used"]
        assert (first.created_at, first.sha256) == (THEN + timedelta(days=2), draft.sha256)
        assert (by_key.created_at, by_key.sha256) == (called, draft.sha256)
        async with transaction() as tx:
            assert not await consents.given(tx, ada.account_id, "training")
            assert await consents.history(tx, ada) == ()


@pytest.mark.promise("9.3")
async def test_use_that_nobody_wrote_down_turns_the_sentence_red(ada):
    async with transaction() as tx:
        tx.add(Session(fingerprint="x", account_id=ada.account_id, created_at=NOW, last_seen_at=NOW, expires_at=NOW))
    with frozen(NOW + timedelta(hours=2)):
        (result,) = await proving.look("use_is_written_down")
        assert (result.state, result.found[:8]) == ("broken", "1 people")
        await telling.tell_by_the_clock()
        (result,) = await proving.look("use_is_written_down")
        assert result.state == "holds"
    assert (await told(ada, "2026-01"))["used"].created_at == NOW


async def test_ada_sees_which_of_her_own_data_a_change_concerns_and_nothing_of_bobs(grace, draft):
    ada, bob = await people()
    async with transaction() as tx:
        assert await telling.personal(tx, ada) is None
    await publish(grace)
    await key_of(bob)
    with frozen(NOW):
        async with transaction() as tx:
            mine, his = await telling.personal(tx, ada), await telling.personal(tx, bob)
    assert [one.change.id for one in mine.affected] == ["1.4", "4.2", "5.8", "5.7"]
    assert [one.theirs for one in mine.affected[1:]] == [(), (), ()]
    assert dict(mine.affected[0].theirs) == {"Your account": 1, "Your organization": 1}
    assert dict(his.affected[0].theirs) == {"Your account": 1, "Your organization": 1, "Your API keys": 1}


@pytest.mark.promise("3.7")
async def test_nothing_passes_to_another_company_before_everybody_was_told_and_the_day_has_come(grace):
    ada, bob = await people()
    acting = replace(grace, reauthenticated_at=NOW)
    with frozen(NOW):
        async with transaction() as tx:
            for who, name, on, code in (
                (ada, "Acme", SOON, "not_found"),
                (acting, " ", SOON, "no_name"),
                (acting, "Acme", SOON - timedelta(days=1), "too_soon"),
            ):
                with pytest.raises(Refused) as refused:
                    await transfers.announce(tx, who, name, "privacy@acme.example", on)
                assert refused.value.code == code
            announced = await transfers.announce(tx, acting, "Acme Corp.", "privacy@acme.example", SOON)
        await jobs.run_waiting()
    assert {kind for who in (ada, bob) for kind in await told(who, announced.handle)} == {"notified"}
    with frozen(THEN - timedelta(seconds=1)) as move:
        async with transaction() as tx:
            assert (await telling.news(tx, ada)).kind == "transfer"
            with pytest.raises(Refused, match="Nothing may pass on before 25 December 2026"):
                await transfers.require_due(tx, announced.handle)
            move(THEN)
            await transfers.require_due(tx, announced.handle)
            assert await telling.news(tx, ada) is None


@pytest.mark.promise("3.7")
async def test_who_stays_is_handed_over_on_the_day_and_who_closed_their_account_is_not(grace, tmp_path):
    ada, bob = await people()
    acting = replace(grace, reauthenticated_at=NOW)
    with frozen(NOW) as move:
        async with transaction() as tx:
            announced = await transfers.announce(tx, acting, "Acme Corp.", "privacy@acme.example", SOON)
        with pytest.raises(Refused, match="Nothing may pass on before"):
            await handing_over.hand_over(announced.handle, tmp_path / "early")
        assert not (tmp_path / "early").exists()
        move(THEN - timedelta(days=1))
        async with transaction() as tx:
            await erasure.close(tx, replace(bob, reauthenticated_at=THEN - timedelta(days=1)))
        move(THEN)
        (tmp_path / "passed").mkdir()
        for name in (f"{bob.account_id}.zip", f"{bob.account_id}.part", "ours.zip"):
            (tmp_path / "passed" / name).write_text("of a run before Bob left, and of somebody else")
        for _ in range(2):
            assert await handing_over.hand_over(announced.handle, tmp_path / "passed") == 2
    passed = {path.name: path for path in (tmp_path / "passed").iterdir()}
    assert set(passed) == {"ours.zip", *(f"{who.account_id}.zip" for who in (ada, grace))}
    with zipfile.ZipFile(passed[f"{ada.account_id}.zip"]) as archive:
        assert ADA in archive.read("data/account.jsonl").decode()
    async with transaction() as tx:
        entries = await tx.exec(select(TrailEntry).where(TrailEntry.account_id == ada.account_id))
        seen = {(entry.action, entry.actor_id) for entry in entries}
    assert {("transfer:handed-over", None), ("export:sent", None)} <= seen


@pytest.mark.promise("3.7")
async def test_a_transfer_that_is_called_off_lets_nothing_pass(grace):
    acting = replace(grace, reauthenticated_at=NOW)
    with frozen(NOW) as move:
        async with transaction() as tx:
            announced = await transfers.announce(tx, acting, "Acme Corp.", "privacy@acme.example", SOON)
            await transfers.withdraw(tx, acting, announced.handle)
            with pytest.raises(NotFound):
                await transfers.withdraw(tx, acting, announced.handle)
        move(THEN)
        async with transaction() as tx:
            assert await telling.news(tx, grace) is None
            with pytest.raises(NotFound):
                await transfers.require_due(tx, announced.handle)


async def test_nobody_is_told_twice_or_before_their_address_is_proven(grace, draft):
    await people()
    async with transaction() as tx:
        await tx.exec(update(Account).where(Account.email == BOB).values(verified_at=None))
    await publish(grace)
    await tell(NOW)
    assert [address for address, _ in await letters()] == [ADA, grace.email]
