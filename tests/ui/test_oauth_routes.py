"""Leaving for a provider and coming back over HTTP, at a real OpenID provider."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest
from cast import ADA
from nets import free_port
from starlette.applications import Starlette

from assisters_app.accounts import sessions
from assisters_app.base import settings
from assisters_app.ui import auth_routes

OURS = {"sec-fetch-site": "same-origin", "accept": "application/json"}


@pytest.fixture(scope="module")
def issuer():
    """Run the provider in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": {**os.environ, "PYTHONWARNINGS": "ignore"},
    }
    provider = subprocess.Popen(command, **quiet)
    try:
        with _outside(retries=9) as there:
            there.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration").raise_for_status()
        yield f"http://127.0.0.1:{port}"
    finally:
        provider.terminate()
        provider.wait(10)


@pytest.fixture
async def browser(house, issuer, monkeypatch):
    """Give a browser that keeps cookies, at a house where one may sign in with the provider."""
    for name, value in {"ISSUER": issuer, "CLIENT_ID": "assisters", "CLIENT_SECRET": "s3cret"}.items():
        monkeypatch.setenv(f"OIDC_{name}", value)
    settings.settings.cache_clear()
    sessions._known.clear()
    with _outside() as there:
        there.put(f"{issuer}/users/ada", json={"email": ADA, "email_verified": True}).raise_for_status()
    app = httpx.ASGITransport(Starlette(routes=auth_routes.routes))
    async with httpx.AsyncClient(transport=app, base_url=settings.settings().public_url) as client:
        yield client


def _outside(retries=0):
    return httpx.Client(transport=httpx.HTTPTransport(retries=retries, verify=False))


async def _leave(browser, **fields):
    answer = await browser.post("/auth/oauth/oidc", data={"next": "/dashboard/usage", **fields}, headers=OURS)
    return answer, answer.json().get("next", "")


def _agree(address):
    """Say yes at the provider; return the path and query that it sends the browser back to."""
    with _outside() as there:
        back = urlsplit(there.post(address, data={"sub": "ada"}).headers["location"])
    return f"{back.path}?{back.query}"


async def test_ada_signs_in_with_her_provider_and_lands_where_she_was(browser, issuer):
    left, address = await _leave(browser)
    assert address.startswith(issuer)
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(left.headers["set-cookie"].split("; "))
    back = await browser.get(_agree(address))
    assert (back.status_code, back.headers["location"]) == (303, "/dashboard/usage")
    assert (await sessions.resolve(browser.cookies[settings.settings().cookie_name("session")])).email == ADA
    assert "oauth" not in browser.cookies


async def test_an_answer_is_worth_nothing_in_another_browser(browser):
    _, address = await _leave(browser)
    callback = _agree(address)
    browser.cookies.clear()
    stolen = await browser.get(callback)
    assert stolen.status_code == 400
    assert "begun in another browser" in stolen.text
    assert "set-cookie" not in stolen.headers


async def test_only_who_is_signed_in_can_link_or_prove_themselves(browser):
    for intent in ("link", "reauthenticate"):
        answer, _ = await _leave(browser, intent=intent)
        assert answer.json()["code"] == "signed_out"


async def test_a_provider_that_is_not_configured_does_not_exist(browser):
    answer = await browser.post("/auth/oauth/github", data={"next": "/"}, headers=OURS)
    assert answer.status_code == 404


async def test_another_site_cannot_send_ada_to_a_provider(browser):
    answer = await browser.post("/auth/oauth/oidc", data={"next": "/"}, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
