"""Grace and Iris give Ada another mailbox from their page; Ada sees it in her settings, and can stop it there."""

import pytest
from cast import ADA
from sqlmodel import select

import assisters_app.assisters_app  # noqa: F401 (registers every State)
from assisters_app.accounts.tables import MailboxRecovery
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.ui.settings import SettingsState
from assisters_app.ui.staff.mailboxes import MailboxesState

ASKED = {"email": ADA, "new_email": "ada@new.example", "proof-key": True, "proof-domain": True}


@pytest.fixture
async def iris(signs_in):
    return await signs_in("iris@assisters.example", role="admin")


async def the_one():
    async with transaction() as tx:
        return (await tx.exec(select(MailboxRecovery))).one()


async def test_two_admins_give_ada_another_mailbox_and_she_reads_it_in_her_settings_and_stops_it(ada, grace, iris, tab):
    first, second, own = tab(grace), tab(iris), tab(ada)
    await first.send(MailboxesState.ask, dialog="ask", handle="")
    few = await first.send(MailboxesState.begin, sent=ASKED | {"proof-domain": False})
    assert few.of(MailboxesState)["problem"] == "Two different proofs are needed."
    begun = await first.send(MailboxesState.begin, sent=ASKED)
    handle = (await the_one()).handle
    assert begun.said() == f"{handle} is under way. Both mailboxes were written to, and every other admin."
    [row] = begun.of(MailboxesState)["rows"]
    assert (row.old, row.new, row.approvable) == ("a…@example.com", "a…@new.example", False)
    [row] = (await second.send(MailboxesState.load)).of(MailboxesState)["rows"]
    assert row.approvable
    await second.send(MailboxesState.ask, dialog="approve", handle=handle)
    early = await second.send(MailboxesState.approve)
    assert early.of(MailboxesState)["problem"] == "The new address has not been confirmed yet."
    async with transaction() as tx:
        (await tx.exec(select(MailboxRecovery))).one().confirmed_at = now()
    assert (
        await second.send(MailboxesState.approve)
    ).said() == "Approved. It counts in seven days, unless it is stopped."
    shown = (await own.send(SettingsState.load, zone="UTC")).of(SettingsState)["recovery"]
    assert (shown.new, shown.due) == ("a…@new.example", (await the_one()).due_at.isoformat())
    assert (await own.send(SettingsState.keep_mailbox)).said() == "Stopped. Your address stays as it is."
    assert (await the_one()).outcome == "stopped"
    assert (await own.send(SettingsState.load, zone="UTC")).of(SettingsState)["recovery"].new == ""
