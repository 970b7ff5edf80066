"""Every page, as Grace sees it: nothing from elsewhere, nothing stored undeclared, nothing that axe minds."""

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from cast import GRACE
from entering import enter
from playwright.sync_api import Browser, BrowserContext, expect
from product import Product

from assisters_app.ui.pages import PAGES

PUBLIC = [page.route for page in PAGES if page.access == "public" and "[" not in page.route]
OWN = [page.route for page in PAGES if page.access != "public" and "[" not in page.route]
SIZES = {"wide and light": (1440, 900, "light"), "narrow and dark": (360, 780, "dark")}
STORED = "[...Object.keys(sessionStorage), ...Object.keys(localStorage)]"


class Visit:
    """A browser window that notes every host it speaks to."""

    def __init__(self, context: BrowserContext):
        self.hosts: set[str] = set()
        context.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page = context.new_page()
        self.context = context

    def look_at(self, route: str) -> None:
        """Open a page and hold it to the house's promises."""
        self.page.goto(route)
        expect(self.page.locator("h1").first).to_be_visible()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)
        assert urlsplit(self.page.url).path == route
        found = Axe().run(self.page)
        assert found.violations_count == 0, f"{route}: {found.generate_report()}"
        wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{route} is {wider} px wider than the window"
        assert self.undeclared() == set(), route

    def undeclared(self) -> set[tuple[str, str]]:
        """Return what this browser holds and the cookie page does not list, as (kind, name)."""
        published = self.context.request.get("/download/cookies.json").json()["disclosures"]
        held = {("web", name) for name in self.page.evaluate(STORED)}
        held |= {("cookie", cookie["name"]) for cookie in self.context.cookies()}
        return held - {(one["type"], one["identifier"]) for one in published}


@pytest.fixture(params=SIZES, ids=lambda name: name.replace(" ", "-"))
def visit(request: pytest.FixtureRequest, browser: Browser, product: Product):
    width, height, scheme = SIZES[request.param]
    context = browser.new_context(
        base_url=product.url, viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    visiting = Visit(context)
    yield visiting
    context.close()
    assert visiting.hosts == {urlsplit(product.url).netloc}


@pytest.fixture(scope="module")
def grace(browser: Browser, product: Product) -> list[dict[str, object]]:
    """Make Grace a member of staff as the README says, and return her cookies."""
    return enter(browser, product, GRACE, "--staff")


@pytest.mark.browser
def test_every_public_page_keeps_the_promises(visit: Visit):
    for route in PUBLIC:
        visit.look_at(route)


@pytest.mark.browser
def test_every_page_behind_the_sign_in_keeps_them_too(visit: Visit, grace: list[dict[str, object]]):
    visit.context.add_cookies(grace)
    for route in OWN:
        visit.look_at(route)
