"""Ada makes, shows, changes, rotates and revokes her keys; Mallory finds that they do not exist."""

import re

import pytest
from uses import calls

from assisters_app.base.db import transaction
from assisters_app.keys import keys
from assisters_app.keys.keys import NewKey
from assisters_app.keys.terms import Terms
from assisters_app.ui.keys.state import KeysState

SCOPES = {"scope_chat": "on", "scope_read": "on"}  # as the form has them ticked


async def issue(who, name="Server"):
    async with transaction() as tx:
        return (await keys.issue(tx, who.person, NewKey(name=name))).key


async def live(who):
    async with transaction() as tx:
        return await keys.live(tx, who.person)


async def test_ada_makes_a_key_and_sees_its_secret_once(ada, tab):
    page = tab(ada)
    await page.send(KeysState.ask, dialog="new", handle="")
    shown = (await page.send(KeysState.create, sent={"name": "Server", "mode": "live", "lasts": "", **SCOPES})).of(
        KeysState
    )
    assert re.fullmatch(r"ask_\w{61}", shown["secret"])
    assert shown["dialog"] == "secret"
    assert [row.name for row in shown["rows"]] == ["Server"]
    kept = await page.state(KeysState)
    assert kept.secret == ""
    assert shown["secret"] not in repr(kept.get_value("rows"))


async def test_a_tab_that_comes_back_no_longer_has_the_secret(ada, tab):
    page = tab(ada)
    first = (await page.send(KeysState.create, sent={"name": "Server", **SCOPES})).of(KeysState)
    again = (await page.send(KeysState.load)).of(KeysState)
    assert first["secret"]
    assert "secret" not in again


async def test_a_key_without_a_name_is_refused_beside_its_field(ada, tab):
    shown = (await tab(ada).send(KeysState.create, sent={"name": "  ", **SCOPES})).of(KeysState)
    assert shown["problem"] == "A key's name has 1 to 255 characters."
    assert await live(ada) == []


async def test_an_eleventh_key_is_refused_in_words(ada, tab):
    for number in range(10):
        await issue(ada, f"Server {number}")
    shown = (await tab(ada).send(KeysState.create, sent={"name": "One more", **SCOPES})).of(KeysState)
    assert "Revoke one" in shown["problem"]


async def test_a_key_can_be_made_to_end(ada, tab):
    await tab(ada).send(KeysState.create, sent={"name": "Short", "lasts": "30", **SCOPES})
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
    await page.send(KeysState.ask, dialog="edit", handle=key.handle)
    shown = await page.send(KeysState.change, sent={"name": "Batch", **SCOPES})
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
    for dialog in ("revoke", "rotate", "edit"):
        assert (await page.send(KeysState.ask, dialog=dialog, handle=key.handle)).said() == "That key does not exist."


async def test_mallory_cannot_revoke_or_rotate_adas_key_with_a_forged_tab(ada, mallory, tab):
    key, page = await issue(ada), tab(mallory)
    (await page.state(KeysState)).handle = key.handle  # more than she can do: no event writes it
    assert (await page.send(KeysState.revoke, sent={})).said() == "That key does not exist."
    rotated = (await page.send(KeysState.rotate, sent={"grace": "0"})).of(KeysState)
    assert rotated["problem"] == "That key does not exist."
    changed = await page.send(KeysState.change, sent={"name": "Mine", **SCOPES})
    assert changed.of(KeysState).get("problem", "That key does not exist.") == "That key does not exist."
    assert "secret" not in rotated
    assert [one.handle for one in await live(ada)] == [key.handle]


async def test_nobody_can_make_a_key(house, tab):
    shown = await tab().send(KeysState.create, sent={"name": "Mine"})
    assert shown.of(KeysState) == {}


WANTED = {
    **SCOPES,
    "scope_read": "",
    "scope_write": "on",
    "model_assisters-chat-v1": "on",
    "requests_per_minute": "60",
    "tokens_per_minute": "",
    "concurrency": "4",
    "budget_day": "$0.50",
    "budget_week": "",
    "budget_month": "1,000",
    "networks": "203.0.113.9/24\n2001:DB8::1",
    "domains": "*.Example.com, app.example.org",
}
HELD = Terms(
    scopes=("chat", "write"),
    models=("assisters-chat-v1",),
    requests_per_minute=60,
    concurrency=4,
    budget_day=500_000_000,
    budget_month=1_000 * 10**9,
    networks=("203.0.113.0/24", "2001:db8::1/128"),
    domains=("*.example.com", "app.example.org"),
)


