"""Ada exercises her rights; nobody exercises them for her."""

import io
import json
import re
import zipfile
from datetime import timedelta

import pypdf
import pytest
from cast import ADA, GRACE, MALLORY
from routes import OURS, client
from sqlmodel import select, update

from assisters_app.accounts import people, sessions
from assisters_app.accounts.tables import Session
from assisters_app.base import clock
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.privacy.choices import consents, opting_out
from assisters_app.privacy.rights import requests
from assisters_app.privacy.rights.tables import PrivacyRequest
from assisters_app.ui import serving
from assisters_app.ui.pages import by_route
from assisters_app.ui.privacy.consents import ConsentsState
from assisters_app.ui.privacy.rights import RightsState
from assisters_app.ui.privacy.trail import TrailState


async def looks_at(staff, who):
    async with transaction() as tx:
        await people.view(tx, staff.person, who.person.account_id)


async def proved_long_ago(who):
    """Let it be a day since somebody last proved who they are."""
    async with transaction() as tx:
        long_ago = now() - timedelta(days=1)
        theirs = Session.account_id == who.person.account_id
        await tx.exec(update(Session).where(theirs).values(reauthenticated_at=long_ago))
    sessions._known.clear()


async def choices(who):
    async with transaction() as tx:
        return {choice.purpose.id: choice.given for choice in await consents.choices(tx, who.person)}


async def test_nothing_is_given_before_ada_chooses_and_she_withdraws_as_easily(ada, tab):
    page = tab(ada)
    shown = (await page.send(RightsState.load)).of(RightsState)
    assert shown["phase"] == "ready"
    assert await choices(ada) == {"marketing": False, "training": False}
    given = await page.send(RightsState.opt, purpose="marketing")
    assert given.of(RightsState)["marketing"] is True
    assert await choices(ada) == {"marketing": True, "training": False}
    withdrawn = await page.send(RightsState.opt, purpose="marketing")
    assert withdrawn.said() == "Withdrawn, and written down."
    assert await choices(ada) == {"marketing": False, "training": False}


async def test_a_purpose_that_does_not_exist_cannot_be_consented_to(ada, tab):
    shown = await tab(ada).send(RightsState.opt, purpose="selling")
    assert shown.said() == "That choice does not exist."


async def test_every_choice_leaves_a_receipt_with_the_words_that_were_seen(ada, tab):
    page = tab(ada)
    await page.send(ConsentsState.choose, purpose="training", given=True)
    shown = (await page.send(ConsentsState.choose, purpose="training", given=False)).of(ConsentsState)
    assert [(one.given, bool(one.ended)) for one in shown["history"]] == [(False, False), (True, True)]
    assert "train its models" in shown["history"][0].text
    async with client(ada.cookie, **OURS) as http:
        everything = (await http.get("/download/consents.json")).json()
        one = (await http.get(f"/download/consents/{shown['history'][0].id}.json")).json()
    assert [record["record_id"] for record in everything["consent_records"]] == [one.id for one in shown["history"]]
    assert one["consent_records"] == everything["consent_records"][:1]


async def test_mallory_downloads_no_receipt_of_adas_consent(ada, mallory, tab):
    shown = (await tab(ada).send(ConsentsState.choose, purpose="training", given=True)).of(ConsentsState)
    path = f"/download/consents/{shown['history'][0].id}.json"
    async with client(mallory.cookie, **OURS) as http:
        answer = await http.get(path)
        nothing = (await http.get("/download/consents.json")).json()
    assert (answer.status_code, nothing["consent_records"]) == (404, [])
    async with client(**OURS) as http:
        assert (await http.get(path)).headers["location"].startswith("/sign-in?next=")


async def test_ada_renews_what_would_soon_end_and_nothing_else(ada, tab):
    page, start = tab(ada), now()
    await page.send(ConsentsState.choose, purpose="marketing", given=True)
    with clock.frozen(start + timedelta(days=700)):
        async with transaction() as tx:
            ends = (await consents.choices(tx, ada.person))[0]
            assert ends.renewable
            await consents.renew(tx, ada.person, "marketing")
    renewed = {one.id: one for one in (await page.send(ConsentsState.load)).of(ConsentsState)["choices"]}
    assert renewed["marketing"].until > ends.until.isoformat()
    assert (await page.send(ConsentsState.renew, purpose="training")).said().startswith("There is no consent in force")


async def test_ada_reads_that_staff_looked_at_her_account_and_not_who(ada, grace, tab):
    await looks_at(grace, ada)
    shown = (await tab(ada).send(RightsState.load)).of(RightsState)
    assert [(one.words, one.by) for one in shown["looks"]] == [("Account viewed", "our staff")]
    assert GRACE not in repr(shown["looks"])


async def test_mallory_does_not_read_adas_trail(ada, mallory, grace, tab):
    await looks_at(grace, ada)
    shown = (await tab(mallory).send(TrailState.load)).of(TrailState)
    assert [one.words for one in shown["rows"]] == ["Signed in"]
    assert {one.by for one in shown["rows"]} == {"you"}


