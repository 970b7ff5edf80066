"""What pages say of other parts, compared with those parts; and the cookie's name, with and without TLS."""

import re
from pathlib import Path

import pytest
from starlette.responses import Response

from assisters_app.api.app import HOT
from assisters_app.base import settings
from assisters_app.base.secrets import Secret
from assisters_app.ui import docs
from assisters_app.ui.cookie import clear_cookie, cookie_name, read_cookie, set_cookie

PRODUCT = Path(docs.__file__).parents[1]


def test_the_docs_name_the_endpoints_that_there_are():
    assert {(method, path) for method, path, _ in docs.ENDPOINTS} == {
        (method, path) for path, methods in HOT.items() for method in methods
    }


def test_the_docs_name_only_errors_that_the_api_answers_with():
    sources = "".join(file.read_text() for part in ("api", "gateway") for file in (PRODUCT / part).glob("*.py"))
    known = set(re.findall(r'code="([a-z_]+)"', sources))
    assert {code for _, code, _ in docs.ERRORS} <= known


@pytest.fixture
def over_tls(house, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "https://assisters.example")
    settings.settings.cache_clear()


def test_over_tls_the_cookie_is_bound_to_this_host_and_to_tls(over_tls):
    response = Response()
    set_cookie(response, Secret("the-value"))
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-session=the-value; ")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    clear_cookie(response)
    assert "Secure" in response.headers.getlist("set-cookie")[1]


def test_only_the_cookie_of_this_scheme_is_read(over_tls):
    headers = [(b"cookie", b"session=plain; a=b; __Host-session=right"), (b"host", b"assisters.example")]
    assert (cookie_name(), read_cookie(headers)) == ("__Host-session", "right")
    assert read_cookie([(b"cookie", b"session=plain")]) == ""
