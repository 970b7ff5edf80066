"""The product as it is served in production: TLS in front and behind, no stand-in, and what it then says and sets."""

import base64
import os
import re
import signal
import ssl
import subprocess
import sys
from contextlib import ExitStack
from urllib.parse import urlsplit

import databases
import httpx
import pytest
import tls
from cast import ADA, PASSWORD
from nets import free_port
from openai import OpenAI
from playwright.sync_api import expect
from product import ROOT, Product, until

from assisters_app import front_end

PRODUCT = ("ASSISTERS_", "DATABASE_", "MAIL", "PORT", "PUBLIC_", "REDIS_", "SMTP_", "STRIPE_", "SUPABASE_", "UPSTREAM_")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return tls.certify(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def deployed(servers, certificate, tmp_path_factory):
    """Start the product with nothing but settings, the way a host does: an empty database, `rediss://`, real mail."""
    front_end.build()
    home = tmp_path_factory.mktemp("production")
    edge, port, cache, smtp, letters = (free_port() for _ in range(5))
    redis = urlsplit(servers.valkey)
    env = {name: value for name, value in os.environ.items() if not name.startswith(PRODUCT)} | {
        "ASSISTERS_ENV": "production",
        "ASSISTERS_PEPPER": base64.b64encode(os.urandom(32)).decode(),
        "ASSISTERS_DATA_DIR": str(home / "data"),
        "PUBLIC_URL": f"https://127.0.0.1:{edge}",  # over TLS Reflex's client takes "localhost" for a host at port 443
        "PORT": str(port),
        "DATABASE_URL": databases.create(servers.postgres, "production"),
        "REDIS_URL": f"rediss://:{redis.password}@localhost:{cache}/1?ssl_ca_certs={certificate.path}",
        "SMTP_URL": f"smtp://127.0.0.1:{smtp}",
    }
    log = home / "product.log"
    with ExitStack() as ends, log.open("wb") as written:
        ends.callback(databases.drop, servers.postgres, "production")
        ends.enter_context(tls.in_front_of(redis.port, cache, certificate))
        ends.enter_context(tls.in_front_of(port, edge, certificate))
        box = ["assisters_app.doubles.mailbox", f"--smtp-port={smtp}", f"--page-port={letters}"]
        for module in (box, ["assisters_app", "run"]):
            process = subprocess.Popen(
                [sys.executable, "-m", *module], cwd=ROOT, env=env, stdout=written, stderr=subprocess.STDOUT
            )
            ends.callback(process.wait, 60)
            ends.callback(process.send_signal, signal.SIGINT)
        until(lambda: "Assisters runs (production)" in log.read_text() or process.poll() is not None, "the start", 120)
        assert process.poll() is None, log.read_text()
        yield Product(env["PUBLIC_URL"], {**env, "MAILBOX_URL": f"http://127.0.0.1:{letters}"}, log, process.pid)


@pytest.fixture
def page(browser, deployed):
    """Open a browser window; an error in its console fails the test."""
    context = browser.new_context(base_url=deployed.url, ignore_https_errors=True)
    tab, problems = context.new_page(), []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    yield tab
    context.close()
    assert problems == []


@pytest.mark.browser
@pytest.mark.promise("7.1")
@pytest.mark.timeout(300)
def test_ada_uses_the_product_in_production(page, deployed, certificate):
    sign_up(page, deployed)
    every_cookie_is_bound_to_this_host_and_to_tls(page, deployed)
    nothing_speaks_of_development(page)
    secret = make_a_test_key(page, deployed)
    call_over_tls(deployed, secret, certificate)
    be_told_why_there_is_no_top_up(page)
    examined = deployed.command("doctor")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert "Traceback" not in deployed.log.read_text()


def sign_up(page, deployed):
    page.goto("/sign-up")
    page.get_by_label("E-mail address").fill(ADA)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/check-mail**")
    letter = until(lambda: deployed.letters(ADA), "the verification mail")[-1]
    page.goto(re.search(r"https://\S+", letter["text"])[0])
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["path"], cookie["secure"], cookie["httpOnly"]) == ("__Host-link", "/", True, True)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/sign-in**")
    page.get_by_label("E-mail address").fill(ADA)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")


def every_cookie_is_bound_to_this_host_and_to_tls(page, deployed):
    cookies = page.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"__Host-session"}
    for cookie in cookies:
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    published = page.evaluate("() => fetch('/download/cookies.json').then((said) => said.json())")["disclosures"]
    assert {"__Host-session", "__Host-link", "__Host-oauth"} <= {one["identifier"] for one in published}
    headers = page.goto("/").headers
    assert headers["strict-transport-security"].startswith("max-age=63072000")
    assert urlsplit(deployed.url).netloc not in headers["content-security-policy"]


def nothing_speaks_of_development(page):
    for route in ("/", "/sign-in", "/dashboard"):
        page.goto(route)
        expect(page.locator("h1").first).to_be_visible()
        assert page.locator("html[data-environment]").count() == 0
        assert "localhost:3000" not in page.content()


def make_a_test_key(page, deployed):
    """Make it from the command line, and see it in the browser: the page's data came over the socket."""
    made = deployed.command("issue-key", ADA, "--test", "--name", "laptop")
    assert made.returncode == 0, made.stderr
    page.goto("/dashboard/api-keys")
    expect(page.get_by_text("laptop").first).to_be_visible()
    return made.stdout.strip()


def call_over_tls(deployed, secret, certificate):
    trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(certificate.path)))
    with OpenAI(base_url=f"{deployed.url}/v1", api_key=secret, http_client=trusting, max_retries=0) as client:
        asked = [{"role": "user", "content": "Hello"}]
        answer = client.chat.completions.create(model="assisters-chat-v1", messages=asked)
    assert "sandbox" in answer.choices[0].message.content
    assert answer.usage.total_tokens > 0


def be_told_why_there_is_no_top_up(page):
    page.goto("/dashboard/billing")
    expect(page.get_by_text("Top-ups are switched off here")).to_be_visible()