async def test_the_whole_trail_holds_what_ada_did_herself(ada, grace, tab):
    await looks_at(grace, ada)
    page = tab(ada)
    everything = (await page.send(TrailState.load)).of(TrailState)["rows"]
    assert {one.by for one in everything} == {"you", "our staff"}
    others = (await page.send(TrailState.narrow, others=True)).of(TrailState)["rows"]
    assert [one.by for one in others] == ["our staff"]


async def test_nobody_sees_anything_of_privacy(house, tab):
    for handler, state in (
        (RightsState.load, RightsState),
        (TrailState.load, TrailState),
        (ConsentsState.load, ConsentsState),
    ):
        assert (await tab().send(handler)).of(state) == {}


async def test_ada_downloads_her_export_and_it_is_entered_as_a_request(ada, tab):
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/export")
    assert answer.status_code == 200
    assert re.fullmatch(r'attachment; filename="assisters-export-[\d-]+\.zip"', answer.headers["content-disposition"])
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    account = json.loads(archive.read("data/account.jsonl"))
    assert account["email"] == ADA
    shown = (await tab(ada).send(RightsState.load)).of(RightsState)
    assert [(one.kind, one.state) for one in shown["asked"]] == [("Export", "done")]


async def test_ada_sees_her_export_go_on_and_end_among_her_requests(ada, tab):
    page = tab(ada)
    await page.send(RightsState.load)
    begun = (await page.send(RightsState.began)).of(RightsState)["export"]
    assert (begun.running, begun.words) == (True, "Your export begins …")
    assert (await page.send(RightsState.look)).of(RightsState) == {}
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/export")
    seen = (await page.send(RightsState.look)).of(RightsState)
    assert (seen["export"].state, seen["export"].part, seen["export"].running) == ("done", 100, False)
    assert f"{len(answer.content) / 1e3:,.1f} kB" in seen["export"].words
    assert [one.kind for one in seen["asked"]] == ["Export"]
    again = (await page.send(RightsState.began)).of(RightsState)["export"]
    assert again.running
    assert (await page.send(RightsState.look)).of(RightsState) == {}  # the one before is not taken for this one


async def test_a_download_that_never_begins_is_not_waited_for(ada, tab):
    page = tab(ada)
    await page.send(RightsState.began)
    for _ in range(16):
        seen = (await page.send(RightsState.look)).of(RightsState)
    assert seen["export"].words == "The download has not begun. Start it again."


async def test_mallory_sees_nothing_of_adas_export(ada, mallory, tab):
    async with client(ada.cookie, **OURS) as http:
        await http.get("/download/export")
    assert (await tab(mallory).send(RightsState.load)).of(RightsState)["export"].state == ""


@pytest.mark.promise("6.1", "11.1")
async def test_adas_copy_is_a_tagged_pdf_with_what_the_law_wants_said(ada):
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/copy.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "no-store"
    copy = pypdf.PdfReader(io.BytesIO(answer.content))
    root = copy.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert copy.metadata.title == "Your data at Assisters"
    assert b"pdfuaid" in root["/Metadata"].get_data()
    said = read(copy)
    for expected in (ADA, "GDPR Art. 77", "Standard Contractual Clauses", "Provide and maintain our API", "30 days"):
        assert expected in said
    assert "argon2" not in said


def read(copy):
    """Return a PDF's text without the places at which long words may break."""
    pages = " ".join(page.extract_text() for page in copy.pages)
    return " ".join(pages.replace("\u200b", "").split())


async def test_a_name_in_letters_without_a_font_still_makes_a_pdf_and_markup_stays_text(ada):
    from assisters_app.accounts import profile

    for name in ('#read("/etc/passwd") *Ada* $x$', "爱达"):  # in this order: what a name was before is in the copy, too
        async with transaction() as tx:
            await profile.correct(tx, ada.person, name, "UTC")
        async with client(ada.cookie, **OURS) as http:
            answer = await http.get("/download/copy.pdf")
        copy = pypdf.PdfReader(io.BytesIO(answer.content))
        assert ("no font of ours" in read(copy)) == (name == "爱达")
        assert '#read("/etc/passwd") *Ada* $x$' in read(copy)


async def test_mallory_cannot_export_adas_data(ada, mallory):
    async with client(mallory.cookie, **OURS) as http:
        answer = await http.get(f"/download/export?account_id={ada.person.account_id}")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    everything = b"".join(archive.read(name) for name in archive.namelist())
    assert MALLORY.encode() in everything
    assert ADA.encode() not in everything
    assert str(ada.person.account_id).encode() not in everything


async def test_another_site_cannot_start_an_export(ada):
    async with client(ada.cookie, **{"sec-fetch-site": "cross-site"}) as http:
        answer = await http.get("/download/export")
    assert answer.status_code == 403
    async with transaction() as tx:
        assert (await tx.exec(select(PrivacyRequest))).all() == []


@pytest.mark.parametrize("path", ["/download/export", "/download/copy", "/download/copy.pdf"])
async def test_who_is_not_signed_in_is_led_to_the_sign_in_page(house, path):
    async with client(**OURS) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")


