"""Ada asks by mail and gets what she asks for by a link to her own mailbox; nobody else does, and no register lies."""

import io
import json
import re
import zipfile
from datetime import timedelta

import pypdf
import pytest
from cast import ADA, PASSWORD
from mails import waiting_mail
from routes import OURS, client
from sqlmodel import col, select

from assisters_app.accounts import corrections, people, resetting
from assisters_app.accounts.client import Client
from assisters_app.accounts.links import LASTING, link
from assisters_app.accounts.tables import Account
from assisters_app.base import jobs
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy.choices import consents, opting_out
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.rights import by_mail, requests
from assisters_app.privacy.rights.tables import PrivacyRequest
from assisters_app.ui import rights_routes, serving
from assisters_app.ui.staff.request import AskedState

pytestmark = pytest.mark.usefixtures("mail_waits")

STRANGER = "stranger@example.com"


async def act(verb, *args, **how):
    async with transaction() as tx:
        return await verb(tx, *args, **how)


async def entered(grace, kind, email=ADA, ago=timedelta()):
    return (await act(requests.enter, grace.person, kind, email, now() - ago)).handle


async def link_in_the_last_letter(to):
    return re.search(r"/rights\?token=\S+?(?=\"|$)", json.dumps((await waiting_mail(to))[-1]))[0]


async def sent(grace, kind, ago=timedelta()):
    """Have Grace enter a request and send the link; return it, and the request's number."""
    handle = await entered(grace, kind, ago=ago)
    await act(by_mail.offer, grace.person, handle)
    return await link_in_the_last_letter(ADA), handle


async def request_of(handle):
    async with transaction() as tx:
        return (await tx.exec(select(PrivacyRequest).where(PrivacyRequest.handle == handle))).one()


def follows(address, **headers):
    """Return a browser that has followed a link: its token is in a cookie by now."""
    http = client(**OURS | headers)
    http.cookies.set("link", address.partition("token=")[2], domain="localhost.local", path="/")
    return http


async def press(address, do, **typed):
    async with follows(address) as http:
        return await http.post("/rights", data={"do": do, **typed})


@pytest.mark.promise("6.6", "6.4")
async def test_ada_gets_the_export_she_asked_for_by_mail_without_signing_in(ada, grace):
    address, handle = await sent(grace, "export")
    async with follows(address) as http:
        assert "a…@example.com" in (await http.get("/rights")).text
        assert (await request_of(handle)).state == "open", "a program followed the link, and nothing was done"
        for _ in range(2):  # a download that broke off is begun again, in this browser
            archive = zipfile.ZipFile(io.BytesIO((await http.post("/rights", data={"do": "export"})).content))
            assert ADA in archive.read("data/account.jsonl").decode()
    assert (await request_of(handle)).outcome == by_mail.DONE["export"]
    async with transaction() as tx:
        (done,) = await tx.exec(select(TrailEntry).where(TrailEntry.action == "request:met"))
        assert [one.kind for one in await requests.mine(tx, ada.person)] == ["export"]
    assert (done.account_id, done.details) == (ada.person.account_id, {"request": handle})


@pytest.mark.promise("6.6", "6.1")
async def test_ada_gets_the_copy_she_asked_for_by_mail(ada, grace):
    address, handle = await sent(grace, "access")
    answer = await press(address, "access")
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.content)).pages)
    assert ADA in text
    assert (await request_of(handle)).state == "done"


async def test_a_copy_that_could_not_be_printed_uses_no_link_up(ada, grace, monkeypatch):
    address, handle = await sent(grace, "access")

    async def breaks(copy):
        raise RuntimeError("No font.")

    with monkeypatch.context() as patch:
        patch.setattr(rights_routes, "as_pdf", breaks)
        with pytest.raises(RuntimeError):
            await press(address, "access")
    assert (await request_of(handle)).state == "open"
    assert (await press(address, "access")).status_code == 200


@pytest.mark.promise("6.6", "6.3", "2.4")
async def test_ada_who_is_suspended_has_herself_erased_by_mail(ada, grace):
    await act(people.suspend, grace.person, ada.person.account_id, "Fraud")
    address, handle = await sent(grace, "deletion")
    async with follows(address) as http:
        assert 'value="later"' not in (await http.get("/rights")).text
    assert "suspended" in (await press(address, "later")).text
    gone = await press(address, "now")
    assert re.fullmatch(r"/receipts/rcp_\w+", gone.headers["location"])
    await jobs.run_waiting()
    receipt = gone.headers["location"].rpartition("/")[2]
    assert (await request_of(handle)).outcome == f"Erased; receipt {receipt}"
    async with transaction() as tx:
        assert (await tx.exec(select(Account).where(Account.email == ADA))).all() == []
    assert (await press(address, "now")).status_code == 400


