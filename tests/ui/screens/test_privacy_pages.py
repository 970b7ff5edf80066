"""What everyone may read about privacy is what the product is checked against."""

from datetime import timedelta

import pytest
from routes import client

from assisters_app.accounts.throttling import Limit
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.privacy import inventory, promises, taxonomy
from assisters_app.privacy.keeping.tables import Sweep
from assisters_app.privacy.policies import policy
from assisters_app.ui import (
    binder,
    cookies,
    limits,
    meaning,
    processing,
    processors,
    public_routes,
    serving,
    session,
    storage,
    stored,
)
from assisters_app.ui import policy as policy_page
from assisters_app.ui import procedure as procedure_page
from assisters_app.ui.binder import PLACE
from assisters_app.ui.cookies import CookiesState
from assisters_app.ui.pages import by_route
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
    gauges = shown["gauges"]
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
        told = (await http.get("/download/inventory.json")).json()
    drawn = str(stored.page())
    assert len(told["tables"]) == len(inventory.inventory())
    for entry in told["tables"]:
        assert entry["name"] in drawn
        assert entry["title"] in drawn
        for column in entry["columns"] if entry["personal"] else ():
            assert f'"{column["name"]}"' in drawn, (entry["name"], column["name"])
            assert not column["category"] or f'"{column["category"]}"' in drawn
    assert '"/privacy-policy#4.2"' in drawn
    assert "Not stated in the policy" in drawn


async def test_anyone_reads_the_record_of_processing_activities(house):
    async with client() as http:
        told = (await http.get("/download/record.json")).json()
    drawn = str(processing.page())
    assert len(told["activities"]) >= 6
    for activity in told["activities"]:
        assert activity["purpose"] in drawn
        assert f'"{activity["data_use"]}"' in drawn
        assert taxonomy.USES[activity["data_use"]] in drawn, "the published name, not its key alone"
    for processor in ("Supabase", "Stripe", "Vercel", "Upstash"):
        assert processor in drawn


@pytest.mark.promise("1.1", "4.1")
async def test_beneath_each_sentence_of_sections_1_and_4_stands_what_it_means_exactly(house):
    drawn = str(policy_page.page())
    told = {line for line in inventory.collected() if meaning.in_short(line)}
    assert told == policy.COLLECTED_LINES - policy.NOT_IN_TABLES
    for line, columns in inventory.collected().items():
        assert meaning.in_short(line) in drawn
        for column in columns:
            assert f'"/privacy/inventory#{column.partition(".")[0]}"' in str(meaning.in_full(line))
    for number in range(1, 6):
        assert meaning.under(f"4.{number}")
        assert meaning.in_short(f"4.{number}") in drawn
    stated = {entry.name for number in range(1, 6) for entry in meaning.under(f"4.{number}")}
    others = {entry.name for entries in meaning.unstated().values() for entry in entries}
    assert stated | others == {entry.name for entry in inventory.inventory()}
    assert not stated & others
    for entry in inventory.inventory():
        assert f'"/privacy/inventory#{entry.name}"' in drawn, entry.name
        assert entry.retention in drawn


async def test_anyone_reads_the_procedure_as_the_software_has_it(house):
    async with client() as http:
        told = (await http.get("/download/procedure.json")).json()
    drawn = str(procedure_page.page())
    for course in ("request", "erasure"):
        for one in (*told[course]["states"], *told[course]["steps"]):
            assert one["title"] in drawn
            assert one["says"] in drawn
    for clock in told["clocks"]:
        assert clock["length"] in drawn
    for name in (*told["erased"], *(one["table"] for one in told["kept"])):
        assert f'"/privacy/inventory#{name}"' in drawn
    assert told["reached_outside_the_tables"][:2] == ["calls", "stripe"]


async def test_every_place_that_the_finder_leads_to_is_on_the_page(house):
    drawn = str(stored.page())
    for place in stored._places():
        assert f'id:"{place["id"]}"' in drawn, place["title"]
    for entry in inventory.inventory():  # other pages link to them
        assert f'id:"{entry.name}"' in drawn, entry.name


@pytest.mark.parametrize("name", ["inventory", "record"])
async def test_the_addresses_where_these_pages_once_were_lead_to_them(house, name):
    async with client() as http:
        answer = await http.get(f"/download/{name}")
    assert (answer.status_code, answer.headers["location"]) == (308, f"/privacy/{name}")
    assert by_route(f"/privacy/{name}").access == "public"


COSTLY = (
    "/download/promises.json",
    "/download/policy.json",
    "/download/inventory.json",
    "/download/record.json",
    "/download/receipts/rcp_000000000000",
)


@pytest.mark.parametrize("path", COSTLY)
async def test_mallory_cannot_have_us_look_for_her_without_end(house, monkeypatch, path):
    monkeypatch.setattr(public_routes, "READING", Limit("reading", 3, timedelta(minutes=1)))
    async with client() as mallory:
        first = [(await mallory.get(path)).status_code for _ in range(3)]
        refused = await mallory.get(path)
    assert set(first) <= {200, 404}
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["cache-control"] == "no-store"
    assert refused.json()["error"]["code"] == "too_many"


async def test_what_ada_reads_is_not_counted_against_what_mallory_read(house, tab, monkeypatch):
    monkeypatch.setattr(session, "READING", Limit("reading", 1, timedelta(minutes=1)))
    mallorys, adas = tab(), tab()
    mallorys.headers, adas.headers = {"cookie": f"{PLACE}=hers"}, {"cookie": f"{PLACE}=adas"}
    assert (await mallorys.send(PolicyState.load)).of(PolicyState)["phase"] == "ready"
    assert (await mallorys.send(PolicyState.load)).said().startswith("Too many attempts")
    assert (await adas.send(PolicyState.load)).of(PolicyState)["phase"] == "ready"


def test_where_a_socket_comes_from_is_known_by_a_hash_that_the_browser_is_not_told(house):
    scope = {"type": "websocket", "client": ("192.0.2.7", 4711), "headers": [(b"x-real", b"1")], "query_string": b""}
    bound, _ = binder._bound(scope, "mark")
    (told,) = [value.decode() for name, value in bound["headers"] if name == b"cookie"]
    assert (binder.fingerprint_of(told), binder.place_in(told)) == ("mark", limits.place(scope))
    assert "192.0.2.7" not in str(bound)
    assert limits.place(scope) != limits.place({**scope, "client": ("192.0.2.8", 4711)})
