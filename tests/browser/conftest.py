"""The whole product as `make run` starts it, in a folder of its own, and a real browser to walk it with."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import upstream
from nets import free_port
from playwright.sync_api import Browser, Page, expect, sync_playwright
from product import ROOT, Product, until

USED = {"prompt_tokens": 543, "completion_tokens": 47, "total_tokens": 590}  # by every call here; it can be
REFUSED = "status of 401"  # Chromium's own line about a refusal that a test asked for
expect.set_options(timeout=60_000)  # milliseconds: a machine that does other things besides is not a failure
HERE = Path(__file__).parent
PATIENCE = 420  # seconds: the first start on a machine builds the front end


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test, which waits for the product's start, as long as that may take, and every other as well."""
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENCE + 180))


@pytest.fixture(scope="session")
def models() -> Iterator[str]:
    """Serve models that say how many tokens they used; return where."""
    serving, begun, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    where: list[str] = []

    async def serve() -> None:
        async with upstream.running() as running:
            running.usage = USED
            where.append(running.url)
            begun.set()
            await over.wait()

    thread = threading.Thread(target=serving.run_until_complete, args=(serve(),))
    thread.start()
    assert begun.wait(10)
    yield where[0]
    serving.call_soon_threadsafe(over.set)
    thread.join()
    serving.close()


@pytest.fixture(scope="session")
def product(models: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Start everything with the command that the README names, on two web processes."""
    home = tmp_path_factory.mktemp("product")
    port = free_port()
    given = {"ASSISTERS_LOCAL_DIR": str(home / "local"), "PORT": str(port), "WEB_WORKERS": "2"}
    given |= {"UPSTREAM_BASE_URL": models, "UPSTREAM_API_KEY": "of the upstream"}
    outside = ("DATABASE_URL", "REDIS_URL", "SMTP_URL", "STRIPE_API_KEY", "SUPABASE_URL", "ASSISTERS_ENV")
    env = {name: value for name, value in os.environ.items() if name not in outside} | given
    log = home / "product.log"
    with log.open("wb") as written:
        running = subprocess.Popen(
            [sys.executable, "-m", "assisters_app", "run"], cwd=ROOT, env=env, stdout=written, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: "Assisters runs" in log.read_text() or running.poll() is not None, "the start", PATIENCE)
        assert running.poll() is None, log.read_text()
        recorded = json.loads((home / "local" / "run.json").read_text())["env"]
        yield Product(f"http://localhost:{port}", {**given, **recorded}, log, running.pid)
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(60)


def chromium_path() -> str | None:
    """Return an installed Chromium; None leaves the choice to Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")  # not the session: while it is open, an event loop runs in which others cannot
def browser() -> Iterator[Browser]:
    """Open a real Chromium; where there is none, say so loudly, and fail in CI."""
    with sync_playwright() as playwright:
        options = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
        options.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")  # asks nobody
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        try:
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=options)
        except Exception as problem:
            if os.environ.get("CI") == "true":
                raise
            warnings.warn(
                f"NO BROWSER: install Chromium, or run `playwright install chromium`. {problem}", stacklevel=1
            )
            pytest.skip("no Chromium on this machine: the browser tests did not run")
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, product: Product) -> Iterator[Page]:
    """Open a fresh browser window on the product; an error in its console fails the test."""
    context = browser.new_context(base_url=product.url, accept_downloads=True, viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on(
        "console",
        lambda line: problems.append(line.text) if line.type == "error" and REFUSED not in line.text else None,
    )
    yield tab
    context.close()
    assert problems == []
