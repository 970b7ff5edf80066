"""What grows too old goes in time, not before it, and the gauges say so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from markers import fill
from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_new

from assisters_app.base import jobs
from assisters_app.base.clock import frozen, months_later
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.marks import rows_of
from assisters_app.base.valkey import valkey
from assisters_app.billing import ledger
from assisters_app.gateway import wallets
from assisters_app.gateway.scripts import PARKED, Keys, Scripts
from assisters_app.privacy import inventory
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.registers import holds
from assisters_app.usage import ddl, events
from assisters_app.usage.events import Event
from assisters_app.usage.tables import UsageEvent

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SWEPT = {table.name: table for table in inventory.all_tables() if rows_of(table).retention.ends}
A_MOMENT = timedelta(hours=1)
HELD = ("usage_event", "usage_receipt", "ledger_transaction", "ledger_entry", "top_up")
LATER = NOW + timedelta(days=90)


async def sweep_at(at):
    with frozen(at):
        async with transaction() as tx:
            return {one.table: one for one in await retention.sweep(tx)}


async def count(name):
    async with transaction() as tx:
        return (await tx.sql(select(func.count()).select_from(inventory.tables.metadata.tables[name]))).scalar_one()


async def filled(ada, bob, at):
    """Put a row of Ada's, as old as `at`, into every table that is swept."""
    with frozen(at):
        async with transaction() as tx:
            await ddl.ensure(tx, [at.date()])
            for table in SWEPT.values():
                if not (rows_of(table).account or rows_of(table).organization):
                    values = {datetime: at, int: at.toordinal(), str: f"{at:%y%m%d}", UUID: new_id()}
                    values |= {bytes: b"x", dict: {}, bool: True}
                    row = {column.name: values[inventory.kind_of(column)] for column in table.c}
                    await tx.sql(insert_new(table).values(row).on_conflict_do_nothing())
            return await fill(tx, ada, other=bob.account_id, at=at)


async def test_each_row_stays_until_its_time_is_over_and_not_longer(ada, bob):
    written = (NOW - timedelta(days=40)).replace(hour=0, minute=0)  # a day of receipts is as old as its beginning
    await filled(ada, bob, written)
    counts = {name: await count(name) for name in SWEPT}
    assert min(counts.values()) >= 1
    ends = {name: rows_of(table).retention.end(written) for name, table in SWEPT.items()}
    for over in sorted(set(ends.values())):
        ending = [name for name, end in ends.items() if end == over]
        await sweep_at(over - A_MOMENT)
        assert {name: await count(name) for name in ending} == {name: counts[name] for name in ending}
        months = any(rows_of(SWEPT[name]).retention.months for name in ending)
        await sweep_at(over + (timedelta(days=3) if months else A_MOMENT))  # short months end up to 3 days late
        assert {name: await count(name) for name in ending} == dict.fromkeys(ending, 0)


@pytest.mark.promise("4.2")
@pytest.mark.parametrize(("age", "stays"), [(timedelta(days=29, hours=23), 1), (timedelta(days=30, hours=1), 0)])
async def test_the_request_log_is_kept_thirty_days(age, stays, ada, bob):
    await filled(ada, bob, NOW - age)
    await sweep_at(NOW)
    assert await count("usage_event") == stays


async def test_whole_days_of_the_request_log_are_dropped_not_deleted(ada, bob):
    await filled(ada, bob, NOW - timedelta(days=40))
    await sweep_at(NOW)
    async with transaction() as tx:
        assert (NOW - timedelta(days=40)).date() not in await ddl.existing(tx)


async def test_events_and_tallies_agree_while_a_day_is_half_swept(ada):
    def call(at):
        return Event(
            request_id=new_id(), at=at, organization_id=ada.organization_id, key_id=new_id(), mode="live",
            endpoint="/v1/embeddings", model="m", status=200, outcome="completed", cost_nano=7, price_version=1,
        )  # fmt: skip

    old = NOW - timedelta(days=30)
    with frozen(old):
        async with transaction() as tx:
            await events.insert(tx, [call(old + timedelta(minutes=minutes)) for minutes in (-200, -20, 1, 6, 13, 90)])
    await sweep_at(NOW + timedelta(minutes=8))
    assert await count("usage_event") == 4
    async with transaction() as tx:
        assert all(one.holds for one in await events.invariants(tx))


@pytest.mark.promise("4.4")
@pytest.mark.parametrize(("later", "stays"), [(timedelta(), 1), (timedelta(days=1), 0)])
async def test_usage_analytics_are_kept_thirteen_calendar_months(later, stays, ada, bob):
    written = datetime(2026, 2, 14, 9, 0, tzinfo=UTC)
    await filled(ada, bob, written)
    await sweep_at(months_later(written, 13) + later)
    assert await count("usage_tally") == stays


@pytest.mark.promise("4.5")
async def test_billing_records_are_kept_seven_years_to_the_day(ada, bob):
    await filled(ada, bob, NOW)
    await sweep_at(NOW.replace(year=2033))
    assert await count("top_up") == 1
    swept = await sweep_at(NOW.replace(year=2033) + timedelta(days=1))
    assert swept["top_up"].removed == 1
    assert await count("top_up") == 0


async def test_a_wallet_keeps_its_balance_when_its_oldest_movements_go(ada):
    with frozen(NOW):
        async with transaction() as tx:
            await ledger.post(tx, ledger.Movement(ada.organization_id, "topup", "topup:1", {"wallet": 7, "stripe": -7}))
    await sweep_at(NOW.replace(year=2034))
    entry = inventory.tables.metadata.tables["ledger_entry"]
    async with transaction() as tx:
        wallet = select(func.sum(entry.c.amount_nano)).where(entry.c.account == "wallet")
        assert (await tx.sql(wallet)).scalar_one() == 7


