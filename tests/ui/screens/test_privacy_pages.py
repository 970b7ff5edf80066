"""What everyone may read about privacy is what the product is checked against."""

from datetime import timedelta

import pytest
from routes import client

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.keeping.tables import Sweep
from assisters_app.privacy.policies import policy
from assisters_app.ui import cookies, processors, serving, storage
from assisters_app.ui import policy as policy_page
from assisters_app.ui.cookies import CookiesState
from assisters_app.ui.policy import PolicyState
from assisters_app.ui.privacy.kinds import KINDS


async def test_every_sentence_of_the_policy_can_be_linked_to_by_its_id(house):
    drawn = str(policy_page.page())
    sentences = policy.as_json(policy.CURRENT)["sentences"]
    assert len(sentences) > 50
    for sentence in sentences:
        assert f'id:"{sentence["id"]}"' in drawn, sentence
        assert f'href:"#{sentence["id"]}"' in drawn, sentence


async def test_anyone_sees_whether_the_retention_promises_are_kept(house, tab):
    async with transaction() as tx:
        old = now() - timedelta(days=31)
        tx.add(Sweep(rule="request-logs", table_name="usage_event", removed=0, oldest_left_at=old))
    shown = (await tab().send(PolicyState.load)).of(PolicyState)
    gauges = {gauge.table: gauge for gauge in shown["gauges"]}
    assert shown["phase"] == "ready"
    assert (gauges["usage_event"].promise, gauges["usage_event"].kept) == ("4.2", False)
    assert gauges["consent"].kept


@pytest.mark.promise("7.3")
async def test_the_cookie_page_shows_the_inventory_row_by_row(house, tab):
    shown = (await tab().send(CookiesState.load)).of(CookiesState)
    assert [one.identifier for one in shown["stored"]] == [one.identifier for one in cookies.cookies.stored()]
    assert {one.exempt for one in shown["stored"]} == {True}


def matches(disclosed):
    """Say whether one disclosure has the fields that IAB Europe's specification 1.1 requires, and no unknown one."""
    cookie = disclosed["type"] == "cookie"
    required = {"identifier", "type", "maxAgeSeconds", "domains", "purposes"} | ({"cookieRefresh"} if cookie else set())
    optional = {"description", "optOut", "specialPurposes", "cookieRefresh"}
    aged = isinstance(disclosed["maxAgeSeconds"], int) if cookie else disclosed["maxAgeSeconds"] is None
    return (
        required <= disclosed.keys() <= required | optional and aged and disclosed["type"] in ("cookie", "web", "app")
    )


@pytest.mark.promise("7.3")
async def test_the_inventory_has_the_shape_that_the_iab_has_published(house):
    said = storage.cookies.as_json()
    assert said.keys() == {"disclosures", "domains"}
    assert all(matches(one) for one in said["disclosures"])
    assert {tuple(one["domains"]) for one in said["disclosures"]} == {("localhost",)}
    assert not any(1 in one["purposes"] for one in said["disclosures"]), "1: needs consent"
    assert [one["domain"] for one in said["domains"]] == ["localhost"]
    assert [one["identifier"] for one in said["disclosures"]] == [one["identifier"] for one in cookies.cookies.listed()]


@pytest.mark.promise("7.1")
@pytest.mark.parametrize("lost", ["; HttpOnly", "; SameSite=Lax", "; Path=/"])
async def test_a_cookie_without_its_guard_is_found(tx, monkeypatch, lost):
    assert "all essential" in await storage.cookies_are_essential(tx)
    whole = storage.written
    monkeypatch.setattr(storage, "written", lambda *how: whole(*how).replace(lost, ""))
    with pytest.raises(promises.Broken, match="is set without"):
        await storage.cookies_are_essential(tx)


async def test_a_cookie_for_other_hosts_or_that_is_not_listed_is_found(tx, monkeypatch):
    whole = storage.written
    monkeypatch.setattr(storage, "written", lambda *how: whole(*how) + "; Domain=example.com")
    with pytest.raises(promises.Broken, match="other hosts"):
        await storage.cookies_are_essential(tx)
    monkeypatch.setattr(storage, "written", whole)
    monkeypatch.setattr(cookies.cookies, "stored", tuple)
    with pytest.raises(promises.Broken, match="not the essential one"):
        await storage.cookies_are_essential(tx)


async def test_a_tracker_is_found_in_the_list_and_in_what_pages_may_load(tx, monkeypatch):
    assert "this host alone" in await storage.nothing_tracks(tx)
    allowed = serving.policy(b"")
    monkeypatch.setattr(serving, "policy", lambda _: allowed.replace(b"connect-src", b"connect-src ads.example"))
    with pytest.raises(promises.Broken, match=r"Pages may use ads\.example"):
        await storage.nothing_tracks(tx)
    tracker = cookies.cookies.Stored("_ga", "cookie", "Follows you", None, "2 years", exempt=False, why_exempt="")
    monkeypatch.setattr(cookies.cookies, "stored", lambda: (tracker,))
    with pytest.raises(promises.Broken, match="needs consent"):
        await storage.nothing_tracks(tx)
    assert cookies.cookies.as_json()["disclosures"][0]["purposes"] == [1]


async def test_a_cookie_page_that_is_missing_is_found(tx, monkeypatch):
    assert (await storage.the_cookie_page_is_there(tx)).startswith("It lists 7 things")
    monkeypatch.setattr(storage, "by_route", lambda _: None)
    with pytest.raises(promises.Broken, match="no cookie page"):
        await storage.the_cookie_page_is_there(tx)


async def test_every_kind_of_data_that_is_sent_anywhere_has_a_name_in_words(house):
    kinds = {kind for entry in inventory.inventory() for kind in entry.categories}
    assert kinds == set(KINDS)


async def test_every_processor_of_the_policy_is_on_the_page(house):
    drawn = str(processors.page())
    for processor in processors.processors.PROCESSORS:
        assert processor.name in drawn
        assert processor.safeguard in drawn


async def test_anyone_reads_what_is_stored_column_by_column(house):
    async with client() as http:
        page = (await http.get("/download/inventory")).text
        told = (await http.get("/download/inventory.json")).json()
    for entry in told["tables"]:
        assert entry["name"] in page
        for column in entry["columns"] if entry["personal"] else ():
            assert f">{column['name']}</div>" in page
            assert (column["category"] or "") in page
    assert 'href="/privacy-policy#4.2"' in page
    assert "not stated in the policy" in page


async def test_anyone_reads_the_record_of_processing_activities(house):
    async with client() as http:
        page = (await http.get("/download/record")).text
        told = (await http.get("/download/record.json")).json()
    assert len(told["activities"]) >= 6
    for activity in told["activities"]:
        assert activity["purpose"].replace("&", "&amp;") in page
        assert activity["data_use"] in page
    for processor in ("Supabase", "Stripe", "Vercel", "Upstash"):
        assert processor in page
