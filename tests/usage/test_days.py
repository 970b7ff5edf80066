"""Days of the request log go by the half hour, whole, without anybody being kept waiting."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from calls import call
from cast import ADA, BOB
from customers import customer
from sqlalchemy import event as database
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from assisters_app.base import clock, db
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.usage import ddl, events
from assisters_app.usage.tables import UsageEvent

DAY = datetime(2026, 10, 20, tzinfo=UTC)
MINUTES = (0, 29, 30, 31, 719, 1439)  # of the day, at which something was called
DUE = DAY + timedelta(days=29, minutes=1)


async def called(organization_id, *moments):
    made = [call(organization_id, new_id(), at) for at in moments]
    async with transaction() as tx:
        assert await events.insert(tx, made) == made
    return made


async def called_all_day(organization_id):
    return await called(organization_id, *(DAY + timedelta(minutes=minutes) for minutes in MINUTES))


async def left():
    async with transaction() as tx:
        return set((await tx.exec(select(UsageEvent.request_id))).all())


async def partitions():
    async with transaction() as tx:
        found = await tx.sql(
            text(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                "WHERE i.inhparent = to_regclass(:day) ORDER BY 1"
            ),
            {"day": ddl.name(ddl.EVENTS, DAY.date())},
        )
        return [name.removeprefix("usage_event_20261020_") for (name,) in found]


async def dropped(at, kept=()):
    with clock.frozen(at):
        async with transaction() as tx:
            return await ddl.drop_expired(tx, kept)


@pytest.mark.promise("4.2")
async def test_a_day_of_twenty_nine_days_becomes_forty_eight_half_hours_with_the_same_rows(house):
    ada = await customer()
    made = await called_all_day(ada.organization_id)
    assert await dropped(DUE - timedelta(minutes=2)) == 0
    assert await partitions() == []
    assert await dropped(DUE) == 0
    assert (await partitions())[::47] == ["0000", "2330"]
    async with transaction() as tx:
        rows = (await tx.exec(select(UsageEvent).order_by(col(UsageEvent.at)))).all()
        locked = await tx.sql(text("SELECT bool_and(relrowsecurity) FROM pg_class WHERE relname LIKE 'usage_event_2%'"
                                   " AND relkind IN ('r', 'p')"))  # fmt: skip
        assert locked.scalar_one()
    assert [(row.request_id, row.at, row.cost_nano) for row in rows] == [
        (e.request_id, e.at, e.cost_nano) for e in made
    ]


@pytest.mark.promise("4.2")
async def test_each_half_hour_goes_whole_and_no_row_is_deleted(house):
    ada = await customer()
    made = await called_all_day(ada.organization_id)
    deleted = []

    @database.listens_for(db.engine().sync_engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_rest):
        deleted.extend([statement] if statement.lstrip().upper().startswith("DELETE") else [])

    steps = ((timedelta(), 0), (timedelta(minutes=29), 0), (timedelta(minutes=30), 2), (timedelta(minutes=59), 0))
    for later, gone in (*steps, (timedelta(minutes=60), 2), (timedelta(hours=23, minutes=59), 1), (ddl.A_DAY, 1)):
        assert await dropped(DAY + timedelta(days=30) + later) == gone
        with clock.frozen(DAY + timedelta(days=30) + later):
            async with transaction() as tx:
                assert all(one.holds for one in await events.invariants(tx))
    assert await left() == set()
    assert len(made) == len(MINUTES)
    assert deleted == []
    async with transaction() as tx:
        assert DAY.date() not in await ddl.existing(tx)


@pytest.mark.promise("4.2")
async def test_what_is_written_and_erased_while_a_day_is_divided_is_neither_lost_nor_brought_back(house, monkeypatch):
    ada, bob = await customer(ADA), await customer(BOB)
    made = await called_all_day(ada.organization_id)
    erased = await called(bob.organization_id, DAY + timedelta(minutes=45))
    copied, go_on = asyncio.Event(), asyncio.Event()
    take_alone = ddl._take_alone

    async def slowly(tx, *tables):
        copied.set()
        await go_on.wait()
        await take_alone(tx, *tables)

    monkeypatch.setattr(ddl, "_take_alone", slowly)
    dividing = asyncio.ensure_future(dropped(DUE))
    await copied.wait()
    late = await called(ada.organization_id, DAY + timedelta(minutes=45), DAY + timedelta(hours=20))
    async with transaction() as tx:
        await tx.sql(text("DELETE FROM usage_event WHERE organization_id = :it"), {"it": bob.organization_id})
        await tx.sql(text("UPDATE usage_event SET status = 418 WHERE request_id = :it"), {"it": made[0].request_id})
    go_on.set()
    await dividing
    assert len(await partitions()) == 48
    assert await left() == {one.request_id for one in [*made, *late]}
    assert erased[0].request_id not in await left()
    async with transaction() as tx:
        changed = select(UsageEvent.request_id).where(col(UsageEvent.status) == 418)
        assert (await tx.exec(changed)).all() == [made[0].request_id]


async def test_a_reader_who_stays_keeps_only_the_dividing_waiting_and_not_the_ingest(house, monkeypatch):
    monkeypatch.setattr(ddl, "STEP_BACK", 0.01)
    monkeypatch.setattr(ddl, "A_MOMENT", 20)
    ada = await customer()
    made = await called_all_day(ada.organization_id)
    async with transaction() as reader:
        await reader.exec(select(UsageEvent.request_id))
        dividing = asyncio.ensure_future(dropped(DUE))
        for minutes in range(100, 110):  # each is written while somebody waits for the table
            made += await called(ada.organization_id, DAY + timedelta(minutes=minutes))
        assert not dividing.done()
    await dividing
    assert len(await partitions()) == 48
    assert await left() == {one.request_id for one in made}


async def test_who_cannot_have_the_table_gives_up_and_leaves_everything_as_it_was(house, monkeypatch):
    monkeypatch.setattr(ddl, "STEP_BACK", 0)
    monkeypatch.setattr(ddl, "A_MOMENT", 1)
    monkeypatch.setattr(ddl, "ATTEMPTS", 2)
    ada = await customer()
    made = await called_all_day(ada.organization_id)
    async with transaction() as reader:
        await reader.exec(select(UsageEvent.request_id))
        with pytest.raises(OperationalError):
            await dropped(DUE)
    async with transaction() as tx:
        assert (await tx.sql(text("SELECT count(*) FROM pg_class WHERE relname LIKE '%_halves'"))).scalar_one() == 0
    assert await left() == {one.request_id for one in made}
    assert await dropped(DUE) == 0
    assert len(await partitions()) == 48


async def test_a_call_that_arrives_after_its_half_hour_has_gone_is_counted_and_goes_with_the_next_sweep(house):
    ada = await customer()
    await called_all_day(ada.organization_id)
    over = DAY + timedelta(days=30, hours=1)
    assert await dropped(over) == 4
    with clock.frozen(over):
        (late,) = await called(ada.organization_id, DAY + timedelta(minutes=5))
        async with transaction() as tx:
            assert await events.insert(tx, [late]) == []
            assert all(one.holds for one in await events.invariants(tx))
    assert await dropped(over) == 1
    assert len(await left()) == 2


async def test_under_a_hold_an_organizations_rows_stay_while_others_go_and_go_when_it_ends(house):
    ada, bob = await customer(ADA), await customer(BOB)
    held = await called_all_day(ada.organization_id)
    await called_all_day(bob.organization_id)
    for later in (timedelta(hours=1), timedelta(days=1), timedelta(days=40)):
        await dropped(DAY + timedelta(days=30) + later, [ada.organization_id])
        with clock.frozen(DAY + timedelta(days=30) + later):
            async with transaction() as tx:
                assert all(one.holds for one in await events.invariants(tx))
    assert await left() == {one.request_id for one in held}
    assert await dropped(DAY + timedelta(days=71)) == len(held)
    async with transaction() as tx:
        assert DAY.date() not in await ddl.existing(tx)
