"""How somebody comes into the running product: an account made with the command that the README names."""

import re

from cast import PASSWORD
from opening import open_at
from playwright.sync_api import Browser
from product import Product


def enter(browser: Browser, product: Product, email: str, *options: str) -> list[dict[str, object]]:
    """Open an account for `email`, choose a password, sign in, and return the browser's cookies."""
    made = product.command("create-account", email, *options)
    assert made.returncode == 0, made.stderr
    context = browser.new_context(base_url=product.url)
    page = context.new_page()
    open_at(page, re.search(r"http://\S+", made.stdout)[0])
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Save the new password").click()
    page.wait_for_url("**/sign-in**")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")
    kept = context.cookies()
    context.close()
    return kept
