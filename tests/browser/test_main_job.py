"""The main job, from sign-up to erasure: one person, a browser, mail, and the official client."""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
from opening import open_at
from playwright.sync_api import Page, expect
from product import Product, until
from stores import found

from assisters_app.api.app import HOT, ROUTES
from assisters_app.ui import http_routes

EMAIL = "m4rker.person@example.com"
MARKER = "m4rker"  # in everything she types: whatever is left of her holds it
PROMPT = "m4rker prompt: what is the capital of France?"
CANARY = "c4n4ry-that-no-store-may-hold"
CARD = "4000056655665556"  # a number that the card networks keep for trying things out
PASSWORD = "m4rker horse battery staple 7"

CALLS = """
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.stdin.read(), max_retries=0)
asked = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": sys.argv[2]}], "max_tokens": 50}
whole = client.chat.completions.create(**asked)
streamed = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
*chunks, last = streamed
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text, "nothing was streamed"
vectors = client.embeddings.create(model="assisters-embed-v1", input=["a", "b"])
assert len(vectors.data) == 2
print(whole.usage.total_tokens + last.usage.total_tokens + vectors.usage.prompt_tokens)
"""


@pytest.mark.browser
@pytest.mark.timeout(600)
@pytest.mark.promise("1.3")
def test_from_sign_up_to_erasure(page: Page, product: Product, tmp_path: Path):
    sign_up_and_verify(page, product)
    secret = make_a_key(page)
    be_refused_without_credit(product, secret)
    top_up(page)
    tokens = call_the_api(product, secret)
    see_the_usage(page, tokens)
    see_the_balance(page, "$52.49984294")  # two chats of 543 + 47 tokens and one embedding
    drive_secrets_everywhere(product, secret)
    # a key shows its first twelve characters at most
    assert found(product, secret[12:], PASSWORD, PROMPT, CANARY, CARD) == []
    export = download_everything(page, tmp_path)
    assert_the_export_holds_the_calls(export, tokens)
    receipt = erase_now(page, tmp_path)
    assert_nothing_opens_any_more(page, product, secret)
    assert_no_trace_is_left(product)
    verified = product.command("verify-receipt", str(receipt))
    assert verified.returncode == 0, verified.stderr
    examined = product.command("doctor")
    assert examined.returncode == 0, examined.stdout


def sign_up_and_verify(page: Page, product: Product) -> None:
    open_at(page, "/sign-up")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/check-mail**")
    letter = until(lambda: product.letters(EMAIL), "the verification mail")[-1]
    open_at(page, re.search(r"http://\S+", letter["text"])[0])
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/sign-in**")
    sign_in(page)
    page.wait_for_url("**/dashboard")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def sign_in(page: Page) -> None:
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def make_a_key(page: Page) -> str:
    open_at(page, "/dashboard/api-keys")
    page.get_by_role("button", name="New key").first.click()
    page.get_by_label("Name").fill(f"{MARKER} laptop")
    page.get_by_role("button", name="Make key").click()
    secret = page.get_by_text(re.compile(r"^ask_\w+$")).first.inner_text()
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_text(f"{MARKER} laptop").first).to_be_visible()
    expect(page.get_by_text(secret)).to_have_count(0)
    assert secret not in page.content()
    return secret


def be_refused_without_credit(product: Product, secret: str) -> None:
    called = _client(product, secret)
    assert "Your balance does not cover" in called.stderr


def call_the_api(product: Product, secret: str) -> int:
    called = _client(product, secret)
    assert called.returncode == 0, called.stderr
    return int(called.stdout)


