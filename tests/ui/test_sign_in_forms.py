"""Signing up, in and out over HTTP, as a page of ours does it and as another site would like to."""

import re

import httpx
import pytest
from cast import ADA, BOB, PASSWORD

WRONG = "not the password 4242"


@pytest.fixture
async def ada(cookie_of):
    await cookie_of(ADA)
    return {"email": ADA, "password": PASSWORD}


async def test_ada_signs_in_and_gets_a_cookie_that_scripts_cannot_read(browser, ada):
    answer = await browser.post("/auth/sign-in", data=ada)
    assert answer.json() == {"next": "/dashboard"}
    cookie = answer.headers["set-cookie"]
    assert re.match(r"session=[\w-]{43}; ", cookie)
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert answer.headers["cache-control"] == "no-store"


async def test_without_javascript_the_form_works_too(face, ada):
    async with httpx.AsyncClient(base_url=face.url, headers={"sec-fetch-site": "same-origin"}) as plain:
        answer = await plain.post("/auth/sign-in", data=ada)
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
        refused = await plain.post("/auth/sign-in", data={**ada, "password": WRONG})
        assert refused.status_code == 401
        assert "do not go together" in refused.text
        assert "script" not in refused.headers["content-security-policy"]


async def test_a_wrong_password_and_a_stranger_get_the_same_answer(browser, ada):
    wrong = await browser.post("/auth/sign-in", data={**ada, "password": WRONG})
    nobody = await browser.post("/auth/sign-in", data={"email": "nobody@example.com", "password": WRONG})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/sign-out", "/auth/sign-out-everywhere", "/auth/reset"])
async def test_a_form_on_another_site_does_nothing(face, cookie_of, path, headers):
    cookie = await cookie_of(BOB)
    async with httpx.AsyncClient(base_url=face.url, headers=headers) as other:
        answer = await other.post(
            path, data={"email": BOB, "password": PASSWORD}, headers={"cookie": f"session={cookie}"}
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        still = await other.get("/sign-in", headers={"cookie": f"session={cookie}"})
        assert still.status_code == 303  # signed in as before


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/dashboard/usage?range=7d", "/dashboard/usage?range=7d"),
        ("//evil.example", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("https://evil.example/", "/dashboard"),
        ("javascript:alert(1)", "/dashboard"),
        ("/a\r\nset-cookie: x=y", "/dashboard"),
        ("/auth/sign-out", "/dashboard"),
        ("", "/dashboard"),
    ],
)
async def test_signing_in_leads_back_only_to_pages_of_ours(browser, ada, wanted, goes):
    answer = await browser.post("/auth/sign-in", data={**ada, "next": wanted})
    assert answer.json() == {"next": goes}


async def test_signing_out_ends_the_session_and_takes_the_cookie_away(browser, cookie_of):
    cookie = await cookie_of(BOB)
    answer = await browser.post("/auth/sign-out", headers={"cookie": f"session={cookie}"})
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await browser.get("/dashboard", headers={"cookie": f"session={cookie}"})).status_code == 303


async def test_signing_out_everywhere_ends_every_session(browser, cookie_of):
    here, there = await cookie_of(BOB), await cookie_of(BOB)
    await browser.post("/auth/sign-out-everywhere", headers={"cookie": f"session={here}"})
    for cookie in (here, there):
        assert (await browser.get("/dashboard", headers={"cookie": f"session={cookie}"})).status_code == 303


async def test_a_weak_password_is_refused_beside_its_field(browser):
    answer = await browser.post("/auth/sign-up", data={"email": "new@example.com", "password": "password12"})
    assert answer.status_code == 400
    assert answer.json()["field"] == "password"
    assert "stolen passwords" in answer.json()["refused"]


async def test_the_meter_judges_a_password_while_it_is_typed(browser):
    weak = (await browser.post("/auth/judge", data={"password": "password12", "email": ADA})).json()
    strong = (await browser.post("/auth/judge", data={"password": PASSWORD, "email": ADA})).json()
    assert weak["problem"]
    assert (strong["problem"], strong["score"]) == (None, 4)


async def test_a_link_page_without_its_link_says_so(browser):
    for path in ("/auth/verify", "/auth/reset", "/auth/confirm-email", "/auth/new-mailbox", "/auth/keep-mailbox"):
        answer = await browser.post(path, data={"password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_link")


async def test_a_form_larger_than_any_form_of_ours_is_refused(browser):
    answer = await browser.post("/auth/sign-in", data={"email": ADA, "password": "x" * 20_000})
    assert answer.status_code == 413
