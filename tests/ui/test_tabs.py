"""What Ada's open tabs held goes with her, and with her session; Bob's tabs stay."""

import asyncio

from cast import BOB
from customers import customer
from reflex.istate.manager.token import BaseStateToken
from reflex.state import State

from assisters_app.accounts import sessions
from assisters_app.accounts.client import Client
from assisters_app.accounts.tables import Account
from assisters_app.base.crypto import fingerprint
from assisters_app.base.db import transaction
from assisters_app.base.valkey import valkey
from assisters_app.privacy.belonging import subject_of
from assisters_app.ui import binder, tabs


async def open_tab(person, token):
    async with transaction() as tx:
        account = await tx.get_one(Account, person.account_id)
        cookie = await sessions.open_session(tx, account, Client())
    await binder._remember(fingerprint(cookie.reveal()), [token])
    held = str(BaseStateToken(ident=token, cls=State))
    await valkey().set(held, f"what {person.email} saw")
    return held


async def test_an_erasure_forgets_what_the_tabs_of_all_her_sessions_held_and_nobody_elses(house):
    ada, bob = await customer(), await customer(BOB)
    hers = [await open_tab(ada, "tab-1"), await open_tab(ada, "tab-2")]
    his = await open_tab(bob, "tab-3")
    async with transaction() as tx:
        await sessions.end_all(tx, ada.account_id, actor_id=ada.account_id)
        subject = await subject_of(tx, ada.account_id)
    assert await valkey().exists(*hers) == len(hers)
    assert await tabs.forget(subject) == "2 tabs forgotten"
    assert await valkey().exists(*hers) == 0
    assert await valkey().exists(his) == 1
    assert len(await valkey().keys("ui:tabs:*")) == 1


async def test_what_a_handler_saves_after_its_session_has_ended_does_not_stay(house, monkeypatch):
    ada = await customer()
    held, saved, at_once = await open_tab(ada, "tab-1"), asyncio.Event(), binder._delete_states

    async def late(mark, tokens):
        await saved.wait()
        await at_once(mark, tokens)

    async def then_late(mark, tokens):
        monkeypatch.setattr(binder, "_delete_states", late)
        await at_once(mark, tokens)

    monkeypatch.setattr(binder, "_IN_FLIGHT", 0.0)
    monkeypatch.setattr(binder, "_delete_states", then_late)
    [tabs_of_ada] = await valkey().keys("ui:tabs:*")
    await binder.kick(tabs_of_ada.rpartition(":")[2])
    assert not await valkey().exists(held)
    await valkey().set(held, "what a handler saved that was running meanwhile")
    saved.set()
    await asyncio.gather(*binder._late)
    assert not await valkey().exists(held)