async def test_a_key_is_made_with_terms_of_its_own_and_the_list_says_which(ada, tab):
    shown = (await tab(ada).send(KeysState.create, sent={"name": "Page", **WANTED})).of(KeysState)
    (key,) = await live(ada)
    assert key.terms == HELD
    (row,) = shown["rows"]
    assert row.may == "chat, write"
    assert row.limits == [
        "assisters-chat-v1",
        "60 requests a minute",
        "4 at the same time",
        "from 2 addresses",
        "on 2 domains",
    ]
    assert [(one.span, one.spent, one.budget) for one in row.budgets] == [
        ("today", "$0.00", "$0.50"),
        ("this month", "$0.00", "$1,000.00"),
    ]


async def test_the_form_of_a_key_begins_with_what_holds_and_saving_it_changes_nothing(ada, tab):
    page = tab(ada)
    await page.send(KeysState.create, sent={"name": "Page", **WANTED})
    (key,) = await live(ada)
    filled = (await page.send(KeysState.ask, dialog="edit", handle=key.handle)).of(KeysState)["filled"]
    assert [one.value for one in filled.scopes if one.chosen] == ["chat", "write"]
    assert [one.value for one in filled.models if one.chosen] == ["assisters-chat-v1"]
    assert (filled.budget_day, filled.budget_week, filled.budget_month) == ("0.50", "", "1000.00")
    assert (filled.networks, filled.domains) == ("203.0.113.0/24\n2001:db8::1/128", "*.example.com\napp.example.org")
    again = {name: getattr(filled, name) for name in WANTED if hasattr(filled, name)}
    ticks = {"scope_chat": "on", "scope_write": "on", "model_assisters-chat-v1": "on"}
    await page.send(KeysState.change, sent={"name": "Page", **again, **ticks})
    assert (await live(ada))[0].terms == HELD


async def test_what_a_key_has_spent_of_its_budget_is_shown(ada, tab):
    page = tab(ada)
    await page.send(KeysState.create, sent={"name": "Page", **SCOPES, "budget_day": "1", "budget_week": "1.20"})
    (key,) = await live(ada)
    await calls(ada, key, cost_nano=10**9)
    await calls(ada, await issue(ada, "Other"), cost_nano=10**9)
    rows = {row.name: row for row in (await page.send(KeysState.load)).of(KeysState)["rows"]}
    assert [(one.span, one.spent, one.percent, one.tone) for one in rows["Page"].budgets] == [
        ("today", "$1.00", 100, "bad"),
        ("this week", "$1.00", 83, "warn"),
    ]
    assert rows["Other"].budgets == []


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("budget_day", "much", "An amount is in dollars, such as 5 or 0.50."),
        ("budget_week", "0", "A budget is an amount above zero, at most $1,000,000."),
        ("budget_month", "-1", "A budget is an amount above zero, at most $1,000,000."),
        ("budget_month", "1e99", "A budget is an amount above zero, at most $1,000,000."),
        ("budget_month", "NaN", "An amount is in dollars, such as 5 or 0.50."),
        ("requests_per_minute", "0", "Requests per minute are a whole number from 1."),
        ("tokens_per_minute", "ten", "Tokens per minute are a whole number from 1."),
        ("concurrency", "1.5", "Calls at the same time are a whole number from 1."),
        ("networks", "10.0.0.0/33", "“10.0.0.0/33” is not an IP address or a block such as 203.0.113.0/24."),
        (
            "domains",
            "https://example.com",
            "“https://example.com” is not a domain such as example.com or *.example.com.",
        ),
        ("scope_admin", "on", "Choose at least one thing that the key may do."),
    ],
)
async def test_terms_that_cannot_be_are_refused_with_their_field(ada, tab, field, wrong, said):
    shown = (await tab(ada).send(KeysState.create, sent={"name": "Key", **SCOPES, field: wrong})).of(KeysState)
    assert shown["problem"] == said
    assert shown["wrong"] == ("scopes" if field.startswith("scope") else field)
    assert await live(ada) == []


async def test_a_key_that_may_do_nothing_is_refused(ada, tab):
    shown = (await tab(ada).send(KeysState.create, sent={"name": "Key"})).of(KeysState)
    assert shown["problem"] == "Choose at least one thing that the key may do."
