"""What leaves the dashboard over HTTP: the CSV, the way to the payment page, a new password and a new address."""

import csv
import io
from datetime import timedelta

import httpx
import pytest
from cast import ADA, PASSWORD
from starlette.applications import Starlette
from uses import calls, has_key

from assisters_app.accounts import sessions
from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.billing import topups
from assisters_app.ui.dashboard_routes import ROUTES

OURS = {"sec-fetch-site": "same-origin", "accept": "application/json"}


@pytest.fixture
async def http(house):
    transport = httpx.ASGITransport(Starlette(routes=ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


def cookie(who):
    return {"cookie": f"session={who.cookie}"}


async def test_ada_downloads_what_her_charts_show(ada, http):
    key = await has_key(ada, "=HYPERLINK(1)")
    await calls(ada, key, 3)
    answer = await http.get("/download/usage.csv?range=7d&zone=Europe/Paris", headers=cookie(ada))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    head, row = csv.reader(io.StringIO(answer.text))
    line = dict(zip(head, row, strict=True))
    assert (line["requests"], line["model"]) == ("3", "assisters-chat-v1")
    assert line["key"] == "'=HYPERLINK(1)"  # a spreadsheet must not run a name


async def test_mallorys_download_holds_nothing_of_adas(ada, mallory, http):
    key = await has_key(ada)
    await calls(ada, key, 3)
    answer = await http.get(f"/download/usage.csv?range=7d&key={key.id}", headers=cookie(mallory))
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 1


async def test_nobody_downloads_usage(http):
    answer = await http.get("/download/usage.csv")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/dashboard/usage")


async def test_a_download_of_nonsense_is_refused(ada, http):
    answer = await http.get("/download/usage.csv?range=ever", headers=cookie(ada))
    assert answer.status_code == 400


async def test_ada_is_led_to_the_payment_page(ada, http, payments_on):
    answer = await http.post("/billing/top-up", data={"amount": "5000"}, headers=cookie(ada) | OURS)
    assert answer.json()["next"].startswith(payments_on.url)
    async with transaction() as tx:
        (order,) = await topups.listed(tx, ada.person.organization_id)
    assert (order.amount_cents, order.bonus_cents, order.state) == (5_000, 250, "open")


async def test_without_javascript_the_browser_follows_a_redirect(ada, http, payments_on):
    answer = await http.post(
        "/billing/top-up", data={"amount": "1000"}, headers=cookie(ada) | {"sec-fetch-site": "same-origin"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(payments_on.url)


@pytest.mark.parametrize("amount", ["", "-5000", "5e3", "١٠٠٠", "999", "50000"])  # noqa: RUF001 (digits of another script)
async def test_an_amount_that_is_not_offered_is_refused(ada, http, payments_on, amount):
    answer = await http.post("/billing/top-up", data={"amount": amount}, headers=cookie(ada) | OURS)
    assert (answer.status_code, answer.json()["field"]) == (400, "amount")


async def test_another_site_cannot_order_for_ada(ada, http, payments_on):
    evil = cookie(ada) | {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    answer = await http.post("/billing/top-up", data={"amount": "5000"}, headers=evil)
    assert answer.status_code == 403
    async with transaction() as tx:
        assert await topups.listed(tx, ada.person.organization_id) == []


async def test_top_ups_are_off_without_a_provider(ada, http):
    answer = await http.post("/billing/top-up", data={"amount": "5000"}, headers=cookie(ada) | OURS)
    assert (answer.status_code, answer.json()["code"]) == (503, "payments_off")


async def test_the_portal_is_a_page_of_the_provider(ada, http, payments_on):
    answer = await http.post("/billing/portal", data={}, headers=cookie(ada) | OURS | {"content-length": "0"})
    assert answer.json()["next"].startswith(payments_on.url)


async def test_ada_changes_her_password_and_other_browsers_are_signed_out(ada, signs_in, http):
    other = await signs_in(ADA)
    answer = await http.post("/auth/change-password", data={"password": PASSWORD}, headers=cookie(ada) | OURS)
    assert answer.json() == {"next": "/dashboard/settings?done=password"}
    assert await sessions.resolve(other.cookie) is None
    assert await sessions.resolve(ada.cookie) is not None


async def test_a_weak_password_is_refused(ada, http):
    answer = await http.post("/auth/change-password", data={"password": "password1"}, headers=cookie(ada) | OURS)
    assert answer.json()["code"] == "weak_password"


@pytest.mark.parametrize(
    ("route", "form"), [("change-password", {"password": PASSWORD}), ("change-email", {"email": "a@b.example"})]
)
async def test_after_a_while_ada_confirms_first(ada, http, route, form):
    with clock.frozen(clock.now() + timedelta(minutes=11)):
        answer = await http.post(f"/auth/{route}", data=form, headers=cookie(ada) | OURS)
    assert answer.json() == {"next": "/confirm?next=/dashboard/settings"}


async def test_ada_asks_for_another_address(ada, http):
    answer = await http.post("/auth/change-email", data={"email": "ada@new.example"}, headers=cookie(ada) | OURS)
    assert answer.json() == {"next": "/dashboard/settings?done=email"}


async def test_nobody_changes_a_password(http):
    answer = await http.post("/auth/change-password", data={"password": PASSWORD}, headers=OURS)
    assert (answer.status_code, answer.json()["code"]) == (401, "signed_out")
