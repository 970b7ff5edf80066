"""Pages over HTTP: who is let in, what a page may run, how long it is kept, and how much it weighs."""

import base64
import hashlib
import re

import httpx
import pytest
from cast import ADA, GRACE

from assisters_app.accounts import rights
from assisters_app.api.app import served
from assisters_app.ui.pages import PAGES

KB = 1_000
SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
STATIC = [page for page in PAGES if "[" not in page.route]


@pytest.fixture
async def visitor(face):
    """Ask for pages as a browser does, following nowhere."""
    async with httpx.AsyncClient(base_url=face.url, headers={"accept-encoding": "br, gzip"}) as client:
        yield client


def _signed_in(cookie):
    return {"cookie": f"session={cookie}"}


@pytest.mark.parametrize("page", [page for page in STATIC if page.access != "public"], ids=lambda page: page.route)
async def test_a_stranger_is_sent_to_sign_in_and_back(visitor, page):
    answer = await visitor.get(page.route, params={"a": "b"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={page.route}%3Fa%3Db")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("page", [page for page in STATIC if page.access == "staff"], ids=lambda page: page.route)
async def test_ada_is_not_shown_a_page_for_staff_and_grace_is(visitor, cookie_of, page):
    assert (await visitor.get(page.route, headers=_signed_in(await cookie_of(ADA)))).status_code == 303
    assert (await visitor.get(page.route, headers=_signed_in(await cookie_of(GRACE, "admin")))).status_code == 200


@pytest.mark.promise("5.5")
async def test_support_is_shown_its_own_pages_and_instead_of_the_others_who_may_what(visitor, cookie_of):
    signed_in = _signed_in(await cookie_of("henry@assisters.example", "support"))
    shown = {page.route for page in STATIC if page.access == "staff" and page.right in rights.rights_of("support")}
    assert shown == {"/staff/accounts", "/staff/support", "/staff/requests", "/staff/roles"}
    for page in (page for page in STATIC if page.access == "staff"):
        answer = await visitor.get(page.route, headers=signed_in)
        if page.route in shown:
            assert answer.status_code == 200, page.route
        else:
            assert (answer.status_code, answer.headers["location"]) == (303, "/staff/roles"), page.route


async def test_ada_who_is_signed_in_is_not_asked_to_sign_in(visitor, cookie_of):
    answer = await visitor.get("/sign-in", headers=_signed_in(await cookie_of(ADA)))
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")


@pytest.mark.parametrize("page", STATIC, ids=lambda page: page.route)
async def test_every_page_runs_only_its_own_scripts(visitor, cookie_of, page):
    cookie = "" if page.alone else await cookie_of(GRACE, "admin")
    answer = await visitor.get(page.route, headers=_signed_in(cookie))
    assert answer.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert "unsafe" not in policy["script-src"]
    assert policy["default-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    for script in SCRIPT.findall(answer.text):
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy["script-src"]
    assert " onclick=" not in answer.text


@pytest.mark.parametrize("page", STATIC, ids=lambda page: page.route)
async def test_every_page_says_development_and_has_one_heading_and_a_name(visitor, cookie_of, page):
    cookie = "" if page.alone else await cookie_of(GRACE, "admin")
    html = (await visitor.get(page.route, headers=_signed_in(cookie))).text
    assert '<html data-environment="development" lang="en"' in html
    assert html.count("<h1") == 1
    assert re.search(r"<title>[^<]*Assisters</title>", html)
    assert 'id="main"' in html


async def test_every_link_inside_the_product_leads_to_a_page(built):
    routes = {page.route for page in PAGES}
    for file in built.rglob("index.html"):
        for href in re.findall(r'href="(/[^"#?]*)', file.read_text()):
            known = (
                href in routes
                or (built / href.lstrip("/")).is_file()
                or ("GET", href) in served()
                or href.startswith(("/auth/", "/download/", "/.well-known/"))
            )
            assert known, f"{file} links to {href}"


async def test_an_unknown_page_is_not_found_and_still_guarded(visitor):
    answer = await visitor.get("/nothing-here")
    assert answer.status_code == 404
    assert "script-src" in answer.headers["content-security-policy"]
    assert (await visitor.get("/__spa-fallback")).status_code == 404
    assert (await visitor.get("/../rxconfig.py")).status_code == 404
    assert (await visitor.get("/assets/../../../rxconfig.py")).status_code == 404


async def test_files_that_never_change_are_kept_and_pages_are_asked_for_again(visitor, built):
    script = next(file for file in (built / "assets").glob("entry.client-*.js"))
    kept = await visitor.get(f"/assets/{script.name}")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-encoding"] == "br"
    page = await visitor.get("/")
    assert page.headers["cache-control"] == "no-cache"
    again = await visitor.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    bare = await visitor.get("/", headers={"accept-encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in bare.headers
    head = await visitor.head("/")
    assert (head.content, head.headers["content-length"] != "0") == (b"", True)


async def test_every_answer_carries_the_security_headers(visitor):
    for path in ("/", "/logo.svg", "/nothing-here", "/dashboard", "/auth/sign-in"):
        headers = (await visitor.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["referrer-policy"] == "same-origin", path


async def test_a_page_names_this_address_wherever_the_build_named_another(visitor, face):
    html = (await visitor.get("/docs")).text
    assert f"{face.url}/v1" in html
    assert "localhost:3000" not in html


async def test_a_mailed_token_goes_into_a_cookie_that_scripts_cannot_read(visitor):
    answer = await visitor.get("/verify?token=" + "t" * 43)
    assert (answer.status_code, answer.headers["location"]) == (303, "/verify")
    assert re.fullmatch(r"link=t{43}; Max-Age=600; Path=/; HttpOnly; SameSite=Lax", answer.headers["set-cookie"])
    odd = await visitor.get("/verify?token=a%0d%0aset-cookie:x")
    assert "set-cookie" not in odd.headers


# ---- weight --------------------------------------------------------------------------------------------------------


def test_the_stylesheet_stays_small_because_no_themed_component_brings_its_own(built):
    (sheet,) = (built / "assets").glob("__reflex_global_styles-*.css")
    assert sheet.stat().st_size < 60 * KB
    assert sheet.with_name(sheet.name + ".br").stat().st_size < 12 * KB


@pytest.mark.parametrize("page", STATIC, ids=lambda page: page.route)
def test_a_page_weighs_no_more_than_it_may(built, page):
    html = built / page.route.strip("/") / "index.html"
    wire, charts = _weight(built, html)
    assert wire < 200 * KB, f"{page.route}: {wire / KB:.0f} kB without a chart"
    assert wire + charts < 460 * KB, f"{page.route}: {(wire + charts) / KB:.0f} kB with its chart"


def test_only_pages_with_a_chart_bring_the_chart_library(built):
    with_charts = {page.route for page in STATIC if _weight(built, built / page.route.strip("/") / "index.html")[1]}
    assert not with_charts & {page.route for page in STATIC if page.access == "public"}


def _weight(built, html):
    """Return the bytes on the wire of a page with all it loads at first, and those of a chart library loaded later."""
    text = html.read_text()
    at_first = set(re.findall(r'(?:href|src)="(/assets/[^"]+|/[\w.-]+\.(?:svg|css|js))"', text))
    wire = sum(_packed(built / path.lstrip("/")) for path in at_first) + _packed(html)
    later = {
        name
        for path in at_first
        if path.endswith(".js")
        for name in re.findall(
            r'import\(\s*[`"\']\./([\w.-]*plotly[\w.-]*\.js)', (built / path.lstrip("/")).read_text()
        )
    }
    return wire, sum(_packed(built / "assets" / name) for name in later)


def _packed(path):
    small = path.with_name(path.name + ".br")
    return (small if small.exists() else path).stat().st_size
