"""What only a browser can show: the playground, and that keys alone open, walk through and close whatever opens."""

import re
from functools import partial

import pytest
from entering import enter
from opening import open_at
from playwright.sync_api import Browser, Page, expect
from product import Product, until
from stores import found

PLAYER = "player@example.com"
CANARY = "pl4yed-and-gone"  # said to a model, and to be found nowhere afterwards
GROWTH = """() => {
  const seen = window.seen = new Set();
  new MutationObserver(() => seen.add(document.querySelector("ol > li:last-child")?.textContent.length))
    .observe(document.querySelector("main"), { childList: true, characterData: true, subtree: true });
}"""

MOMENT = """([at, zone]) => new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric",
  hour: "2-digit", minute: "2-digit", timeZone: zone }).format(new Date(at))"""


@pytest.fixture(scope="module")
def cookies(browser: Browser, product: Product) -> list[dict[str, object]]:
    return enter(browser, product, PLAYER)


@pytest.fixture
def inside(page: Page, cookies: list[dict[str, object]]) -> Page:
    """Return a window in which the player is signed in, and has a test key."""
    page.context.add_cookies(cookies)
    open_at(page, "/dashboard/api-keys")
    if page.get_by_text("No keys yet").is_visible():
        open_at(page, "/dashboard")
        page.get_by_role("button", name="Make my first key").click()
        expect(page.get_by_text(re.compile(r"^ask_\w+$")).first).to_be_visible()
    return page


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


@pytest.mark.browser
def test_one_plays_with_a_model_and_nothing_that_was_said_is_left(inside: Page, product: Product):
    open_at(inside, "/dashboard/playground")
    inside.get_by_label("System prompt").fill(f"Be {CANARY} brief.")
    inside.get_by_label("Max tokens").fill("4000")  # long enough to be seen on the way
    inside.evaluate(GROWTH)
    say(inside, f"{CANARY} sandbox:long")
    last = inside.locator("ol > li").last
    expect(last).to_contain_text("Tokens")  # in, out: the stream is over
    expect(last).to_contain_text(re.compile(r"4,?000 out.*Cost\$0\.00.*First token"))
    assert inside.evaluate("window.seen.size") > 2, "the answer did not grow in the page"

    say(inside, "and again?")
    expect(inside.locator("ol > li")).to_have_count(4)
    expect(inside.get_by_text("This conversation:")).to_be_visible()
    for language, word in {"Python": "from openai import OpenAI", "Node": "new OpenAI(", "curl": "curl -N"}.items():
        inside.get_by_role("radiogroup", name="Language").get_by_text(language, exact=True).click()
        code = inside.get_by_label("The same request as code").locator("pre")
        expect(code).to_contain_text(word)
        expect(code).to_contain_text("and again?")
        expect(code).to_contain_text("4000")
        assert not re.search(r"ask_\w|tkt_", code.inner_text())

    say(inside, "sandbox:slow")
    inside.get_by_role("button", name="Stop").click()
    expect(inside.get_by_text("Stopped.")).to_be_visible()
    say(inside, "sandbox:cut")
    expect(inside.get_by_role("alert").filter(has_text="Try again")).to_be_visible()

    statuses = until(lambda: _logged(inside), "the calls in the log")
    assert statuses == ["502", "499", "200", "200"]
    assert found(product, CANARY, "tkt_") == []


def _logged(page: Page) -> list[str]:
    """Return the statuses in the request log, newest first, once there are four."""
    open_at(page, "/dashboard/requests")
    rows = page.get_by_role("table").get_by_role("row").all()[1:]
    return [row.get_by_role("cell").nth(1).inner_text().split()[0] for row in rows] if len(rows) == 4 else []


def focused(page: Page) -> str:
    """Return what has the focus, as it is called."""
    return page.evaluate(
        "(document.activeElement.ariaLabel || document.activeElement.innerText || document.activeElement.id).trim()"
    )


def _stays_inside(page: Page, dialog: str) -> bool:
    """Press Tab more often than there are stops; say whether the page behind the dialog was never reached."""
    for _ in range(30):
        page.keyboard.press("Tab")
        reached = page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('dialog')?.open === true"
        )
        if not reached:
            return False
    return page.get_by_role("dialog", name=dialog).is_visible()


@pytest.mark.browser
def test_a_dialog_is_opened_walked_and_closed_by_keys_and_gives_the_focus_back(inside: Page):
    open_at(inside, "/dashboard/api-keys")
    inside.get_by_role("button", name="New key").focus()
    inside.keyboard.press("Enter")
    expect(inside.get_by_role("dialog", name="New key")).to_be_visible()
    expect(inside.get_by_role("textbox", name="Name")).to_be_focused()
    assert _stays_inside(inside, "New key")
    inside.keyboard.press("Escape")
    expect(inside.get_by_role("dialog")).to_have_count(0)
    assert focused(inside) == "New key"