async def test_a_wallet_that_lost_old_movements_still_takes_in_new_ones(ada):
    async def post(cause, cents):
        legs = {"wallet": cents, "stripe": -cents}
        async with transaction() as tx:
            await ledger.post(tx, ledger.Movement(ada.organization_id, "topup", cause, legs))
        await wallets.publish(Scripts(), ada.organization_id)

    with frozen(NOW):
        for cause in ("topup:1", "topup:2", "topup:3"):
            await post(cause, 7)
    await sweep_at(NOW.replace(year=2034))
    await post("topup:4", 5)
    assert await valkey().hget(Keys.of(ada.organization_id).wallet, "ledger") == "26"


async def test_what_was_parked_says_where_somebody_called_from_for_thirty_days_only(house):
    for age in (31, 29):
        parked_at = int((NOW - timedelta(days=age)).timestamp() * 1000)
        await valkey().xadd(PARKED, {"record": f"192.0.2.{age}", "reason": "unreadable"}, id=str(parked_at))
    with frozen(NOW):
        await retention.sweep_by_the_clock()
    assert [fields["record"] for _, fields in await valkey().xrange(PARKED)] == ["192.0.2.29"]


async def test_a_consent_is_not_swept_before_its_end_is_written_down_and_then_after_24_months(ada):
    with frozen(NOW):
        async with transaction() as tx:
            await consents.choose(tx, ada, "marketing", given=True)
    with frozen(NOW.replace(year=2029)):
        async with transaction() as tx:
            await retention.sweep(tx)
            assert [record.given for record in await consents.history(tx, ada)] == [True]
            await consents.choose(tx, ada, "marketing", given=False)
    await sweep_at(NOW.replace(year=2032))
    assert await count("consent") == 1


async def test_what_arrived_after_an_erasure_is_swept_as_nobodys(ada, bob):
    with frozen(NOW):
        async with transaction() as tx:
            await erasure.erase_now(tx, _fresh(ada))
        await jobs.run_waiting()
        await filled(bob, bob, NOW)
        async with transaction() as tx:
            late = {
                "request_id": new_id(), "at": NOW, "organization_id": ada.organization_id, "key_id": new_id(),
                "mode": "live", "endpoint": "/v1/embeddings", "model": "m", "status": 200, "outcome": "completed",
            }  # fmt: skip
            await tx.sql(insert(UsageEvent).values(late))
    assert await count("usage_event") == 2
    await sweep_at(NOW + timedelta(days=1, hours=1))
    assert await count("usage_event") == 1


@pytest.mark.promise("2.8")
async def test_what_a_hold_names_stays_past_its_time_and_goes_with_the_first_sweep_after_it(ada, bob, grace):
    with frozen(NOW):
        async with transaction() as tx:
            new = holds.NewHold(email=ada.email, tables=HELD, ground="Order 7 of a court", review_by=LATER)
            hold = await holds.place(tx, _fresh(grace), new)
    await filled(ada, bob, NOW)
    await filled(bob, ada, NOW)
    before = {name: await count(name) for name in HELD}
    after_seven_years = NOW.replace(year=2034)
    await sweep_at(after_seven_years)
    assert {name: await count(name) for name in HELD} == {name: n // 2 for name, n in before.items()}
    assert await count("usage_tally") == 0
    with frozen(after_seven_years):
        async with transaction() as tx:
            assert all(gauge.kept for gauge in await retention.gauges(tx) if gauge.table in HELD)
            await holds.release(tx, replace(grace, reauthenticated_at=after_seven_years), hold.handle, "It is over")
    await sweep_at(after_seven_years)
    assert {name: await count(name) for name in HELD} == dict.fromkeys(HELD, 0)


async def test_under_a_hold_of_everyones_request_log_no_row_of_it_goes(ada, bob, grace):
    with frozen(NOW):
        async with transaction() as tx:
            new = holds.NewHold(tables=("usage_event",), ground="Order 8 of a court", review_by=LATER)
            await holds.place(tx, _fresh(grace), new)
    await filled(ada, bob, NOW)
    await sweep_at(NOW + timedelta(days=40))
    assert (await count("usage_event"), await count("usage_receipt")) == (1, 0)


def _fresh(person):
    return replace(person, reauthenticated_at=NOW)


async def test_the_gauges_show_each_promise_and_turn_false_when_nothing_is_swept(ada, bob):
    await filled(ada, bob, NOW)
    await sweep_at(NOW)
    with frozen(NOW):
        async with transaction() as tx:
            now_kept = await retention.gauges(tx)
    with frozen(NOW + timedelta(days=31)):
        async with transaction() as tx:
            later = {gauge.table: gauge.kept for gauge in await retention.gauges(tx)}
    assert {gauge.promise for gauge in now_kept} >= {"4.2", "4.4", "4.5"}
    assert all(gauge.kept for gauge in now_kept)
    assert later["usage_event"] is False
    assert later["top_up"] is True


async def test_sweeps_are_written_down_without_filling_the_table(ada, bob):
    await filled(ada, bob, NOW - timedelta(days=40))
    for hour in range(3):
        await sweep_at(NOW + timedelta(hours=hour))
    async with transaction() as tx:
        sweep = inventory.tables.metadata.tables["sweep"]
        rows = (await tx.sql(select(sweep.c.table_name, sweep.c.removed))).all()
    assert len([row for row in rows if row.removed == 0]) == len(SWEPT)
    assert ("usage_event", 0) in [tuple(row) for row in rows]
