"""Legal holds: what they name stays, all else goes; the person knows, unless a recorded order forbids it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, BOB
from customers import customer
from farewells import erased, receipt_of
from mails import waiting_mail
from markers import everything, fill
from sqlmodel import col, select

from assisters_app.base import jobs
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.marks import rows_of
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.erasing import erasure, purge
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.registers import holds, trails
from assisters_app.privacy.rights import access, requests
from assisters_app.usage import ddl

pytestmark = pytest.mark.usefixtures("mail_waits")

ORDER = "Superior Court of Kent County, 26-1234, order of 3 November 2026"
GAG = "The same order forbids to tell the account's owner"
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def hold_of(email=ADA, *tables, secret_for=None, days=90):
    gag = {"secrecy": GAG, "secret_until": now() + secret_for} if secret_for else {}
    return holds.NewHold(email=email, tables=tables, ground=ORDER, review_by=now() + timedelta(days=days), **gag)


async def placed(grace, new):
    async with transaction() as tx:
        return (await holds.place(tx, grace, new)).handle


async def released(grace, handle):
    async with transaction() as tx:
        await holds.release(tx, grace, handle, "The case is closed")


async def trail_of(person):
    async with transaction() as tx:
        return [(entry.action, entry.by) for entry in (await trails.mine(tx, person, others=True)).entries]


async def seen_by(person):
    async with transaction() as tx:
        return [(one.state, one.ground, one.tables) for one in await holds.mine(tx, person)]


async def test_ada_is_told_of_a_hold_reads_it_in_her_copy_and_is_told_when_it_ends(ada, bob, grace):
    handle = await placed(grace, hold_of(ADA, "usage_event"))
    assert await seen_by(ada) == [("in force", ORDER, ("Your API request log",))]
    assert await seen_by(bob) == []
    assert ("hold:placed", "staff") in await trail_of(ada)
    async with transaction() as tx:
        section = next(one for one in (await access.copy(tx, ada)).sections if one.name == "legal_hold")
    assert ORDER in section.rows[0]
    await released(grace, handle)
    assert [state for state, _, _ in await seen_by(ada)] == ["released"]
    assert [one["subject"] for one in await waiting_mail(ADA)] == [
        "The law makes us keep some of your data",
        "We no longer have to keep your data",
    ]
    assert await waiting_mail(BOB) == []


@pytest.mark.promise("3.6")
async def test_a_secret_hold_is_nowhere_until_the_order_ends_and_then_everywhere(house, grace):
    with frozen(START) as move:
        ada, staff = await customer(ADA), replace(grace, reauthenticated_at=START)
        await placed(staff, hold_of(secret_for=timedelta(days=30)))
        async with transaction() as tx:
            await holds.listed(tx, staff)
        await holds.tell_when_secrecy_ends()
        assert (await seen_by(ada), await trail_of(ada), await waiting_mail(ADA)) == ([], [], [])
        async with transaction() as tx:
            section = next(one for one in (await access.copy(tx, ada)).sections if one.name == "legal_hold")
        assert (section.total, section.rows) == (0, ())
        move(START + timedelta(days=30))
        await holds.tell_when_secrecy_ends()
        await holds.tell_when_secrecy_ends()
        assert await seen_by(ada) == [("in force", ORDER, ())]
        assert await trail_of(ada) == [("hold:told", "software"), ("hold:viewed", "staff"), ("hold:placed", "staff")]
        assert len(await waiting_mail(ADA)) == 1


async def test_grace_can_end_the_secrecy_before_its_day(ada, grace):
    handle = await placed(grace, hold_of(secret_for=timedelta(days=30)))
    async with transaction() as tx:
        await holds.tell(tx, grace, handle)
    assert len(await seen_by(ada)) == 1
    with pytest.raises(Refused, match="already"):
        async with transaction() as tx:
            await holds.tell(tx, grace, handle)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"email": "", "tables": ()}, "Name an account"),
        ({"email": "nobody@example.com"}, "does not exist"),
        ({"tables": ("sweep",)}, "no table sweep"),
        ({"ground": "  "}, "Name the order"),
        ({"review_by": START}, "twelve months"),
        ({"review_by": START + timedelta(days=400)}, "twelve months"),
        ({"secrecy": GAG}, "its end"),
        ({"secret_until": START + timedelta(days=3)}, "its end"),
        ({"secrecy": GAG, "secret_until": START + timedelta(days=400)}, "twelve months"),
        (
            {"email": "", "tables": ("session",), "secrecy": GAG, "secret_until": START + timedelta(days=3)},
            "one person",
        ),
    ],
)
async def test_a_hold_that_says_too_little_is_refused(changed, sentence, ada, grace):
    with frozen(START):
        staff = replace(grace, reauthenticated_at=START)
        with pytest.raises(Refused, match=sentence):
            await placed(staff, hold_of().model_copy(update=changed))
        async with transaction() as tx:
            assert (await holds.in_force(tx)).each == ()


async def test_only_staff_who_have_just_proven_who_they_are_hold_and_release(ada, grace):
    handle = await placed(grace, hold_of())
    stale = replace(grace, reauthenticated_at=now() - timedelta(hours=1))
    for who, sentence in ((ada, "does not exist"), (stale, "Confirm that it is you")):
        for act in (
            lambda tx, who: holds.place(tx, who, hold_of()),
            lambda tx, who: holds.release(tx, who, handle, "Because"),
            lambda tx, who: holds.renew(tx, who, handle, "Because", now() + timedelta(days=3)),
            lambda tx, who: holds.tell(tx, who, handle),
        ):
            with pytest.raises(Refused, match=sentence):
                async with transaction() as tx:
                    await act(tx, who)
    async with transaction() as tx:
        with pytest.raises(Refused, match="does not exist"):
            await holds.listed(tx, ada)


@pytest.mark.promise("2.8")
async def test_a_hold_that_nobody_looked_at_again_breaks_the_promise(house, grace):
    with frozen(START) as move:
        staff = replace(grace, reauthenticated_at=START)
        await customer(ADA)
        handle = await placed(staff, hold_of(days=30))
        move(START + timedelta(days=31))
        async with transaction() as tx:
            with pytest.raises(promises.Broken, match="looked at again"):
                await holds.kept_for_a_reason(tx)
            assert [row.state for row in await holds.listed(tx, staff)] == ["to be reviewed"]
        async with transaction() as tx:
            staff = replace(grace, reauthenticated_at=now())
            await holds.renew(tx, staff, handle, "The case goes on", now() + timedelta(days=60))
        async with transaction() as tx:
            assert "names its ground and its end" in await holds.kept_for_a_reason(tx)


async def test_what_staff_does_with_a_hold_is_written_down(ada, grace):
    handle = await placed(grace, hold_of())
    await released(grace, handle)
    async with transaction() as tx:
        wanted = col(TrailEntry.action).startswith("hold:")
        entries = (await tx.exec(select(TrailEntry).where(wanted).order_by(col(TrailEntry.id)))).all()
    assert [(one.action, one.account_id, one.actor_id) for one in entries] == [
        (action, ada.account_id, grace.account_id) for action in ("hold:placed", "hold:released")
    ]


async def test_whether_something_is_held_is_asked_by_table_and_by_whose_it_is(ada, bob, grace):
    await placed(grace, hold_of(ADA, "api_key"))
    await placed(grace, hold_of("", "usage_event"))
    with pytest.raises(Refused, match="no table request_content"):  # its keys end within 24 hours, whatever is asked
        await placed(grace, hold_of("", "request_content"))
    async with transaction() as tx:
        assert await holds.held(tx, "api_key", account_ids=[ada.account_id])
        assert await holds.held(tx, "api_key", organization_ids=[ada.organization_id])
        assert not await holds.held(tx, "api_key", account_ids=[bob.account_id], organization_ids=[bob.organization_id])
        assert not await holds.held(tx, "session", account_ids=[ada.account_id])
        assert not (await holds.in_force(tx)).on_table("request_content")
        assert await holds.held(tx, "usage_event", organization_ids=[bob.organization_id])


async def dumped():
    async with transaction() as tx:
        return await everything(tx)


async def facts_of(closing):
    return json.loads((await receipt_of(closing)).body)


@pytest.fixture
async def both(ada, bob, payments_on):
    async with transaction() as tx:
        return await fill(tx, ada, other=bob.account_id), await fill(tx, bob, other=ada.account_id)


def found(markers, dump):
    whole = "\n".join(row for rows in dump.values() for row in rows)
    return {marker.name for marker in markers if marker.text in whole}


@pytest.mark.promise("3.6")
async def test_a_hold_blocks_only_what_it_names_and_the_erasure_finishes_by_itself_on_release(both, grace):
    hers, his = both
    hold = await placed(grace, hold_of(ADA, "usage_event"))
    closing = await erased(hers.person)
    dump = await dumped()
    named = {marker.name for marker in hers.markers if marker.table.name == "usage_event"}
    kept = {marker.name for marker in hers.markers if marker.declared_kept or marker.whose != hers.person.account_id}
    left = found(hers.markers, dump) - kept
    assert left >= named
    assert {name.partition(".")[0] for name in left - named} <= {
        "legal_hold",
        "privacy_request",
        "erasure",
        "organization",
    }
    assert str(hers.person.account_id) not in "\n".join(dump["trail_entry"] + dump["consent"])
    async with transaction() as tx:
        waiting = (await tx.exec(select(Erasure).order_by(col(Erasure.created_at).desc()))).first()
        (asked,) = [
            one for one in await requests.mine(tx, hers.person) if one.kind == "deletion" and "receipt" in one.outcome
        ]
    assert (waiting.carried_out_at, waiting.progress["held"]) == (None, {"usage_event": 1})
    assert asked.state == "done"
    assert any("but for what the law" in mail["subject"] for mail in await waiting_mail(ADA))

    await purge.carry_out_due()  # the hourly net changes nothing while the hold stands, and tells nobody twice
    await jobs.run_waiting()
    assert len([mail for mail in await waiting_mail(ADA) if "but for what the law" in mail["subject"]]) == 1
    await released(grace, hold)
    await jobs.run_waiting()
    dump = await dumped()
    assert found(hers.markers, dump) <= kept
    for leads_to_her in (ADA, str(hers.person.account_id), str(hers.person.organization_id)):
        whole = "\n".join(row for rows in dump.values() for row in rows if "Your account has been erased" not in row)
        assert leads_to_her not in whole
    lines = {line["table"]: line for line in (await facts_of(closing))["tables"]}
    assert (lines["usage_event"]["goes"], lines["usage_event"]["stays"]) == (1, 0)
    assert lines["consent"]["stays"] >= 1
    assert {m.name for m in his.markers if m.whose == his.person.account_id} <= found(his.markers, dump)


async def test_a_hold_of_the_whole_account_keeps_every_row_and_what_stripe_has(both, grace, payments_on, monkeypatch):
    hers, _ = both
    hold = await placed(grace, hold_of(ADA))
    gone = []

    async def forget(subject):
        gone.append(subject.account_id)
        return "forgotten"

    monkeypatch.setattr(purge, "_forget_at_stripe", forget)
    closing = await erased(hers.person)
    own = {marker.name for marker in hers.markers if marker.table.name not in holds.NEVER}
    own -= {"account.suspension_reason"}  # "You asked for …" stands there now
    assert own <= found(hers.markers, await dumped())
    assert gone == []
    await released(grace, hold)
    await jobs.run_waiting()
    assert (await facts_of(closing))["elsewhere"]["stripe"] == "forgotten"
    assert gone == [hers.person.account_id]


async def test_a_hold_of_one_table_of_everyone_keeps_bobs_rows_too(both, grace):
    _, his = both
    await placed(grace, hold_of("", "session"))
    await erased(his.person)
    left = found([marker for marker in his.markers if not marker.declared_kept], await dumped())
    assert "session.ip" in left
    assert "mail_token.new_email" not in left


async def test_a_table_made_while_an_erasure_waits_is_counted_too(both, grace):
    hers, _ = both
    hold = await placed(grace, hold_of(ADA, "session"))
    closing = await erased(hers.person)
    async with transaction() as tx:  # as if the release that brought this table came in between
        waiting = (await tx.exec(select(Erasure).order_by(col(Erasure.created_at).desc()))).first()
        counts = {name: line for name, line in waiting.progress["counts"].items() if name != "session"}
        waiting.progress = {**waiting.progress, "counts": counts}
    await released(grace, hold)
    await jobs.run_waiting()
    assert next(line for line in (await facts_of(closing))["tables"] if line["table"] == "session")["goes"] == 1


async def test_a_hold_on_something_that_ada_has_nothing_of_does_not_keep_her_waiting(ada, grace):
    await placed(grace, hold_of(ADA, "usage_event"))
    assert (await facts_of(await erased(ada)))["tables"]


async def test_of_a_secret_hold_nothing_is_said_in_the_plan_nor_after_the_erasure(both, grace):
    hers, _ = both
    await placed(grace, hold_of(ADA, "usage_event", secret_for=timedelta(days=30)))
    async with transaction() as tx:
        plan = await erasure.plan(tx, hers.person)
    assert all("hold" not in (line.ground or "").lower() or line.table == "legal_hold" for line in plan.lines)
    assert next(line for line in plan.lines if line.table == "usage_event").stays == 0
    await erased(hers.person)
    assert await waiting_mail(ADA) == []


async def test_the_plan_says_which_hold_keeps_what(both, grace):
    hers, _ = both
    handle = await placed(grace, hold_of(ADA, "usage_event"))
    async with transaction() as tx:
        plan = await erasure.plan(tx, hers.person)
    line = next(line for line in plan.lines if line.table == "usage_event")
    assert (line.goes, line.stays) == (0, 1)
    assert handle in line.ground


SWEPT = {table.name for table in inventory.all_tables() if rows_of(table).retention.ends} - set(holds.NEVER)
AGES = START + timedelta(days=365 * 9)


async def sweep_at(at):
    with frozen(at):
        async with transaction() as tx:
            return {one.table: one for one in await retention.sweep(tx)}


def swept_markers(filled):
    return {m.name for m in filled.markers if m.table.name in SWEPT and m.whose == filled.person.account_id}


@pytest.mark.promise("2.8")
async def test_a_sweep_leaves_adas_held_rows_alone_and_takes_bobs_and_the_gauges_stay_true(house, grace):
    with frozen(START):
        ada, bob, staff = await customer(ADA), await customer(BOB), replace(grace, reauthenticated_at=START)
        async with transaction() as tx:
            await ddl.ensure(tx, [START.date()])
            hers = await fill(tx, ada, other=bob.account_id, at=START)
            his = await fill(tx, bob, other=ada.account_id, at=START)
        hold = await placed(staff, hold_of(ADA))
    swept = await sweep_at(AGES)
    dump = await dumped()
    assert swept_markers(hers) <= found(hers.markers, dump)
    assert found(his.markers, dump) & swept_markers(his) == set()
    assert {name for name, one in swept.items() if one.oldest_left_at and one.oldest_left_at < AGES} <= {
        "privacy_request"
    }
    with frozen(AGES):
        await released(replace(grace, reauthenticated_at=AGES), hold)
    await sweep_at(AGES + timedelta(hours=1))
    assert found(hers.markers, await dumped()) & swept_markers(hers) <= {
        m for m in swept_markers(hers) if "legal_hold" in m
    }


@pytest.mark.parametrize("table", ["usage_event", "usage_receipt", "ledger_entry", "session"])
async def test_a_held_table_of_everyone_is_not_swept(table, ada, bob, grace):
    with frozen(START):
        async with transaction() as tx:
            await ddl.ensure(tx, [START.date()])
            his = await fill(tx, bob, other=ada.account_id, at=START)
        await placed(replace(grace, reauthenticated_at=START), hold_of("", table))
    swept = await sweep_at(AGES)
    own = {marker.name for marker in his.markers if marker.table.name == table}
    assert own <= found(his.markers, await dumped())
    assert swept[table].removed == 0
    assert swept["usage_tally"].removed >= 1
