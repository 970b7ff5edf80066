"""What authorities demanded, who was told, who looked, who was suspended: each read by those whom it is about."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA, BOB, GRACE, PASSWORD
from customers import customer
from mails import waiting_mail
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import people, signing_in
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy import promises
from assisters_app.privacy.registers import disclosures, suspensions, trails
from assisters_app.privacy.registers.tables import DisclosedAccount
from assisters_app.privacy.rights import export, requests

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GAG = "18 U.S.C. 2705(b), order of the same day"


async def act(verb, *args):
    async with transaction() as tx:
        return await verb(tx, *args)


async def broken(check):
    async with transaction() as tx:
        try:
            await check(tx)
        except promises.Broken as problem:
            return str(problem)
    return ""


async def subjects_of_mail(to):
    return [letter["subject"] for letter in await waiting_mail(to)]


def demand(*addresses, secret_for=None, **changed):
    gag = {"not_told_why": GAG, "secret_until": now() + secret_for} if secret_for else {}
    return disclosures.NewDisclosure(
        **{
            "authority": "County prosecutor, Kent",
            "kind": "subpoena",
            "received_at": now() - timedelta(days=1),
            "scope": "Names and times of sign-in of February 2026",
            "addresses": addresses,
            **gag,
            **changed,
        }
    )


async def exported(person):
    """Return the lines of each table in somebody's export."""
    made = await act(export.begin, replace(person, reauthenticated_at=now()))
    data = io.BytesIO(b"".join([part async for part in export.stream(made)]))
    with zipfile.ZipFile(data) as archive:
        return {
            name.removeprefix("data/").removesuffix(".jsonl"): list(map(json.loads, archive.read(name).splitlines()))
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }


@pytest.mark.promise("3.6")
async def test_ada_is_told_who_demanded_her_data_and_what_was_handed_over(ada, bob, grace):
    entered = await act(disclosures.enter, grace, demand(ADA))
    (hers,) = await act(disclosures.mine, ada)
    assert (hers.authority, hers.disclosed) == ("County prosecutor, Kent", "")
    await act(disclosures.answer, grace, entered.handle, "part", "Times of sign-in; names we do not hold.")
    (hers,) = await act(disclosures.mine, ada)
    assert hers.disclosed == "A part of it: Times of sign-in; names we do not hold."
    assert await subjects_of_mail(ADA) == [
        "An authority has asked for your data",
        "What an authority was given of your data",
    ]
    assert (await act(disclosures.mine, bob), await subjects_of_mail(BOB)) == ((), [])
    data = await exported(ada)
    assert [one["disclosed"] for one in data["disclosed_account"]] == [hers.disclosed]
    assert {"data:demanded", "data:disclosed"} <= {one["action"] for one in data["trail_entry"]}
    with pytest.raises(Refused, match="answered already"):
        await act(disclosures.answer, grace, entered.handle, "none", "Nothing")


@pytest.mark.promise("3.6")
async def test_what_an_order_keeps_from_ada_she_learns_the_hour_it_ends(house, grace):
    with frozen(START) as move:
        ada, staff = await customer(ADA), replace(grace, reauthenticated_at=START)
        entered = await act(disclosures.enter, staff, demand(ADA, secret_for=timedelta(days=90)))
        await act(disclosures.answer, staff, entered.handle, "full", "Times of sign-in")
        await disclosures.tell_when_secrecy_ends()
        data = await exported(ada)
        assert (data["disclosed_account"], await act(disclosures.mine, ada), await subjects_of_mail(ADA)) == (
            [],
            (),
            [],
        )
        assert not [one for one in data["trail_entry"] if one["action"].startswith("data:")]
        (row,) = await act(disclosures.listed, staff)
        assert (row.told, row.untold, row.why_untold) == (0, 1, GAG)
        move(START + timedelta(days=90))
        assert await broken(disclosures.told_or_why_not) == ""
        await disclosures.tell_when_secrecy_ends()
        assert len(await act(disclosures.mine, ada)) == 1
        assert await subjects_of_mail(ADA) == ["What an authority was given of your data"]
        actions = [one["action"] for one in (await exported(ada))["trail_entry"] if one["action"].startswith("data:")]
        assert sorted(actions) == ["data:demand-told", "data:demanded", "data:disclosed"]


@pytest.mark.promise("3.6")
async def test_the_yearly_counts_name_nobody_and_begin_with_a_year_without_any(ada, bob, grace):
    with frozen(START) as move:
        staff = replace(grace, reauthenticated_at=START)
        assert [year.demands for year in await act(disclosures.years)] == [0]
        one = await act(disclosures.enter, staff, demand(ADA, BOB, ADA.upper()))
        await act(disclosures.enter, staff, demand(ADA, secret_for=timedelta(days=9)))
        await act(disclosures.answer, staff, one.handle, "none", "The subpoena was withdrawn")
        move(START.replace(year=2027))
        counted = await act(disclosures.years)
        assert counted == (
            disclosures.Year(2027, 0, 0, 0, 0, 0, 0, 0, 0),
            disclosures.Year(2026, 2, 3, 0, 0, 1, 1, 2, 1),
        )


@pytest.mark.promise("3.6")
async def test_somebody_whom_nobody_told_without_an_order_breaks_the_promise(ada, grace):
    await act(disclosures.enter, grace, demand(ADA, secret_for=timedelta(days=9)))
    assert await broken(disclosures.told_or_why_not) == ""
    with frozen(now() + timedelta(days=10)):
        assert "have not been told" in await broken(disclosures.told_or_why_not)
    await act(_forget_the_order)
    assert "have not been told" in await broken(disclosures.told_or_why_not)


