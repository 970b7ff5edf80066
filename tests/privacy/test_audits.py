"""Audits have dates: what the software looks at each night, what people do each year, and what is overdue."""

import json
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cast import ADA
from checking import broken, found
from sqlalchemy import text

from assisters_app.accounts import signing_up
from assisters_app.base import settings
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy.registers import audits, ingredients

OPENED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
async def opened(house):
    """Open the house on a day of its own; the template was opened when the tests began."""
    with frozen(OPENED) as move:
        async with transaction() as tx:
            await tx.sql(text("DELETE FROM assurance"))
            await audits.at_opening(tx)
        yield move


async def entered(kind, on, says="Looked at.", **more):
    async with transaction() as tx:
        await audits.record(tx, kind, on, says, **more)


@pytest.mark.promise("5.4")
async def test_a_house_that_has_just_opened_has_its_first_audit_and_the_day_of_the_next(opened):
    assert await found(audits.audits_are_regular) == (
        "audit of every dependency: last on 2026-11-24; security audit by people: first due by 2027-11-25"
    )
    async with transaction() as tx:
        await audits.at_opening(tx)  # a second time adds nothing
        assert len((await tx.sql(text("SELECT id FROM assurance"))).all()) == 1


@pytest.mark.promise("5.4")
async def test_nights_without_an_audit_and_a_year_without_people_show_as_overdue(opened):
    opened(OPENED + timedelta(days=2))
    assert await found(audits.audits_are_regular)
    opened(OPENED + timedelta(days=3))
    assert await broken(audits.audits_are_regular) == "Audit of every dependency: overdue since 2026-11-26."
    opened(OPENED + timedelta(days=367))
    await entered("dependencies", date(2027, 11, 26))
    assert await broken(audits.audits_are_regular) == "Security audit by people: overdue since 2027-11-25."
    await entered("security", date(2027, 11, 20))
    assert "people: last on 2027-11-20" in await found(audits.audits_are_regular)


@pytest.mark.promise("5.4")
async def test_an_audit_that_found_something_shows_until_one_that_did_not(opened):
    await entered("security", date(2026, 11, 20), "Backups could be read.", passed=False)
    assert await broken(audits.audits_are_regular) == "Security audit by people, 2026-11-20: Backups could be read."
    await entered("security", date(2026, 11, 23), "Backups are sealed.")
    assert await found(audits.audits_are_regular)


@pytest.mark.promise("5.2", "8.2")
async def test_disks_and_agreements_are_attested_within_a_year_or_show(opened):
    assert await found(audits.disks_are_attested) == "the first attestation is due by 2027-11-25"
    await entered("host", date(2026, 11, 1), "LUKS on both hosts.")
    await entered("agreement:stripe", date(2026, 11, 2), "Concluded.")
    assert await found(audits.disks_are_attested) == "attested on 2026-11-01"
    assert (await found(audits.agreements_are_current)).startswith("1 of 5 have been looked at here")
    opened(OPENED + timedelta(days=370))
    assert "overdue since 2027-11-02" in await broken(audits.disks_are_attested)
    assert "Agreement with Supabase" in await broken(audits.agreements_are_current)


@pytest.mark.promise("5.2")
async def test_an_address_that_lies_open_in_the_database_shows(house):
    async with transaction() as tx:
        await signing_up.open_account(tx, ADA)
    assert "all sealed" in await found(audits.addresses_are_sealed)
    async with transaction() as tx:
        await tx.sql(text("UPDATE account SET email = 'ada@example.com'"))
    assert "account.email holds an address" in await broken(audits.addresses_are_sealed)


@pytest.mark.parametrize(
    ("kind", "on", "says", "code"),
    [("horoscope", date(2026, 11, 1), "Good.", "unknown_kind"), ("security", date(2026, 11, 25), "Good.", "bad_date"),
     ("security", date(2026, 11, 1), " ", "nothing_said")],
)  # fmt: skip
async def test_what_cannot_have_been_audited_is_not_entered(opened, kind, on, says, code):
    with pytest.raises(Refused) as refused:
        await entered(kind, on, says)
    assert refused.value.code == code


@pytest.mark.promise("5.4")
async def test_a_package_that_is_not_the_pinned_one_or_was_altered_fails_the_audit(house, monkeypatch, tmp_path):
    assert ingredients.unpinned() == ingredients.unbuilt() == []
    assert list(audits.altered()) == []
    lock = tmp_path / "requirements.txt"
    lock.write_text("httpx==0.0.1 \\\n    --hash=sha256:00\nnot-for-this-system==1.0\n")
    monkeypatch.setattr(ingredients, "LOCK", lock)
    passed, says = await audits.audit_dependencies()
    assert not passed
    assert says.startswith("httpx ")
    assert "0.0.1 is pinned." in says


@pytest.mark.promise("5.4")
async def test_pages_that_were_built_from_another_package_than_the_pinned_one_fail_the_audit(
    house, monkeypatch, tmp_path
):
    react = tmp_path / "node_modules" / "react"
    react.mkdir(parents=True)
    (react / "package.json").write_text('{"name": "react", "version": "0.0.1"}')
    monkeypatch.setattr(ingredients, "BUILT_FROM", tmp_path)
    monkeypatch.setattr(audits, "altered", list)
    passed, says = await audits.audit_dependencies()
    assert not passed
    assert says.startswith("react 0.0.1 is in the pages, and ")


@pytest.mark.promise("5.4")
async def test_a_file_that_was_altered_after_it_was_installed_is_found(monkeypatch, tmp_path):
    installed = tmp_path / "thing-1.0.dist-info"
    installed.mkdir()
    (tmp_path / "thing.py").write_text("malice = True\n")
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    (installed / "RECORD").write_text("thing.py,sha256=AAAA,9\ngone.py,sha256=AAAA,9\n")
    one = audits.importlib.metadata.PathDistribution(installed)
    monkeypatch.setattr(audits.importlib.metadata, "distributions", lambda: [one])
    assert list(audits.altered()) == ["thing.py of thing was altered.", "gone.py of thing is not there."]


class _Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: one result for each question, in order."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        assert self.path == "/v1/querybatch"
        bad = [{"vulns": [{"id": "GHSA-0"}]} if one["package"]["name"] == self.server.bad else {} for one in asked]
        body = json.dumps({"results": bad}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing."""


@pytest.mark.promise("5.4")
async def test_a_known_vulnerability_fails_the_audit(house, monkeypatch):
    monkeypatch.setattr(audits, "altered", list)
    passed, says = await audits.audit_dependencies()
    assert passed
    assert says.endswith("were not compared with known vulnerabilities (ADVISORIES_URL is not set).")
    with HTTPServer(("127.0.0.1", 0), _Advisories) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("ADVISORIES_URL", f"http://127.0.0.1:{server.server_port}")
        settings.settings.cache_clear()
        server.bad = ""
        clean = await audits.audit_dependencies()
        server.bad = "starlette"
        ill = await audits.audit_dependencies()
        server.bad = "react-router"
        ill_pages = await audits.audit_dependencies()
        server.shutdown()
    assert clean[0]
    assert clean[1].endswith("none has a known vulnerability.")
    assert not ill[0]
    assert ill[1].startswith("starlette ")
    assert not ill_pages[0]
    assert ill_pages[1].startswith("react-router ")


async def test_the_nightly_audit_enters_what_it_found(house):
    await audits.audit_by_night()
    async with transaction() as tx:
        [line] = [line for line in await audits.standing(tx) if line.kind.id == "dependencies"]
    assert (line.state, line.passed) == ("passed", True)
    assert "no file of Python's was altered" in line.says
