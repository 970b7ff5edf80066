"""The erasure ledger: kept outside the database, chained, and silent about whom it is about."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cast import ADA
from customers import customer

from assisters_app.base import jobs, settings
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.privacy.erasing import erasure, ledger, purge, remembering
from assisters_app.privacy.erasing.ledger import LedgerError

pytestmark = pytest.mark.usefixtures("mail_waits")

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def ask(act, person):
    async with transaction() as tx:
        return await act(tx, person)


def said():
    return [entry.what for entry in ledger.read()]


def test_lines_hang_together_and_a_changed_missing_or_moved_one_shows(house):
    for number in range(4):
        ledger.append("asked", receipt=f"rcp_{number}")
    lines = ledger.path().read_bytes().splitlines(keepends=True)
    assert said() == ["begun"] + ["asked"] * 4
    for altered in (
        [lines[0], lines[1].replace(b"rcp_0", b"rcp_9"), *lines[2:]],
        [lines[0], *lines[2:]],
        [lines[0], lines[2], lines[1], *lines[3:]],
        lines[1:],
    ):
        ledger.path().write_bytes(b"".join(altered))
        with pytest.raises(LedgerError, match="was altered"):
            ledger.read()


def test_a_line_that_a_crash_cut_short_is_not_believed_and_the_next_one_takes_its_place(house):
    ledger.append("asked", receipt="rcp_1")
    with ledger.path().open("ab") as file:
        file.write(b'{"number":3,"previous":"')
    assert said() == ["begun", "asked"]
    ledger.append("asked", receipt="rcp_2")
    assert [entry.facts.get("receipt") for entry in ledger.read()] == [None, "rcp_1", "rcp_2"]


def test_a_long_line_is_found_again(house):
    ledger.append("erased", receipt="rcp_1", body="x" * 200_000)
    ledger.append("asked", receipt="rcp_2")
    assert len(ledger.read()) == 3


def test_only_we_may_read_it_and_a_changed_pepper_does_not_make_it_forget(house, monkeypatch):
    someone = new_id()
    before = ledger.mark_of(someone)
    ledger.append("asked", receipt="rcp_1")
    for file in (ledger.path(), ledger.path().with_name("erasures.key")):
        assert file.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("ASSISTERS_PEPPER", "YW5vdGhlciBwZXBwZXIgZm9yIHRlc3RzLCAzMiBieXRlcyBs")
    settings.settings.cache_clear()
    assert ledger.mark_of(someone) == before
    ledger.path().with_name("erasures.key").unlink()
    with pytest.raises(LedgerError, match="key is missing"):
        ledger.mark_of(someone)


async def test_before_anything_of_ada_is_destroyed_the_ledger_says_so_and_names_her_to_nobody(ada, monkeypatch):
    await ask(erasure.erase_now, ada)
    written = []
    monkeypatch.setattr(purge, "_steps", lambda: {"look": look})

    async def look(subject):
        written.extend(said())
        return "looked"

    await jobs.run_waiting()
    assert written[-1] == "erasing"
    assert said()[-1] == "erased"
    whole = ledger.path().read_text()
    for leads_to_her in (ADA, str(ada.account_id), ada.account_id.hex, str(ada.organization_id)):
        assert leads_to_her not in whole
    assert ledger.mark_of(ada.account_id) in whole


async def test_a_ledger_that_cannot_be_written_stops_the_destruction(ada):
    await ask(erasure.erase_now, ada)
    await remembering.write_down()
    ledger.path().unlink()
    with pytest.raises(LedgerError, match="is not at"):
        await purge.carry_out(await only_erasure())
    assert await ask(erasure.plan, ada)  # she is there, and can be counted


async def only_erasure():
    from sqlmodel import select

    from assisters_app.privacy.erasing.tables import Erasure

    async with transaction() as tx:
        return str((await tx.exec(select(Erasure.id))).one())


async def test_what_is_asked_taken_back_hastened_and_done_is_written_down_once_however_often_it_is_looked(house):
    with frozen(START) as move:
        ada = await customer(ADA)
        await ask(erasure.close, ada)
        await remembering.write_down()
        await ask(erasure.undo, ada)
        await remembering.write_down()
        await remembering.write_down()
        assert said() == ["begun", "asked", "withdrawn"]
        await ask(erasure.close, ada)
        await remembering.write_down()
        move(START + timedelta(minutes=1))
        await ask(erasure.erase_now, ada)
        await jobs.run_waiting()
        await remembering.write_down()
    assert said() == ["begun", "asked", "withdrawn", "asked", "asked", "erasing", "erased"]
    first, second = ledger.told(ledger.read()).values()
    assert first.withdrawn
    assert not first.final
    assert second.at_once
    assert json.loads(second.receipt["body"])["receipt"] == second.receipt_handle


async def test_a_receipt_whose_line_was_lost_in_a_crash_is_written_down_later(ada, monkeypatch):
    async def crash():
        raise ConnectionError("The worker was killed.")

    real = remembering.write_down
    monkeypatch.setattr(remembering, "write_down", crash)
    await ask(erasure.erase_now, ada)
    with pytest.raises(ConnectionError):
        await purge.carry_out(await only_erasure())
    assert said()[-1] == "erasing"
    await real()
    assert said()[-1] == "erased"