@pytest.mark.promise("6.6", "4.1")
async def test_who_asked_by_mail_before_is_not_made_to_wait_beyond_its_deadline(ada, grace):
    handle = await entered(grace, "deletion", ago=timedelta(days=20))
    by = requests.due(await request_of(handle))
    plan = await act(erasure.plan, ada.person)
    closing = await act(erasure.close, ada.person)
    assert plan.carry_out_at == closing.carry_out_at == by < now() + timedelta(days=12)
    async with transaction() as tx:
        asked = await tx.exec(select(PrivacyRequest.handle).where(PrivacyRequest.kind == "deletion"))
        assert asked.all() == [handle], "one wish is one request"


async def test_where_no_time_is_left_to_undo_ada_is_told_so_and_nothing_happens(ada, grace):
    address, _ = await sent(grace, "deletion", ago=timedelta(days=40))
    assert "due now" in (await press(address, "later")).text
    async with transaction() as tx:
        assert (await tx.exec(select(Erasure))).all() == []
    assert (await press(address, "now")).status_code == 303


@pytest.mark.promise("6.6", "6.5")
async def test_whoever_asks_by_mail_for_no_more_news_gets_none(ada, grace):
    await act(consents.choose, ada.person, "marketing", given=True)
    for email in (ADA, STRANGER):
        handle = await entered(grace, "opt-out", email)
        with pytest.raises(Refused, match="Unsubscribe them first"):
            await act(requests.answer, grace.person, handle, "done", "Done")
        await act(by_mail.unsubscribe, grace.person, handle)
        assert (await request_of(handle)).state == "done"
        assert "no more news" in str((await waiting_mail(email))[-1])
    assert not await act(opting_out.may_mail_marketing, ADA)


@pytest.mark.promise("6.6")
async def test_no_register_says_that_an_account_is_erased_which_is_not(ada, grace):
    handle = await entered(grace, "deletion")
    with pytest.raises(Refused, match="still there"):
        await act(requests.answer, grace.person, handle, "done", "Erased")
    stranger = await entered(grace, "deletion", STRANGER)
    await act(requests.answer, grace.person, stranger, "done", "Nothing was here")
    await act(requests.answer, grace.person, handle, "refused", "A court forbids it")


async def test_a_link_works_once_and_what_goes_on_in_that_browser_is_over_in_minutes(ada, grace):
    address, _ = await sent(grace, "export")
    async with follows(address) as http:
        assert (await http.post("/rights", data={"do": "export"})).status_code == 200
        assert http.cookies["link"] not in address
        assert (await press(address, "export")).status_code == 400, "whoever finds the mail later gets nothing"
        with frozen(now() + by_mail.AGAIN - timedelta(seconds=30)):
            assert (await http.post("/rights", data={"do": "export"})).status_code == 200
        with frozen(now() + by_mail.AGAIN + timedelta(seconds=1)):  # doing it again does not make it last
            assert (await http.post("/rights", data={"do": "export"})).status_code == 400


async def test_another_site_presses_no_button_and_who_presses_too_often_hears_how_long_to_wait(ada, grace):
    address, _ = await sent(grace, "deletion")
    async with follows(address, **{"sec-fetch-site": "cross-site"}) as http:
        assert (await http.post("/rights", data={"do": "now"})).status_code == 403
    async with transaction() as tx:
        assert (await tx.exec(select(Erasure))).all() == []
    async with client(**OURS) as http:
        answers = [await http.get("/rights") for _ in range(rights_routes.BY_LINK.most)]
        assert (answers[-1].status_code, 0 < int(answers[-1].headers["retry-after"]) <= 600) == (429, True)


@pytest.mark.promise("6.6", "6.2")
async def test_ada_corrects_by_a_link_what_she_asked_by_mail_to_have_corrected(ada, grace):
    address, handle = await sent(grace, "correction")
    here = await act(requests.ask, ada.person, "correction", "My invoice of May has the wrong name")
    typed = {"name": "Ada Lovelace", "organization": ada.person.organization_name, "email": ""}
    same = await press(address, "correction", **typed | {"name": ""})
    assert (same.status_code, "Nothing is different" in same.text) == (400, True)
    assert "Give it a name" in (await press(address, "correction", **typed | {"organization": " "})).text
    done = await press(address, "correction", **typed)
    assert (done.status_code, "Changed: your name." in done.text) == (200, True), "nothing that was refused used it up"
    async with transaction() as tx:
        assert [(one.what, one.after) for one in await corrections.history(tx, ada.person)] == [
            ("name", "Ada Lovelace")
        ]
    assert (await request_of(handle)).outcome == by_mail.DONE["correction"]
    assert (await request_of(here.handle)).state == "open", "that is about something else"
    assert (await press(address, "correction", **typed)).status_code == 400


