"""Overdue rows are told once; what stays of usage is about nobody; training gets what is given, while it is given."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from calls import call
from sqlalchemy import text
from sqlmodel import col, func, select

import assisters_app
from assisters_app.base import crypto, jobs
from assisters_app.base.clock import frozen, months_later
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.marks import USAGE_ANALYTICS, rows_of
from assisters_app.base.tables import OutgoingMail
from assisters_app.gateway.content import buckets, contents
from assisters_app.gateway.content.tables import ContentKeyEnd, RequestContent
from assisters_app.privacy import inventory, promises, proving
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.keeping import alarms, in_time, retention, totals
from assisters_app.privacy.keeping.tables import OverdueAlarm, Sweep, UsageTotal
from assisters_app.privacy.keeping.training import training_export
from assisters_app.usage import ddl, events
from assisters_app.usage.tables import UsageTally

pytestmark = pytest.mark.usefixtures("mail_waits")

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MONTH = datetime(2026, 10, 1, tzinfo=UTC)


# Alarms


async def look(at):
    with frozen(at):
        async with transaction() as tx:
            return [gauge.table for gauge in await alarms.look(tx)]


async def broken(check, at):
    """Return what a check says is broken, "" for nothing."""
    with frozen(at):
        async with transaction() as tx:
            try:
                await check(tx)
            except promises.Broken as problem:
                return str(problem)
    return ""


@pytest.mark.promise("4.0", "4.2")
async def test_an_overdue_row_raises_one_alarm_tells_staff_once_and_turns_its_sentence_red(ada, grace, caplog):
    async with transaction() as tx:
        with frozen(NOW - timedelta(days=31)):
            await events.insert(tx, [call(ada.organization_id, new_id(), NOW - timedelta(days=31))])
    assert await look(NOW) == ["usage_event"]
    assert await look(NOW + timedelta(minutes=10)) == []
    with frozen(NOW):
        for _ in range(2):
            await proving.look("each_table_has_a_rule")
    async with transaction() as tx:
        [told] = (await tx.exec(select(OutgoingMail))).all()
        [alarm] = (await tx.exec(select(OverdueAlarm))).all()
    assert (told.to_email, told.subject) == (grace.email, "A promise of the privacy policy is broken")
    assert "Your API request log" in crypto.unseal("mail", told.sealed)
    assert (alarm.table_name, alarm.ended_at) == ("usage_event", None)
    assert [record.levelname for record in caplog.records if "usage_event" in record.message] == ["ERROR"]
    for check in (in_time.request_logs_go_in_time, in_time.each_table_has_a_rule):
        assert "Your API request log" in await broken(check, NOW)
    with frozen(NOW + timedelta(minutes=20)):
        await retention.sweep_by_the_clock()
    assert await look(NOW + timedelta(minutes=20)) == []
    async with transaction() as tx:
        assert (await tx.exec(select(OverdueAlarm.ended_at))).one() == NOW + timedelta(minutes=20)
    assert await broken(in_time.request_logs_go_in_time, NOW) == ""
    with frozen(NOW + timedelta(minutes=20)):
        await proving.look("each_table_has_a_rule")
    async with transaction() as tx:
        subjects = {one.subject for one in await tx.exec(select(OutgoingMail))}
    assert subjects == {"A promise of the privacy policy is broken", "A promise of the privacy policy holds again"}


@pytest.mark.promise("4.4", "4.5")
@pytest.mark.parametrize(
    ("table", "period", "check"),
    [
        ("usage_tally", 13, in_time.usage_analytics_go_in_time),
        ("top_up", 84, in_time.billing_records_go_in_time),
    ],
)
async def test_analytics_past_13_months_and_billing_past_7_years_are_told(table, period, check, house):
    rule = rows_of(inventory.tables.metadata.tables[table]).retention
    async with transaction() as tx:
        tx.add(Sweep(rule=rule.id, table_name=table, removed=0, oldest_left_at=NOW, created_at=NOW))
    assert await broken(check, months_later(NOW, period)) == ""
    assert "Older than" in await broken(check, months_later(NOW, period) + timedelta(hours=2))


async def test_each_check_of_keeping_holds_in_a_fresh_house_and_fails_when_it_should(ada):
    for check in (in_time.content_ends_within_a_day, in_time.destroyed_keys_are_written_down,
                  in_time.content_is_kept_where_asked_for, in_time.analytics_name_nobody,
                  in_time.totals_are_of_many, in_time.each_table_has_a_rule):  # fmt: skip
        assert await broken(check, NOW) == ""
    async with transaction() as tx:
        tx.add(RequestContent(request_id=new_id(), organization_id=ada.organization_id, at=NOW, bucket=NOW, size=1,
                              sealed=b'{"sent": "in the clear"}'))  # fmt: skip
        tx.add(ContentKeyEnd(number=1, destroyed_at=NOW, facts='{"number": 1}', signature="AAAA"))
        tx.add(UsageTotal(month=MONTH, model="m", organizations=1, requests=1, errors=0, input_tokens=0,
                          output_tokens=0, units=0))  # fmt: skip
    assert "without a seal" in await broken(in_time.content_is_kept_where_asked_for, NOW)
    assert "24" in await broken(in_time.content_ends_within_a_day, NOW + timedelta(hours=24, minutes=1))
    assert "signature" in await broken(in_time.destroyed_keys_are_written_down, NOW)
    assert "made of 1 org" in await broken(in_time.totals_are_of_many, NOW)


@pytest.mark.promise("2.7")
async def test_analytics_that_named_somebody_would_be_told(monkeypatch, house):
    ip = inventory.tables.metadata.tables["usage_event"].c.ip.info["mark"]
    monkeypatch.setitem(UsageTally.__table__.c.model.info, "mark", ip)
    assert "usage_tally.model" in await broken(in_time.analytics_name_nobody, NOW)


# Totals


async def used(organizations, model, requests=1):
    """Have each organization make its calls of a model in October."""
    at = MONTH + timedelta(days=3)
    made = [replace(call(one, new_id(), at), model=model) for one in organizations for _ in range(requests)]
    async with transaction() as tx:
        await ddl.ensure(tx, [at.date()])
        await events.insert(tx, made)


async def added_up():
    async with transaction() as tx:
        await totals.add_up(tx, MONTH)
    async with transaction() as tx:
        found = await tx.exec(select(UsageTotal).order_by(col(UsageTotal.model)))
        return [(one.model, one.organizations, one.requests) for one in found]


@pytest.mark.promise("4.4", "2.7")
async def test_after_an_erasure_only_totals_of_many_stay_and_nothing_leads_back(ada, bob):
    others = [new_id() for _ in range(9)]
    await used([ada.organization_id, *others], "popular", 3)
    await used([ada.organization_id, bob.organization_id], "rare")
    assert await added_up() == [("popular", 10, 30)]
    with frozen(NOW):
        async with transaction() as tx:
            await erasure.erase_now(tx, replace(ada, reauthenticated_at=NOW))
        await jobs.run_waiting()
    assert await added_up() == [("popular", 10, 30)]
    async with transaction() as tx:
        mine = select(func.count()).select_from(UsageTally)
        assert (await tx.exec(mine.where(UsageTally.organization_id == ada.organization_id))).one() == 0
        whole = (await tx.sql(text("SELECT string_agg(t::text, ' ') FROM usage_total t"))).scalar_one()
    assert not any(str(one) in whole for one in (ada.account_id, ada.organization_id, *others))
    assert rows_of(UsageTotal.__table__).retention is USAGE_ANALYTICS


async def test_what_few_have_called_is_counted_with_others_like_it_or_not_at_all(house):
    many = [new_id() for _ in range(12)]
    await used(many[:6], "rare")
    await used(many[6:], "seldom", 2)
    assert await added_up() == [("", 12, 18)]
    assert await added_up() == [("", 12, 18)]


async def test_a_total_that_one_organization_makes_nearly_alone_is_not_kept(house):
    many = [new_id() for _ in range(10)]
    await used(many, "lonely")
    await used(many[:1], "lonely", 60)
    assert await added_up() == []


# Training


async def say(person, said, at):
    side = contents.Side("application/json", said, len(said))
    with frozen(at):
        async with transaction() as tx:
            await buckets.ahead(tx)
            await contents.keep(tx, [contents.Said(new_id(), person.organization_id, at, side, side)])


async def consent(person, given, at):
    with frozen(at):
        async with transaction() as tx:
            await consents.choose(tx, person, "training", given=given)


async def exported(at):
    with frozen(at):
        async with transaction() as tx:
            return [sample.sent async for sample in training_export(tx)]


@pytest.mark.promise("1.10")
async def test_training_gets_only_what_was_said_after_consent_and_nothing_once_it_is_withdrawn(ada, bob):
    for person, words in ((ada, "before"), (bob, "never asked")):
        await say(person, words, NOW)
    assert await exported(NOW) == []
    await consent(ada, True, NOW + timedelta(minutes=1))
    assert await exported(NOW + timedelta(minutes=2)) == []
    await say(ada, "after", NOW + timedelta(minutes=3))
    await say(bob, "still not", NOW + timedelta(minutes=3))
    assert await exported(NOW + timedelta(minutes=4)) == ["after"]
    await consent(ada, False, NOW + timedelta(minutes=5))
    assert await exported(NOW + timedelta(minutes=6)) == []
    await consent(ada, True, NOW + timedelta(minutes=7))
    assert await exported(NOW + timedelta(minutes=8)) == []


@pytest.mark.promise("1.10")
async def test_training_gets_nothing_that_is_a_day_old_or_of_somebody_who_is_erased(ada, bob):
    await consent(ada, True, NOW)
    await consent(bob, True, NOW)
    await say(ada, "hers", NOW + timedelta(minutes=1))
    await say(bob, "his", NOW + timedelta(hours=1))
    assert await exported(NOW + timedelta(hours=24)) == ["his"]
    with frozen(NOW + timedelta(hours=2)):
        async with transaction() as tx:
            await erasure.erase_now(tx, replace(bob, reauthenticated_at=NOW + timedelta(hours=2)))
        await jobs.run_waiting()
    assert await exported(NOW + timedelta(hours=2)) == ["hers"]


@pytest.mark.promise("1.10")
def test_no_other_way_leads_from_content_to_training():
    sources = Path(assisters_app.__file__).parent
    asks = [path.name for path in sources.rglob("*.py") if re.search(r"contents\.since\(", path.read_text())]
    assert asks == ["training.py"]