@pytest.mark.parametrize("path", ["/download/export", "/download/copy", "/download/copy.pdf"])
async def test_a_session_that_was_left_open_must_prove_itself_first(ada, path):
    await proved_long_ago(ada)
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/confirm?next={path}")


async def test_the_page_knows_until_when_the_export_is_handed_out(ada, tab):
    shown = (await tab(ada).send(RightsState.load)).of(RightsState)
    assert shown["fresh_until"] == (ada.person.reauthenticated_at + timedelta(minutes=10)).isoformat()


async def test_adas_copy_reads_as_a_document_with_what_the_law_wants_said(ada):
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/copy")
    assert answer.status_code == 200
    assert ADA in answer.text
    for said in ("GDPR Art. 77", "Standard Contractual Clauses", "Provide and maintain our API services", "30 days"):
        assert said in answer.text
    assert "argon2" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_a_name_that_is_a_script_is_shown_and_not_run(ada):
    from assisters_app.accounts import profile

    async with transaction() as tx:
        await profile.correct(tx, ada.person, "<script>alert(1)</script>", "UTC")
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/copy")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script>alert" not in answer.text
    assert "unsafe-inline" not in answer.headers["content-security-policy"]


async def test_ada_unsubscribes_without_cookies_by_one_post(ada):
    async with transaction() as tx:
        await consents.choose(tx, ada.person, "marketing", given=True)
    path = opting_out.unsubscribe_address(ADA).removeprefix("http://localhost:3000")
    async with client() as http:
        answer = await http.post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "a…@example.com" in answer.text
    assert ADA not in answer.text
    async with transaction() as tx:
        assert not await opting_out.may_mail_marketing(tx, ADA)
        assert [(one.kind, one.state) for one in await requests.mine(tx, ada.person)] == [("opt-out", "done")]


async def test_a_program_that_follows_the_link_unsubscribes_nobody(ada):
    async with transaction() as tx:
        await consents.choose(tx, ada.person, "marketing", given=True)
    path = opting_out.unsubscribe_address(ADA).removeprefix("http://localhost:3000")
    async with client() as http:
        answer = await http.get(path)
    assert '<form method="post">' in answer.text
    async with transaction() as tx:
        assert await opting_out.may_mail_marketing(tx, ADA)


async def test_a_made_up_link_unsubscribes_nobody(house):
    async with client() as http:
        answer = await http.post("/unsubscribe/AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert answer.status_code == 400
    assert "not one of ours" in answer.text


async def test_programs_read_what_is_stored_by_whom_and_until_when(house):
    async with client() as http:
        inventory = (await http.get("/download/inventory.json")).json()
        cookies = (await http.get("/download/cookies.json")).json()
        processors = (await http.get("/download/processors.json")).json()
        policy = (await http.get("/download/policy.json")).json()
        gpc = (await http.get("/.well-known/gpc.json")).json()
    assert {"account", "usage_event", "consent"} <= {table["name"] for table in inventory["tables"]}
    assert "session" in [one["identifier"] for one in cookies["disclosures"]]
    assert [one["name"] for one in processors] == ["Supabase", "Stripe", "Vercel", "Upstash", "Sentry"]
    assert any(one["id"] == "4.2" for one in policy["sentences"])
    assert gpc["gpc"] is True


@pytest.mark.parametrize(
    ("sent", "signalled"), [(["1"], True), (["0"], False), (["true"], False), ([], False), (["0", "1"], True)]
)
async def test_the_opt_out_signal_is_read_as_its_specification_writes_it(house, sent, signalled):
    async with client() as http:
        answer = await http.get("/download/gpc.json", headers=[("sec-gpc", value) for value in sent])
    assert answer.json() == {"signalled": signalled, "recorded": False}


@pytest.mark.promise("7.2")
@pytest.mark.parametrize("sent", [["1"], ["0"], ["true"], [" 1 ,1"], [""], []])
async def test_only_the_exact_signal_on_any_page_is_written_into_adas_account(ada, mallory, sent):
    headers = [(b"cookie", f"session={ada.cookie}".encode()), *((b"sec-gpc", value.encode()) for value in sent)]
    page = by_route("/dashboard")
    assert await serving._gate(page, "/dashboard", {"headers": headers, "query_string": b""}) == ""
    async with transaction() as tx:
        kept = [record.source for record in await consents.history(tx, ada.person)]
        assert await consents.history(tx, mallory.person) == ()
    assert kept == (["gpc"] if sent == ["1"] else [])


async def test_a_signal_is_heeded_on_pages_for_everyone_too_when_ada_is_signed_in(ada):
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/gpc.json", headers={"sec-gpc": "1"})
    assert answer.json() == {"signalled": True, "recorded": True}
    async with transaction() as tx:
        assert [record.source for record in await consents.history(tx, ada.person)] == ["gpc"]


async def test_a_row_too_wide_for_paper_is_printed_with_the_name_of_each_value(ada):
    async with client(ada.cookie, **OURS) as http:
        answer = await http.get("/download/copy")
    assert "<table class='wide'><caption>Your account</caption>" in answer.text
    assert f'data-name="Email"><div>{ADA}</div>' in answer.text
    assert ".wide td::before" in answer.text
