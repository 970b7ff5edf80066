"""Opening a page of the running product in a browser, and waiting until it is the one that a person works with."""

from playwright.sync_api import Page, Response, expect


def open_at(page: Page, address: str) -> Response | None:
    """Open a page, and wait until it listens and has its data; return the answer that brought it.

    A page shows its buttons before its scripts run, and a click on one of them is lost until then, however quick a
    person is. It opens its socket as the last of what makes it live.
    """
    with page.expect_websocket():
        answer = page.goto(address)
    settled(page)
    return answer


def settled(page: Page) -> None:
    """Wait until a page that is live shows its data."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
