"""Every page, as Grace sees it: nothing from elsewhere, nothing stored undeclared, nothing that axe minds."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from cast import GRACE
from entering import enter
from opening import open_at
from playwright.sync_api import Browser, BrowserContext, expect
from product import Product, until

from assisters_app.ui.pages import PAGES

PUBLIC = [page.route for page in PAGES if page.access == "public" and "[" not in page.route]
OWN = [page.route for page in PAGES if page.access != "public" and "[" not in page.route]
SIZES = {"wide and light": (1440, 900, "light"), "narrow and dark": (360, 780, "dark")}
PARTS = [page for page in PAGES if "[" in page.route]  # pages of one thing: what they keep shows without the thing, too
STORED = """async () => ({
  session: Object.keys(sessionStorage), local: Object.keys(localStorage),
  database: (await indexedDB.databases()).map((one) => one.name), cache: await caches.keys(),
  worker: (await navigator.serviceWorker.getRegistrations()).map((one) => one.scope) })"""
RARE = {("cookie", "oauth"), ("session", "reflex_last_reloaded_on_error")}  # a provider chosen; a page that broke


class Visit:
    """A browser window that notes every host it speaks to."""

    def __init__(self, context: BrowserContext):
        self.hosts: set[str] = set()
        self.held: set[tuple[str, str]] = set()
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
        kept = self.page.evaluate(STORED)
        held = {(kind, name) for kind, names in kept.items() for name in names}
        held |= {("cookie", cookie["name"]) for cookie in self.context.cookies()}
        self.held |= held
        return held - set(self.published())

    def published(self) -> dict[tuple[str, str], int | None]:
        """Return what the cookie page lists: (kind, name) -> how many seconds it may stay."""
        listed = self.page.evaluate("() => fetch('/download/storage.json').then((said) => said.json())")
        return {(one["storage"], one["identifier"]): one["seconds"] for one in listed}


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
@pytest.mark.promise("7.2")
def test_every_public_page_keeps_the_promises(visit: Visit):
    for route in PUBLIC:
        visit.look_at(route)


@pytest.mark.browser
@pytest.mark.promise("7.2")
def test_every_page_behind_the_sign_in_keeps_them_too(visit: Visit, grace: list[dict[str, object]]):
    visit.context.add_cookies(grace)
    for route in OWN:
        visit.look_at(route)


@pytest.fixture
def storing(browser: Browser, product: Product, grace: list[dict[str, object]]):
    context = browser.new_context(base_url=product.url)
    visiting = Visit(context)
    visiting.page.goto("/")
    assert visiting.undeclared() == set()
    context.add_cookies(grace)
    yield visiting
    context.close()
    assert visiting.hosts == {urlsplit(product.url).netloc}


@pytest.mark.browser
@pytest.mark.promise("7.1", "7.2", "7.3")
def test_a_browser_holds_exactly_what_the_cookie_page_lists(storing: Visit):
    for route in ("/verify?token=" + "a" * 32, "/dashboard", "/cookies", *(_one_of(page.route) for page in PARTS)):
        storing.page.goto(route)
        expect(storing.page.locator("h1").first).to_be_visible()
        until(lambda: storing.page.evaluate("sessionStorage.getItem('token')"), "the page's beginning to live")
        assert storing.undeclared() == set(), route
    published = storing.published()
    assert storing.held == set(published) - RARE
    now = storing.page.evaluate("Date.now() / 1000")
    for cookie in storing.context.cookies():
        bound = (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["domain"])
        assert bound == (True, "Lax", "/", "localhost"), cookie["name"]
        assert cookie["expires"] - now <= published["cookie", cookie["name"]], cookie["name"]
    assert storing.page.evaluate("document.cookie") == ""
    shown = storing.page.context.new_page()
    shown.goto("/cookies")
    for _, name in published:
        expect(shown.get_by_text(name, exact=True)).to_be_visible()


@pytest.mark.browser
def test_grace_has_the_product_or_the_desk_of_staff_in_her_sidebar(storing: Visit):
    storing.page.goto("/dashboard")
    sidebar = storing.page.get_by_role("navigation", name="Main")
    expect(sidebar.get_by_role("link", name="Billing")).to_be_visible()
    expect(sidebar.get_by_role("link", name="Legal holds")).to_have_count(0)
    sidebar.get_by_role("link", name="Staff desk").click()
    expect(sidebar.get_by_role("link", name="Legal holds")).to_be_visible()
    expect(sidebar.get_by_role("link", name="Billing")).to_have_count(0)
    sidebar.get_by_role("link", name="Back to the product").click()
    expect(sidebar.get_by_role("link", name="Billing")).to_be_visible()


@pytest.mark.browser
def test_the_day_on_which_a_letter_came_is_that_day_west_of_greenwich_too(
    browser: Browser, product: Product, grace: list[dict[str, object]]
):
    context = browser.new_context(base_url=product.url, timezone_id="America/New_York")
    context.add_cookies(grace)
    page = context.new_page()
    open_at(page, "/staff/requests")
    page.get_by_role("button", name="Enter a request by mail").first.click()
    came = datetime.now(UTC).date() - timedelta(days=2)
    page.get_by_label("Their address").fill("writes@example.net")
    page.get_by_label("Came on").fill(came.isoformat())
    page.get_by_role("button", name="Enter request").click()
    shown = page.get_by_role("row").filter(has_text="writes@example.net").locator("time").first
    expect(shown).to_have_text(f"{came:%b} {came.day}, {came.year}")
    context.close()


def _one_of(route: str) -> str:
    """Return an address of a page of one thing: of one that does not exist."""
    return "/".join(
        "00000000-0000-7000-8000-000000000000" if part.startswith("[") else part for part in route.split("/")
    )
