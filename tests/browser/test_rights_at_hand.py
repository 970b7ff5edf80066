"""Each right is two clicks away; the policy on the page is the one that was published; no page asks for a card."""

import re
from dataclasses import replace

import pytest
from entering import enter
from opening import open_at, settled
from playwright.sync_api import Browser, Page, expect
from product import Product

from assisters_app.privacy.policies import policy
from assisters_app.ui.pages import PAGES

PERSON = "rights@example.com"
# From any page of the dashboard: first the link in the sidebar, then this. What comes of it needs no third click.
RIGHTS = {
    "6.1": ("link", "Read your copy", None),
    "6.2": ("link", "Go to settings", "/dashboard/settings"),
    "6.3": ("link", "Delete account", "/dashboard/privacy/delete"),
    "6.4": ("link", "Export", None),
    "6.5": ("switch", "News and offers by e-mail", None),
}
CARDS = """() => [...document.querySelectorAll('input, textarea, iframe, select')].filter((one) =>
  /cc-|card.?(number|no)|cvc|cvv|expir/i.test([one.autocomplete, one.name, one.id, one.placeholder,
    one.ariaLabel, one.src, ...[...(one.labels || [])].map((label) => label.innerText)].join(' '))
  ).map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def cookies(browser: Browser, product: Product) -> list[dict[str, object]]:
    return enter(browser, product, PERSON)


@pytest.fixture
def inside(page: Page, cookies: list[dict[str, object]]) -> Page:
    page.context.add_cookies(cookies)
    return page


@pytest.mark.browser
@pytest.mark.promise("6.6")
def test_each_right_is_two_clicks_away(inside: Page):
    for sentence, (kind, name, leads_to) in RIGHTS.items():
        open_at(inside, "/dashboard/usage")
        inside.get_by_role("navigation", name="Main").get_by_role("link", name="Privacy").click()
        settled(inside)
        control = inside.get_by_role("main").get_by_role(kind, name=re.compile(f"^{name}")).first
        expect(control).to_be_visible()
        if leads_to:
            control.click()
            inside.wait_for_url(f"**{leads_to}")
            settled(inside)
        elif kind == "switch":
            control.click()
            expect(inside.get_by_role("status").filter(has_text="written down")).to_have_count(1)
        elif sentence == "6.4":
            with inside.expect_download() as begun:
                control.click()
            assert begun.value.suggested_filename.endswith(".zip")
        else:
            control.click()
            expect(inside.get_by_role("heading", name="Your data at Assisters")).to_be_visible()


WORDS = """(id) => {
  const part = document.getElementById(id)
  return (part.querySelector(':scope > div > p a') || part.querySelector('summary > span')).innerText }"""


def _as_shown(page: Page, section: policy.Section) -> policy.Section:
    """Return a section with the words that the page shows: of parts without an id, whether it shows them."""
    whole = page.locator(f"#section-{section.number}")
    plain = " ".join(whole.inner_text().split())
    words = [
        page.evaluate(WORDS, part.id) if part.id else part.text if part.text in plain else "" for part in section.parts
    ]
    parts = tuple(replace(part, text=" ".join(said.split())) for part, said in zip(section.parts, words, strict=True))
    title = whole.locator("h2").first.inner_text().partition(". ")[2] if section.title else ""
    return replace(section, title=title, parts=parts)


@pytest.mark.browser
@pytest.mark.promise("0.1")
def test_the_words_on_the_page_have_the_hash_of_the_version_in_force(page: Page):
    open_at(page, "/privacy-policy")
    shown = replace(policy.CURRENT, sections=tuple(_as_shown(page, section) for section in policy.CURRENT.sections))
    published = page.evaluate("() => fetch('/download/policy.json').then((said) => said.json())")
    assert (published["version"], published["sha256"]) == (policy.CURRENT.version, shown.sha256)


@pytest.mark.browser
@pytest.mark.promise("1.3")
def test_no_page_of_ours_has_a_place_for_a_card(inside: Page):
    for one in PAGES:
        if "[" in one.route or one.access == "staff" or one.alone:
            continue
        open_at(inside, one.route)
        assert inside.evaluate(CARDS) == [], one.route
