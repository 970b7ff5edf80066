"""Ada makes, shows, rotates, renames and revokes her keys; Mallory finds that they do not exist."""

import re

from assisters_app.base.db import transaction
from assisters_app.keys import keys
from assisters_app.keys.keys import NewKey
from assisters_app.ui.keys import KeysState


async def issue(who, name="Server"):
    async with transaction() as tx:
        return (await keys.issue(tx, who.person, NewKey(name=name))).key


async def live(who):
    async with transaction() as tx:
        return await keys.live(tx, who.person)


async def test_ada_makes_a_key_and_sees_its_secret_once(ada, tab):
    page = tab(ada)
    await page.send(KeysState.ask, dialog="new", handle="")
    shown = (await page.send(KeysState.create, sent={"name": "Server", "mode": "live", "lasts": ""})).of(KeysState)
    assert re.fullmatch(r"ask_\w{61}", shown["secret"])
    assert shown["dialog"] == "secret"
    assert [row.name for row in shown["rows"]] == ["Server"]
    kept = await page.state(KeysState)
    assert kept.secret == ""
    assert shown["secret"] not in repr(kept.get_value("rows"))


async def test_a_tab_that_comes_back_no_longer_has_the_secret(ada, tab):
    page = tab(ada)
    first = (await page.send(KeysState.create, sent={"name": "Server"})).of(KeysState)
    again = (await page.send(KeysState.load)).of(KeysState)
    assert first["secret"]
    assert "secret" not in again


async def test_a_key_without_a_name_is_refused_beside_its_field(ada, tab):
    shown = (await tab(ada).send(KeysState.create, sent={"name": "  "})).of(KeysState)
    assert shown["problem"] == "A key's name has 1 to 255 characters."
    assert await live(ada) == []


async def test_an_eleventh_key_is_refused_in_words(ada, tab):
    for number in range(10):
        await issue(ada, f"Server {number}")
    shown = (await tab(ada).send(KeysState.create, sent={"name": "One more"})).of(KeysState)
    assert "Revoke one" in shown["problem"]


async def test_a_key_can_be_made_to_end(ada, tab):
    await tab(ada).send(KeysState.create, sent={"name": "Short", "lasts": "30"})
    (key,) = await live(ada)
    assert round((key.expires_at - key.created_at).total_seconds() / 86_400) == 30


async def test_ada_rotates_a_key_and_both_secrets_work_for_a_while(ada, tab):
    key, page = await issue(ada), tab(ada)
    await page.send(KeysState.load)
    await page.send(KeysState.ask, dialog="rotate", handle=key.handle)
    shown = (await page.send(KeysState.rotate, sent={"grace": "24"})).of(KeysState)
    assert shown["secret"].startswith("ask_")
    assert shown["rows"][0].old_secret_until != ""
    assert (await page.state(KeysState)).secret == ""


async def test_ada_renames_a_key(ada, tab):
    key, page = await issue(ada), tab(ada)
    await page.send(KeysState.load)
    await page.send(KeysState.ask, dialog="rename", handle=key.handle)
    shown = await page.send(KeysState.rename, sent={"name": "Batch"})
    assert "Batch" in shown.said()
    assert [row.name for row in shown.of(KeysState)["rows"]] == ["Batch"]


async def test_ada_revokes_a_key_by_name(ada, tab):
    key, page = await issue(ada), tab(ada)
    await page.send(KeysState.load)
    asked = (await page.send(KeysState.ask, dialog="revoke", handle=key.handle)).of(KeysState)
    assert (asked["dialog"], asked["name"]) == ("revoke", "Server")
    shown = await page.send(KeysState.revoke, sent={})
    assert "“Server” is revoked" in shown.said()
    assert shown.of(KeysState)["rows"] == []
    assert [row.name for row in shown.of(KeysState)["ended"]] == ["Server"]


async def test_mallory_cannot_see_adas_keys(ada, mallory, tab):
    await issue(ada)
    shown = (await tab(mallory).send(KeysState.load)).of(KeysState)
    assert shown["phase"] == "ready"
    assert "rows" not in shown or shown["rows"] == []


async def test_mallory_cannot_open_a_dialog_about_adas_key(ada, mallory, tab):
    key = await issue(ada)
    page = tab(mallory)
    await page.send(KeysState.load)
    for dialog in ("revoke", "rotate", "rename"):
        assert (await page.send(KeysState.ask, dialog=dialog, handle=key.handle)).said() == "That key does not exist."


async def test_mallory_cannot_revoke_or_rotate_adas_key_with_a_forged_tab(ada, mallory, tab):
    key, page = await issue(ada), tab(mallory)
    (await page.state(KeysState)).handle = key.handle  # more than she can do: no event writes it
    assert (await page.send(KeysState.revoke, sent={})).said() == "That key does not exist."
    rotated = (await page.send(KeysState.rotate, sent={"grace": "0"})).of(KeysState)
    assert rotated["problem"] == "That key does not exist."
    assert "secret" not in rotated
    assert [one.handle for one in await live(ada)] == [key.handle]


async def test_nobody_can_make_a_key(house, tab):
    shown = await tab().send(KeysState.create, sent={"name": "Mine"})
    assert shown.of(KeysState) == {}
