"""What Ada gets when she asks for her data, and what nobody else's data is doing in it."""

import csv
import hashlib
import io
import json
import zipfile
from datetime import timedelta

import pytest
from markers import fill

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy import inventory
from assisters_app.privacy.rights import access, export


async def download(person):
    async with transaction() as tx:
        asked = await export.begin(tx, person)
    content = b"".join([chunk async for chunk in export.stream(asked)])
    return zipfile.ZipFile(io.BytesIO(content))


@pytest.fixture
async def both(ada, bob):
    async with transaction() as tx:
        return await fill(tx, ada, other=bob.account_id), await fill(tx, bob, other=ada.account_id)


async def test_the_export_holds_every_exportable_marker_and_no_secret_and_nothing_of_bob(ada, both):
    hers, his = both
    archive = await download(ada)
    lines = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".jsonl"))
    cells = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".csv"))
    for marker in hers.markers:
        expected = marker.exported and marker.whose == ada.account_id
        assert (marker.text in lines) == expected, marker.name
        assert (marker.text in cells) == expected, marker.name
    assert [marker.name for marker in his.markers if marker.text in lines + cells] == []
    assert len(hers.markers) > 40


async def test_who_else_touched_adas_data_is_not_named_in_her_export(ada, bob, both):
    archive = await download(ada)
    everything = "".join(archive.read(name).decode() for name in archive.namelist())
    assert str(bob.account_id) not in everything
    assert str(bob.organization_id) not in everything


async def test_the_manifest_counts_and_hashes_every_file(ada, both):
    archive = await download(ada)
    manifest = json.loads(archive.read("manifest.json"))
    assert {line["path"] for line in manifest["files"]} == set(archive.namelist()) - {"manifest.json"}
    for line in manifest["files"]:
        content = archive.read(line["path"])
        assert line["bytes"] == len(content)
        assert line["sha256"] == hashlib.sha256(content).hexdigest()
        if line["path"].endswith(".jsonl"):
            assert line["rows"] == len(content.splitlines()) >= 1, line["path"]
        if line["path"].endswith(".csv"):
            assert line["rows"] == len(list(csv.reader(io.StringIO(content.decode(), newline="")))) - 1


async def test_both_forms_hold_the_same_rows_and_the_schema_describes_them(ada, both):
    archive = await download(ada)
    for table, rows in inventory.personal_tables():
        if not rows.export:
            continue
        objects = [json.loads(line) for line in archive.read(f"data/{table.name}.jsonl").splitlines()]
        page = list(csv.DictReader(io.StringIO(archive.read(f"data/{table.name}.csv").decode(), newline="")))
        schema = json.loads(archive.read(f"schema/{table.name}.json"))
        assert [list(one) for one in objects] == [schema["required"]] * len(objects)
        for one, row in zip(objects, page, strict=True):
            for name, value in one.items():
                assert _fits(value, schema["properties"][name]), f"{table.name}.{name} is {value!r}"
                if isinstance(value, int | str) and not isinstance(value, bool):
                    assert row[name] == str(value)


def _fits(value, schema):
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "null": type(None)}
    return any(isinstance(value, types[kind]) for kind in kinds)


async def test_text_that_a_spreadsheet_would_run_is_made_harmless_in_csv_only(ada):
    async with transaction() as tx:
        await tx.sql(
            inventory.tables.metadata.tables["organization"].update().values(name="=HYPERLINK(1)")
        )  # fmt: skip
    archive = await download(ada)
    assert "'=HYPERLINK(1)" in archive.read("data/organization.csv").decode()
    assert json.loads(archive.read("data/organization.jsonl"))["name"] == "=HYPERLINK(1)"


async def test_an_export_of_many_rows_comes_in_many_small_pieces(ada, monkeypatch):
    monkeypatch.setattr(export, "AT_ONCE", 50)
    async with transaction() as tx:
        for _ in range(1_000):
            await tx.sql(
                inventory.tables.metadata.tables["trail_entry"].insert().values(
                    account_id=ada.account_id, action="a:test", created_at=now(), details={}, ip=""
                )
            )  # fmt: skip
    async with transaction() as tx:
        asked = await export.begin(tx, ada)
    pieces = [chunk async for chunk in export.stream(asked)]
    assert len(pieces) > 40
    assert max(map(len, pieces)) < 64_000


async def test_without_a_recent_proof_of_identity_nothing_is_handed_out(ada):
    stale = _aged(ada)
    async with transaction() as tx:
        for ask in (export.begin, access.copy):
            with pytest.raises(Refused, match="Confirm that it is you"):
                await ask(tx, stale)


def _aged(person):
    from dataclasses import replace

    return replace(person, reauthenticated_at=now() - timedelta(hours=1))


async def test_the_eleventh_export_of_a_day_is_refused(ada):
    for _ in range(10):
        async with transaction() as tx:
            await export.begin(tx, ada)
    with pytest.raises(Refused, match="Too many"):
        async with transaction() as tx:
            await export.begin(tx, ada)


async def test_a_copy_shows_ada_her_data_with_everything_article_15_lists(ada, both):
    hers, his = both
    async with transaction() as tx:
        copy = await access.copy(tx, ada)
    shown = str(copy.sections)
    for marker in hers.markers:
        assert (marker.text in shown) == (marker.exported and marker.whose == ada.account_id), marker.name
    assert not any(marker.text in shown for marker in his.markers)
    assert [recipient.name for recipient in copy.context.recipients] == [
        "Supabase", "Stripe", "Vercel", "Upstash", "Sentry"
    ]  # fmt: skip
    assert all((copy.context.purposes, copy.context.categories, copy.context.rights, copy.context.complaint))
    assert all(section.kept for section in copy.sections)
    assert any("Password hash" in line for line in copy.context.withheld)
