"""What a stranger, a thief and a careless script try on the socket, and what they get."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
import redis
import socketio
from cast import ADA, BOB, GRACE, MALLORY
from tab import STATE, TARGET, Tab
from target import GO

from assisters_app.base import valkey
from assisters_app.base.crypto import fingerprint


async def test_ada_sees_her_own_data(face, cookie_of):
    async with Tab(face.url, cookie=await cookie_of(ADA)) as tab:
        assert f"private to {ADA}" in await tab.calls("load")
        assert tab.value("phase") == "ready"


@pytest.mark.parametrize("name", ["load", "fill", "wait", "grant", "refuse", "unmarked", "helper"])
async def test_a_stranger_runs_nothing(face, name):
    payload = {"fill": {"sent": {"name": "mine"}}, "grant": {"account": "1"}}.get(name, {})
    async with Tab(face.url) as tab:
        told = await tab.calls(name, **payload)
        assert not tab.value("secret")
        assert "private" not in told


async def test_a_stranger_is_led_to_the_sign_in_page_and_back(face):
    async with Tab(face.url, path="/dashboard/api-keys") as tab:
        assert "/sign-in?next=/dashboard/api-keys" in await tab.calls("load")


@pytest.mark.parametrize("name", ["unmarked", "helper", f"{TARGET}.setvar", f"{STATE}.setvar", "set_secret", "nothing"])
async def test_not_even_ada_can_call_what_carries_no_mark(face, cookie_of, name):
    payload = {"var_name": "secret", "value": "mine"} if name.endswith("setvar") else {}
    async with Tab(face.url, cookie=await cookie_of(ADA)) as tab:
        await tab.calls("load")
        await tab.calls(name, **payload)
        assert tab.value("secret") == f"private to {ADA}"


async def test_mallory_cannot_call_what_is_for_staff(face, cookie_of):
    async with Tab(face.url, cookie=await cookie_of(MALLORY)) as tab:
        assert "granted" not in await tab.calls("grant", account="ada")


async def test_grace_from_staff_can(face, cookie_of):
    async with Tab(face.url, cookie=await cookie_of(GRACE, "admin")) as tab:
        assert "granted ada" in await tab.calls("grant", account="ada")


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("add", {"by": "7"}),
        ("add", {"by": None}),
        ("add", {"by": 7.5}),
        ("add", {"by": [7]}),
        ("add", {"by": 7, "more": 7}),
        ("add", {"self": 7}),
        ("fill", {"sent": "name"}),
        ("fill", {"sent": {"name": "mine"}, "form": {}}),
    ],
)
async def test_arguments_that_do_not_fit_are_refused(face, cookie_of, name, payload):
    async with Tab(face.url, cookie=await cookie_of(ADA)) as tab:
        await tab.calls("add", by=2)
        await tab.calls(name, **payload)
        assert tab.value("count") == 2
        assert not tab.value("secret")


async def test_a_stolen_token_opens_nothing_without_the_cookie_or_with_another(face, cookie_of):
    cookie = await cookie_of(ADA)
    async with Tab(face.url, cookie=cookie) as victim:
        await victim.calls("load")
    for stolen in ("", await cookie_of(MALLORY), "x" * 43):
        async with Tab(face.url, token=victim.token, cookie=stolen) as thief:
            await thief.settled()
            assert ADA not in thief.text


async def test_ada_finds_her_tab_again_after_a_lost_connection(face, cookie_of):
    cookie = await cookie_of(ADA)
    async with Tab(face.url, cookie=cookie) as before:
        await before.calls("load")
        await before.calls("add", by=5)
    async with Tab(face.url, token=before.token, cookie=cookie) as after:
        await after.settled()
        assert after.value("count") == 5


async def test_a_revoked_cookie_opens_nothing_even_with_its_own_token(face, cookie_of, browser):
    cookie = await cookie_of(BOB)
    async with Tab(face.url, cookie=cookie) as before:
        await before.calls("load")
        assert (await browser.post("/auth/sign-out", headers={"cookie": f"session={cookie}"})).status_code == 200
    async with Tab(face.url, token=before.token, cookie=cookie) as after:
        await after.settled()
        assert BOB not in after.text


async def test_a_thief_without_the_first_event_hears_none_of_the_late_news(face, cookie_of):
    cookie = await cookie_of(ADA)
    async with Tab(face.url, cookie=cookie) as victim:
        await victim.send("wait")
        await victim.settled()
    async with Tab(face.url, token=victim.token, boot=False) as thief:
        await valkey.valkey().lpush(GO, "now")
        async with Tab(face.url, token=victim.token, cookie=cookie) as again:
            await again.until(lambda: again.value("secret") == f"late news for {ADA}")
        await thief.settled()
        assert "late news" not in thief.text


@pytest.mark.parametrize("origin", ["http://evil.example", "https://localhost:1", "null"])
async def test_another_site_cannot_open_the_socket(face, cookie_of, origin):
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with Tab(face.url, cookie=await cookie_of(ADA), origin=origin):
            pass


async def test_our_own_site_can(face):
    async with Tab(face.url, origin=face.url) as tab:
        await tab.settled()


async def test_signing_out_ends_live_tabs_on_every_worker_and_deletes_what_they_held(face, cookie_of, browser):
    cookie = await cookie_of(BOB)
    async with AsyncExitStack() as open_tabs:
        tabs = [await open_tabs.enter_async_context(Tab(face.url, cookie=cookie)) for _ in range(8)]
        for tab in tabs:  # spread over both workers
            await tab.calls("load")
        assert await _holding(BOB)
        await browser.post("/auth/sign-out", headers={"cookie": f"session={cookie}"})
        async with asyncio.timeout(10):
            for tab in tabs:
                await tab.gone.wait()
    await _until_nothing_holds(BOB)


async def test_the_cookie_goes_no_further_than_the_door(face, cookie_of):
    cookie = await cookie_of(ADA)
    async with Tab(face.url, cookie=cookie) as tab:
        await tab.calls("load")
        assert cookie not in tab.text
        assert fingerprint(cookie) not in tab.text
        assert "kept-on-the-server" not in tab.text
        assert not await _holding(cookie)
    assert cookie not in face.log.read_text()


async def test_a_tab_that_floods_is_cut_off_and_another_is_not(face, cookie_of):
    cookie = await cookie_of(ADA)
    async with Tab(face.url, cookie=cookie) as calm, Tab(face.url, cookie=cookie) as flood:
        with suppress(socketio.exceptions.SocketIOError):  # it may be cut off before it has sent everything
            for _ in range(2_000):
                await flood.send("add", by=1)
        await asyncio.wait_for(flood.gone.wait(), 10)
        assert "private" in await calm.calls("load")


async def test_a_refusal_is_said_in_its_own_words(face, cookie_of):
    async with Tab(face.url, cookie=await cookie_of(ADA)) as tab:
        await tab.send("refuse")
        await tab.hears("That key does not exist.")


@pytest.mark.parametrize("name", ["fail", "fail_to_load"])
async def test_a_failure_is_said_with_a_reference_and_without_its_details(face, cookie_of, name):
    async with Tab(face.url, cookie=await cookie_of(ADA)) as tab:
        await tab.send(name)
        await tab.hears("tell us the reference")
        assert "hunter2" not in tab.text
        assert tab.value("phase") == ("failed" if name == "fail_to_load" else "loading")


@pytest.mark.parametrize(
    "sent",
    [
        {"name": f"{TARGET}.renamed", "payload": {"sent": {"words": "c4nary said ada"}}, "router_data": {}},
        {"name": f"{TARGET}.note", "payload": "c4nary", "router_data": {}},
        {"name": f"{TARGET}.add", "payload": {"by": ["c4nary"]}, "router_data": {}},
        {"words": "c4nary"},
        ["c4nary"],
        'c4nary\n{"level": "info", "from": "assisters_app.worker", "says": "written by c4nary"}',
    ],
)
async def test_nothing_that_a_message_said_is_in_the_log_when_nobody_is_there_to_take_it(face, cookie_of, sent):
    async with Tab(face.url, cookie=await cookie_of(ADA)) as tab:
        await tab.sio.emit("event", sent, namespace="/_event")
        await tab.settled()
    assert "c4nary" not in face.log.read_text()


async def test_a_stranger_who_sends_what_is_senseless_and_long_keeps_nobody_waiting(face):
    async with Tab(face.url) as stranger:
        await stranger.send("renamed", words="a" * 900_000)
        await stranger.settled()


async def _until_nothing_holds(text):
    async with asyncio.timeout(30):
        while True:
            if not await _holding(text):
                return
            await asyncio.sleep(0.2)  # another process looks once more, some seconds after it has closed the socket


async def _holding(text):
    """Return the keys of Valkey whose value holds `text`."""
    async with redis.asyncio.from_url(valkey.settings().redis_url) as raw:
        keys = [key async for key in raw.scan_iter(count=1000)]
        return [
            key for key in keys if await raw.type(key) == b"string" and text.encode() in (await raw.get(key) or b"")
        ]
