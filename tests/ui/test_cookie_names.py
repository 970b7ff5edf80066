"""The cookies' names, with and without TLS."""

from datetime import timedelta

import pytest
from starlette.responses import Response

from assisters_app.base import settings
from assisters_app.base.secrets import Secret
from assisters_app.ui.cookie import LINK, OAUTH, SESSION, clear_cookie, read_cookie, set_cookie


@pytest.fixture
def over_tls(house, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "https://assisters.example")
    settings.settings.cache_clear()


@pytest.mark.parametrize("what", [SESSION, LINK, OAUTH])
def test_over_tls_every_cookie_is_bound_to_this_host_and_to_tls(over_tls, what):
    response = Response()
    set_cookie(response, what, Secret("the-value"), timedelta(minutes=1))
    clear_cookie(response, what)
    kept, cleared = response.headers.getlist("set-cookie")
    assert kept.startswith(f"__Host-{what}=the-value; Max-Age=60; ")
    assert cleared.startswith(f"__Host-{what}=; Max-Age=0; ")
    for cookie in (kept, cleared):
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


def test_only_the_cookie_of_this_scheme_is_read(over_tls):
    headers = [(b"cookie", b"session=plain; a=b; __Host-session=right"), (b"host", b"assisters.example")]
    assert read_cookie(headers) == "right"
    assert read_cookie([(b"cookie", b"session=plain")]) == ""