async def _forget_the_order(tx):
    (await tx.exec(select(DisclosedAccount))).one().not_told_why = ""


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"authority": " "}, "Name the authority"),
        ({"scope": " "}, "what was asked"),
        ({"scope": "The mail of ada@example.com"}, "Name nobody"),
        ({"received_at": START + timedelta(days=1)}, "future"),
        ({"addresses": ("nobody@example.com",)}, "no account with the address"),
        ({"not_told_why": GAG}, "its end"),
        ({"secret_until": START + timedelta(days=9)}, "its end"),
        ({"not_told_why": GAG, "secret_until": START + timedelta(days=999)}, "twelve months"),
    ],
)
async def test_a_demand_that_says_too_little_or_names_somebody_is_refused(changed, sentence, ada, grace):
    with frozen(START), pytest.raises(Refused, match=sentence):
        await act(disclosures.enter, replace(grace, reauthenticated_at=START), demand(ADA, **changed))


async def test_only_staff_who_have_just_proven_who_they_are_keep_the_log(ada, grace):
    entered = await act(disclosures.enter, grace, demand(ADA, secret_for=timedelta(days=9)))
    stale = replace(grace, reauthenticated_at=now() - timedelta(hours=1))
    for who, sentence in ((ada, "does not exist"), (stale, "Confirm that it is you")):
        for verb, *more in (
            (disclosures.enter, demand(ADA)),
            (disclosures.answer, entered.handle, "full", "All"),
            (disclosures.tell, entered.handle),
        ):
            with pytest.raises(Refused, match=sentence):
                await act(verb, who, *more)
    with pytest.raises(Refused, match="does not exist"):
        await act(disclosures.listed, ada)
    await act(disclosures.tell, grace, entered.handle)
    with pytest.raises(Refused, match="told already"):
        await act(disclosures.tell, grace, entered.handle)


@pytest.mark.promise("5.5")
async def test_each_look_of_staff_stands_in_adas_trail_and_in_her_export(ada, grace):
    request = await act(requests.ask, ada, "question", "What do you hold?")
    for verb, *more in (
        (people.listed,),
        (people.view, ada.account_id),
        (trails.everyones,),
        (trails.compared, [ada.organization_id]),
        (requests.queue,),
        (requests.view, request.handle),
    ):
        await act(verb, grace, *more)
    looks = ["account:listed", "account:viewed", "request:viewed", "request:viewed", "trail:read", "usage:compared"]
    page = await act(trails.mine, ada)
    assert sorted(entry.action for entry in page.entries if entry.by == "staff") == looks
    lines = (await exported(ada))["trail_entry"]
    assert {line["action"] for line in lines} >= set(looks)
    assert str(grace.account_id) not in json.dumps(lines)
    assert GRACE not in json.dumps(lines)


async def test_the_trail_of_staff_is_not_drowned_by_looks_unless_they_are_asked_for(ada, grace):
    await act(people.view, grace, ada.account_id)
    for _ in range(2):
        await act(people.listed, grace)
        page = await act(trails.everyones, grace)
    assert [entry.action for entry in page.entries] == ["account:viewed"]
    page = await trails_with_looks(grace)
    assert {entry.action for entry in page.entries} == {"account:listed", "trail:read"}


async def trails_with_looks(grace):
    async with transaction() as tx:
        return await trails.everyones(tx, grace, which=trails.Which(looks=True))


@pytest.mark.promise("5.5")
async def test_a_table_that_is_not_locked_or_is_granted_to_others_breaks_the_promise(house):
    assert await broken(trails.only_the_software_reads) == ""
    await act(_sql, "ALTER TABLE session DISABLE ROW LEVEL SECURITY")
    assert "not locked: session" in await broken(trails.only_the_software_reads)
    await act(_sql, "ALTER TABLE session ENABLE ROW LEVEL SECURITY")
    await act(_sql, "GRANT SELECT ON session TO PUBLIC")
    assert "granted access to these tables: session" in await broken(trails.only_the_software_reads)


async def _sql(tx, statement):
    await tx.sql(text(statement))


@pytest.mark.promise("2.4")
async def test_suspended_ada_reads_the_reason_and_where_to_appeal_and_a_person_decided(ada, grace):
    async with transaction() as tx:
        await identity().set_password(tx, await tx.get_one(Account, ada.account_id), PASSWORD)
    await act(people.suspend, grace, ada.account_id, "Calls with stolen keys")
    with pytest.raises(Refused, match=r"Calls with stolen keys.*legal@assisters\.io"):
        await act(signing_in.sign_in, ADA, PASSWORD, Client("192.0.2.7", "Firefox"))
    assert await subjects_of_mail(ADA) == ["Your account was suspended"]
    assert await broken(suspensions.a_person_decided) == ""


@pytest.mark.promise("2.4")
async def test_a_suspension_without_a_reason_or_by_software_alone_breaks_the_promise(ada, grace):
    await act(_suspend_by_hand, ada.account_id, "")
    assert "without a reason" in await broken(suspensions.a_person_decided)
    await act(_suspend_by_hand, ada.account_id, "The software thinks so")
    assert "without a person" in await broken(suspensions.a_person_decided)


async def _suspend_by_hand(tx, account_id, reason):
    account = await tx.get_one(Account, account_id)
    account.suspended_at, account.suspension_reason = now(), reason
