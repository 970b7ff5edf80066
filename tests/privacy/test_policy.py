"""The policy's words, and whether the software is what they say."""

from dataclasses import replace

import pytest

from assisters_app.base import marks
from assisters_app.privacy import inventory, processors
from assisters_app.privacy.choices import cookies, gpc
from assisters_app.privacy.policies import policy

PUBLISHED = {"2026-01": "8f3898ea17cba92760d94531f08d419d71e46bc951a96238f3dcd3a549a3e201"}  # never changed, only added


@pytest.mark.parametrize(("version", "sha256"), PUBLISHED.items())
def test_a_published_version_is_never_edited(version, sha256):
    assert policy.read(version).sha256 == sha256


def test_the_current_version_is_published_and_each_sentence_has_its_own_id():
    assert policy.CURRENT.version in PUBLISHED
    ids = [part.id for section in policy.CURRENT.sections for part in section.parts if part.id]
    assert len(ids) == len(set(ids)) > 50
    assert policy.CURRENT.sentence("4.2") == "API request logs: 30 days"
    assert [section.number for section in policy.CURRENT.sections] == list(range(11))


def test_sections_1_to_4_say_what_the_marks_say():
    assert policy.differences() == ()


def test_a_column_collected_under_an_unknown_line_shows(monkeypatch):
    monkeypatch.setattr(policy, "COLLECTED_LINES", policy.COLLECTED_LINES - {"1.7"})
    assert policy.differences() == ("Columns are collected under 1.7, which section 1 does not list as stored data.",)


def test_a_line_without_a_column_shows(monkeypatch):
    monkeypatch.setattr(policy, "NOT_IN_TABLES", set())
    assert policy.differences() == ("Section 1 lists 1.8, but no column is marked as collected under it.",)


def test_a_sixth_processor_shows_until_the_policy_names_it(monkeypatch):
    sixth = replace(processors.PROCESSORS[0], id="sixth", name="Sixth")
    monkeypatch.setattr(policy, "PROCESSORS", (*processors.PROCESSORS, sixth))
    assert policy.differences() == ("Sixth receives data, but section 3 does not say so in these words.",)


def test_rows_kept_longer_than_promised_show(monkeypatch):
    table = inventory.tables.metadata.tables["usage_event"]
    longer = replace(marks.REQUEST_LOGS, sentence="60 days")
    monkeypatch.setitem(table.info, "rows", replace(marks.rows_of(table), retention=longer))
    assert policy.differences() == ("Rows stay 60 days, but 4.2 promises 30 days.",)


def test_the_registry_is_section_3_with_a_safeguard_for_each():
    assert [f"{p.name} - {p.purpose}" for p in processors.PROCESSORS] == [
        policy.CURRENT.sentence(f"3.{number}") for number in range(1, 6)
    ]
    assert all(p.safeguard and p.country and p.terms.startswith("https://") for p in processors.PROCESSORS)
    assert processors.received_by("sentry") == ()
    assert "user.contact.email" in processors.received_by("stripe")
    assert "user.device.ip_address" in processors.received_by("vercel")


def test_hosts_are_the_registry_and_what_is_configured(house, monkeypatch):
    from assisters_app.base import settings

    monkeypatch.setenv("UPSTREAM_BASE_URL", "https://models.example.com/v1")
    monkeypatch.setenv("GITHUB_CLIENT_ID", "x")
    monkeypatch.setenv("GITHUB_CLIENT_SECRET", "y")
    settings.settings.cache_clear()
    hosts = processors.allowed_hosts()
    assert {"127.0.0.1", "models.example.com", "api.stripe.com", "github.com"} <= hosts
    assert "telemetry.example.com" not in hosts


def test_the_inventory_says_of_every_column_what_becomes_of_it():
    entries = {entry.name: entry for entry in inventory.inventory()}
    top_up = {column.name: column for column in entries["top_up"].columns}
    assert top_up["organization_id"].on_erase == "unlink"
    assert top_up["payment_intent_id"].on_erase == "clear"
    assert top_up["currency"].on_erase == "keep"
    assert {column.on_erase for column in entries["session"].columns} == {"delete"}
    said = inventory.as_json()
    assert {purpose["id"] for purpose in said["purposes"]} == {f"2.{n}" for n in range(1, 9)}
    assert len(said["tables"]) == len(inventory.all_tables())


def test_only_what_is_strictly_necessary_is_stored_on_a_device_so_there_is_no_banner(house):
    assert not cookies.needs_banner()
    assert {one["identifier"] for one in cookies.as_json()["disclosures"]} == {
        "link", "oauth", "react-router-scroll-positions", "reflex_last_reloaded_on_error",
        "session", "theme", "token",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "on"),
    [(["1"], True), (["0"], False), (["true"], False), ([" 1 ,1"], False), ([""], False), ([], False),
     (["0", "1"], True)],
)  # fmt: skip
def test_global_privacy_control_is_an_exact_1(sent, on):
    assert gpc.signalled(sent) is on
    assert gpc.well_known()["gpc"] is True


@pytest.mark.promise("9.1")
def test_a_change_is_told_word_by_word_and_reads_as_either_version():
    change = policy.Change("4.2", "We keep API request logs for 30 days.", "We keep all API request logs for 20 days.")
    told = policy.pieces(change)
    assert [piece.text for piece in told if piece.kind == "gone"] == ["30"]
    assert [piece.text.strip() for piece in told if piece.kind == "new"] == ["all", "20"]
    assert "".join(piece.text for piece in told if piece.kind != "new") == change.before
    assert "".join(piece.text for piece in told if piece.kind != "gone") == change.after


def test_words_that_only_spaces_part_are_one_change():
    change = policy.Change("1.9", "Calls are logged for operational purposes.", "Calls are logged for a key.")
    assert [(piece.kind, piece.text) for piece in policy.pieces(change)] == [
        ("same", "Calls are logged for "),
        ("gone", "operational purposes."),
        ("new", "a key."),
    ]


def test_sentences_with_little_in_common_are_told_whole_and_so_is_what_is_new_or_gone():
    before, after = "We share nothing.", "Your wallet holds what you paid in advance."
    assert policy.pieces(policy.Change("1", before, after)) == (
        policy.Piece("gone", before),
        policy.Piece("new", after),
    )
    assert policy.pieces(policy.Change("1", "", after)) == (policy.Piece("new", after),)
    assert policy.pieces(policy.Change("1", before, "")) == (policy.Piece("gone", before),)