@pytest.mark.browser
def test_the_palette_finds_a_page_by_keys_alone(inside: Page):
    open_at(inside, "/dashboard")
    expect(inside.get_by_role("button", name="Refresh")).to_be_visible()
    inside.get_by_role("button", name="Refresh").focus()
    inside.keyboard.press("Control+k")
    expect(inside.get_by_role("dialog", name="Search and commands")).to_be_visible()
    inside.keyboard.press("Escape")
    expect(inside.get_by_role("dialog")).to_have_count(0)
    assert focused(inside) == "Refresh"
    inside.keyboard.press("Control+k")
    expect(inside.get_by_role("combobox", name="Search pages and commands")).to_be_focused()
    inside.keyboard.type("request")
    expect(inside.get_by_role("option").first).to_contain_text("Request log")
    inside.keyboard.press("Enter")
    expect(inside.get_by_role("heading", level=1)).to_have_text("Request log")
    inside.keyboard.press("Control+k")
    expect(inside.get_by_role("combobox", name="Search pages and commands")).to_be_focused()
    inside.keyboard.type("audit trail")  # a page for staff
    expect(inside.get_by_text("Nothing has that name.")).to_be_visible()
    expect(inside.get_by_role("dialog").get_by_role("option")).to_have_count(0)


@pytest.mark.browser
def test_the_drawer_of_a_phone_opens_closes_and_leads_on_by_keys(inside: Page):
    inside.set_viewport_size({"width": 390, "height": 844})
    open_at(inside, "/dashboard")
    inside.get_by_role("button", name="Menu", exact=True).focus()
    inside.keyboard.press("Enter")
    expect(inside.get_by_role("dialog", name="Menu")).to_be_visible()
    assert _stays_inside(inside, "Menu")
    inside.keyboard.press("Escape")
    expect(inside.get_by_role("dialog")).to_have_count(0)
    assert focused(inside) == "Menu"
    inside.keyboard.press("Enter")
    inside.get_by_role("dialog", name="Menu").get_by_role("link", name="Usage").focus()
    inside.keyboard.press("Enter")
    expect(inside).to_have_url(re.compile("/dashboard/usage$"))
    expect(inside.get_by_role("dialog")).to_have_count(0)


@pytest.mark.browser
def test_the_first_stop_of_a_page_leads_past_the_navigation(inside: Page):
    open_at(inside, "/dashboard/billing")
    inside.keyboard.press("Tab")
    assert focused(inside) == "Skip to content"
    expect(inside.get_by_text("Skip to content")).to_be_in_viewport()
    inside.keyboard.press("Enter")
    expect(inside).to_have_url(re.compile("#main$"))
    inside.keyboard.press("Tab")
    assert inside.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.browser
def test_who_is_refused_stands_again_where_they_were_and_reads_why(browser: Browser, product: Product):
    context = browser.new_context(base_url=product.url)  # not `page`: there a refusal is an error in the console
    page = context.new_page()
    open_at(page, "/sign-up")
    page.get_by_label("E-mail address").fill("refused@example.com")
    page.get_by_label("Password", exact=True).fill("short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Use at least 10 characters.")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    context.close()


@pytest.mark.browser
def test_the_first_key_takes_the_focus_and_times_stand_in_the_zone_that_one_chose(browser: Browser, product: Product):
    context = browser.new_context(base_url=product.url, timezone_id="America/New_York")
    context.add_cookies(enter(browser, product, "traveller@example.com"))
    page = context.new_page()
    open_at(page, "/dashboard")
    page.get_by_role("button", name="Make my first key").press("Enter")
    expect(page.get_by_role("button", name="Copy key")).to_be_focused()
    open_at(page, "/dashboard/settings")
    expect(
        page.get_by_role("button", name="America/New_York")
    ).to_be_visible()  # what is saved is there: now it changes
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Save").first.click()
    signed_in = page.get_by_role("table", name="Signed-in browsers").locator("time").last
    expect(signed_in).to_have_text(page.evaluate(MOMENT, [signed_in.get_attribute("datetime"), "Asia/Tokyo"]))
    context.close()


@pytest.mark.browser
def test_the_reference_finds_a_route_and_an_error_code_as_one_types(page: Page):
    open_at(page, "/docs/reference")
    finder, places = page.get_by_label("Find in the reference"), page.get_by_role("navigation", name="On this page")
    everything = places.get_by_role("link").count()
    finder.fill("rerank")
    expect(places.get_by_role("link")).not_to_have_count(everything)
    assert 0 < places.get_by_role("link").count() < everything
    finder.press("Enter")
    expect(page).to_have_url(re.compile("/docs/reference#rerank$"))
    expect(page.locator("#rerank")).to_be_in_viewport()
    finder.fill("insufficient_quota")  # a code: found, though the list of contents does not name codes
    expect(places.get_by_role("link")).to_have_count(1)
    finder.fill("no such thing")
    expect(page.get_by_text("Nothing has that name.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="0 places")).to_have_count(1)


@pytest.mark.browser
def test_the_quickstarts_code_is_in_the_language_one_chose_and_copies_as_it_is_shown(page: Page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_at(page, "/docs")
    for language, what, begins in (
        ("Node", "Node code", "import OpenAI"),
        ("curl", "curl command", "curl "),
        ("Python", "Python code", "from openai import OpenAI"),
    ):
        page.get_by_role("radiogroup", name="Language", exact=True).get_by_text(language, exact=True).click()
        shown = page.locator("pre:visible").filter(has_text=begins).first
        expect(shown).to_be_visible()
        page.get_by_role("button", name=f"Copy {what}").click()
        copied = until(partial(_copied, page, begins), f"the copying of the {what}")
        assert copied.strip() == shown.inner_text().strip()
        assert "/v1" in copied


def _copied(page: Page, begins: str) -> str:
    """Return what lies on the clipboard when it begins so."""
    copied: str = page.evaluate("navigator.clipboard.readText()")
    return copied if copied.startswith(begins) else ""