def _client(product: Product, secret: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", CALLS, product.url, PROMPT]
    return subprocess.run(program, input=secret, capture_output=True, text=True, check=False, timeout=120)


def see_the_usage(page: Page, tokens: int) -> None:
    """Three calls and their tokens reach the chart, the table behind it and the request log."""
    for _ in range(100):
        open_at(page, "/dashboard/usage")
        if f"{tokens:,}" in page.get_by_role("main").inner_text():
            break
    expect(page.get_by_role("main")).to_contain_text(f"{tokens:,}")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    open_at(page, "/dashboard/requests")
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(5)  # a head, three calls, and the refused one


def drive_secrets_everywhere(product: Product, secret: str) -> None:
    """Send the key, a canary and a card to every route, in every place where a secret may stand by mistake."""
    sent = {
        "model": "assisters-chat-v1",
        "messages": [{"role": "user", "content": CANARY}],
        "max_tokens": -1,
        "user": CARD,
    }
    forms = [route.path for route in http_routes.ROUTES if "{" not in route.path]
    paths = [*HOT, *(route.path for route in ROUTES), "/v1/models/nothing", "/v1/nothing", *forms]
    with httpx.Client(base_url=product.url, timeout=30) as web:
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                headers = {
                    "authorization": f"Bearer {secret}",
                    "x-note": CANARY,
                    "user-agent": CARD,
                    "cookie": f"note={CANARY}",
                }
                said = web.request(method, path, params={"q": CANARY}, headers=headers, json=sent)
                assert CANARY not in said.text, (method, path)
                assert said.status_code < 500, (method, path, said.text)
        for path in forms:
            for word in (CANARY, CARD):
                fields = {"email": "nobody@example.com", "password": word, "token": word, "name": word}
                said = web.post(path, data=fields, headers={"sec-fetch-site": "same-origin", "user-agent": word})
                assert CANARY not in said.text, path
                assert said.status_code < 500, (path, said.text)


def see_the_balance(page: Page, exactly: str) -> None:
    open_at(page, "/dashboard/billing")
    expect(page.get_by_role("main")).to_contain_text(f"exactly {exactly}")


def top_up(page: Page) -> None:
    open_at(page, "/dashboard/billing")
    expect(page.get_by_role("main")).to_contain_text("$0.00")
    page.get_by_text("$50", exact=True).click()
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Pay $50.00").click()
    page.wait_for_url("**/dashboard/billing**")
    for _ in range(100):
        if "$52.50" in page.get_by_role("main").inner_text():
            break
        open_at(page, "/dashboard/billing")
    expect(page.get_by_role("main")).to_contain_text("$52.50")


def download_everything(page: Page, folder: Path) -> zipfile.ZipFile:
    open_at(page, "/dashboard/privacy")
    with page.expect_download() as begun:
        page.locator("a[href='/download/export'][download]").click()  # a download once it knows that she proved herself
    saved = folder / "export.zip"
    begun.value.save_as(saved)
    return zipfile.ZipFile(io.BytesIO(saved.read_bytes()))


def assert_the_export_holds_the_calls(export: zipfile.ZipFile, tokens: int) -> None:
    (name,) = [name for name in export.namelist() if name.endswith("usage_event.jsonl")]
    calls = [json.loads(line) for line in export.read(name).splitlines()]
    assert sum(call["input_tokens"] + call["output_tokens"] for call in calls) == tokens
    everything = b"".join(export.read(name) for name in export.namelist())
    assert EMAIL.encode() in everything
    assert PROMPT.encode() not in everything
    assert b"$argon2" not in everything


def erase_now(page: Page, folder: Path) -> Path:
    open_at(page, "/dashboard/privacy")
    page.get_by_role("link", name="Delete account").click()
    page.get_by_label(re.compile("Erase now")).check()
    page.get_by_label(re.compile("Type the e-mail address")).fill(EMAIL)
    page.get_by_role("button", name="Erase or close account").click()
    with page.expect_download() as begun:
        page.get_by_role("main").get_by_role("link", name=re.compile("download", re.IGNORECASE)).click()
    saved = folder / "receipt.json"
    begun.value.save_as(saved)
    return saved


def assert_nothing_opens_any_more(page: Page, product: Product, secret: str) -> None:
    asked = [httpx.get(f"{product.url}/v1/models", headers={"Authorization": f"Bearer {secret}"}) for _ in range(20)]
    assert {answer.status_code for answer in asked} == {401}  # each worker is met many times in twenty connections
    open_at(page, "/sign-in")
    sign_in(page)
    expect(page.get_by_role("alert").first).to_be_visible()
    assert "/sign-in" in page.url


def assert_no_trace_is_left(product: Product) -> None:
    """Nothing of her is left anywhere, but for what the receipt names, which no longer names her."""
    assert found(product, MARKER) == []