@pytest.mark.promise("6.6", "6.2")
async def test_an_address_that_is_corrected_by_a_link_counts_once_both_mailboxes_have_said_yes(ada, grace):
    address, handle = await sent(grace, "correction")
    typed = {"name": "", "organization": ada.person.organization_name, "email": "ada@new.example"}
    assert "both mailboxes" in (await press(address, "correction", **typed)).text
    for to in (ADA, "ada@new.example"):
        assert (await request_of(handle)).state == "open"
        async with client(**OURS) as http:
            http.cookies.set("link", re.search(r"token=([\w-]+)", json.dumps((await waiting_mail(to))[-1]))[1])
            assert (await http.post("/auth/confirm-email")).status_code == 303
    async with transaction() as tx:
        assert (await tx.get(Account, ada.person.account_id)).email == "ada@new.example"
    assert (await request_of(handle)).outcome == by_mail.DONE["correction"]


@pytest.mark.promise("6.6", "6.2")
async def test_what_ada_asked_to_have_corrected_stays_open_when_something_else_of_hers_is(ada, grace):
    unused = await entered(grace, "correction")
    await act(by_mail.offer, grace.person, unused)
    async with transaction() as tx:  # her address changes from the settings: no link of theirs did that
        await by_mail.moved(tx, ada.person.account_id)
    address, handle = await sent(grace, "correction")
    done = await press(address, "correction", name="Ada L.", organization=ada.person.organization_name, email="")
    assert done.status_code == 200
    assert [(await request_of(one)).state for one in (unused, handle)] == ["open", "done"]


async def test_a_link_ends_after_a_day_with_the_next_one_and_with_a_new_password(ada, grace):
    first, handle = await sent(grace, "export")
    await act(by_mail.offer, grace.person, handle)
    second = await link_in_the_last_letter(ADA)
    assert (await press(first, "export")).status_code == 400
    with frozen(now() + LASTING["export"] + timedelta(seconds=1)):
        assert (await press(second, "export")).status_code == 400
    token = (await act(link, ada.person.account_id, "reset")).partition("token=")[2]
    await act(resetting.reset, token, PASSWORD + "!", Client("192.0.2.1", ""))
    assert (await press(second, "export")).status_code == 400


async def test_a_link_does_only_what_it_was_sent_for_and_no_other_link_does_it(ada, grace):
    address, _ = await sent(grace, "access")
    for do in ("export", "correction", "now", "later", "everything"):
        assert (await press(address, do)).status_code == 400, do
    for purpose in ("reset", "verify"):
        token = (await act(link, ada.person.account_id, purpose)).partition("token=")[2]
        for do in ("access", "export", "correction", "now"):
            assert (await press(f"/rights?token={token}", do)).status_code == 400, (purpose, do)
    with pytest.raises(Refused, match="no longer valid"):
        await act(resetting.reset, address.partition("token=")[2], PASSWORD + "!", Client("192.0.2.1", ""))


async def test_mallory_gets_no_link_sent_and_grace_none_where_nothing_is_done_by_one(ada, mallory, grace, tab):
    handle = await entered(grace, "export")
    for verb in (by_mail.offer, by_mail.unsubscribe):
        with pytest.raises(Refused, match="does not exist"):
            await act(verb, mallory.person, handle)
    for kind, email in (("objection", ADA), ("access", STRANGER)):
        with pytest.raises(Refused):
            await act(by_mail.offer, grace.person, await entered(grace, kind, email))
    page, here = tab(grace), f"/staff/requests/{handle}"
    shown = await page.send(AskedState.load, path=here)
    assert shown.of(AskedState)["one"].does == "link"
    await page.send(AskedState.send_link, path=here)
    assert "/rights?token=" in str((await waiting_mail(ADA))[-1])
    async with transaction() as tx:
        (told,) = await tx.exec(select(TrailEntry).where(col(TrailEntry.action) == "request:link-sent"))
    assert (told.account_id, told.actor_id) == (ada.person.account_id, grace.person.account_id)


def test_the_page_of_a_link_is_not_taken_for_one_of_the_product_and_its_token_leaves_the_address():
    assert rights_routes.PATH in serving.LINK_PAGES
    assert serving._ours("/rights")
    assert not serving._ours("/rightsful")
