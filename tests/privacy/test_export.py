"""What Ada gets when she asks for her data, and what nobody else's data is doing in it."""

import asyncio
import contextlib
import csv
import gc
import hashlib
import io
import json
import os
import tracemalloc
import zipfile
from datetime import datetime, timedelta

import hypothesis
import jsonschema_rs
import pytest
from customers import customer
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from markers import fill
from sqlalchemy import text
from sqlmodel import col, select

from assisters_app.accounts.throttling import Limit
from assisters_app.base import db, settings
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.ids import new_id
from assisters_app.base.sealed_text import Sealed
from assisters_app.base.tables import TrailEntry
from assisters_app.base.valkey import valkey
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import subject_of
from assisters_app.privacy.rights import access, export, forms, progress, totals, writing
from assisters_app.privacy.rights.forms import Form
from assisters_app.privacy.rights.overtaking import Overtaking
from assisters_app.usage import ddl
from assisters_app.usage.tables import UsageEvent


async def download(person):
    async with transaction() as tx:
        asked = await export.begin(tx, person)
    content = b"".join([chunk async for chunk in export.stream(asked)])
    return zipfile.ZipFile(io.BytesIO(content))


@pytest.fixture
async def both(ada, bob):
    async with transaction() as tx:
        return await fill(tx, ada, other=bob.account_id), await fill(tx, bob, other=ada.account_id)


@pytest.mark.promise("6.1", "6.4", "11.2")
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


DAYS_AGO = st.integers(0, 25)


@pytest.mark.promise("6.1", "6.4")
@given(hers=DAYS_AGO, his=DAYS_AGO, she_is_first=st.booleans())
@hypothesis.settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_a_life_was_its_export_holds_every_marked_value_and_nobody_elses(house, hers, his, she_is_first):
    """Two people whose rows are written at any time and in either order, each mentioned in the other's."""
    her, him = [await customer(f"{new_id().hex}@example.com") for _ in range(2)]
    lives = [(her, him, hers), (him, her, his)]
    markers = []
    for owner, other, ago in lives if she_is_first else reversed(lives):
        async with transaction() as tx:
            at = now() - timedelta(days=ago)
            await ddl.ensure(tx, [at.date()])
            filled = await fill(tx, owner, other=other.account_id, at=at)
        markers += [(owner is her, marker) for marker in filled.markers]
    archive = await download(her)
    everything = "".join(archive.read(name).decode() for name in archive.namelist() if name.startswith("data/"))
    for of_her, marker in markers:
        expected = of_her and marker.exported and marker.whose == her.account_id
        assert (marker.text in everything) == expected, marker.name
    assert str(him.account_id) not in everything


async def test_who_else_touched_adas_data_is_not_named_in_her_export(ada, bob, both):
    archive = await download(ada)
    everything = "".join(archive.read(name).decode() for name in archive.namelist())
    assert str(bob.account_id) not in everything
    assert str(bob.organization_id) not in everything


@pytest.mark.promise("6.4")
async def test_the_manifest_counts_and_hashes_every_file(ada, both):
    archive = await download(ada)
    manifest = json.loads(archive.read("manifest.json"))
    assert {line["path"] for line in manifest["files"]} == set(archive.namelist()) - {"manifest.json", "signature.json"}
    for line in manifest["files"]:
        content = archive.read(line["path"])
        assert line["bytes"] == len(content)
        assert line["sha256"] == hashlib.sha256(content).hexdigest()
        if line["path"].endswith(".jsonl"):
            assert line["rows"] == len(content.splitlines()) >= 1, line["path"]
        if line["path"].endswith(".csv"):
            assert line["rows"] == len(list(csv.reader(io.StringIO(content.decode(), newline="")))) - 1


@pytest.mark.promise("6.4")
async def test_both_forms_hold_the_same_rows_and_the_schema_describes_them(ada, both):
    archive = await download(ada)
    for table, rows in inventory.personal_tables():
        if not rows.export:
            continue
        objects = [json.loads(line) for line in archive.read(f"data/{table.name}.jsonl").splitlines()]
        page = list(csv.DictReader(io.StringIO(archive.read(f"data/{table.name}.csv").decode(), newline="")))
        schema = json.loads(archive.read(f"schema/{table.name}.json"))
        valid = jsonschema_rs.validator_for(schema, validate_formats=True)
        assert [list(one) for one in objects] == [schema["required"]] * len(objects)
        for one, row in zip(objects, page, strict=True):
            valid.validate(one)
            assert not valid.is_valid({**one, "somebody_elses": 1})
            for name, value in one.items():
                if isinstance(value, int | str) and not isinstance(value, bool):
                    assert row[name] == str(value)


async def test_text_that_a_spreadsheet_would_run_is_made_harmless_in_csv_only(ada):
    async with transaction() as tx:
        await tx.sql(
            inventory.tables.metadata.tables["organization"].update().values(name="=HYPERLINK(1)")
        )  # fmt: skip
    archive = await download(ada)
    assert "'=HYPERLINK(1)" in archive.read("data/organization.csv").decode()
    assert json.loads(archive.read("data/organization.jsonl"))["name"] == "=HYPERLINK(1)"


RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # a cell that begins so may be run
ODD = (
    *(f"{sign}1" for sign in RUN), "'quoted'", " =1", "", "a,b", 'say "yes"', "two\nlines", "two\r\nlines", "\\.",
    "\\N", "\\n", "\x01\x02\x1f\x7f", "\u2028\u202e\ufeff", "Zoë 日本 🙂", "null", "sealed.aaaa",
    "%s %(a)s", "</script>",
)  # fmt: skip
SEEN = (  # what databases and programs may write differently
    {}, {"a": None, "b": [1, -2.5, 1e15, 1e-9]}, {"=k\n": 'x "y"'}, {"deep": {"\u2028": ["é", True]}},
)  # fmt: skip


@pytest.mark.promise("6.4", "11.2")
async def test_the_database_writes_a_row_as_we_would_ourselves(ada, bob, both):
    """Every table, and texts that programs trip over: both ways of writing say the same in both forms."""
    moment = now().replace(microsecond=0)
    texts = [
        {"id": new_id(), "created_at": moment + timedelta(microseconds=n * 1_001), "account_id": ada.account_id,
         "action": said, "details": SEEN[n % len(SEEN)], "ip": ""}
        for n, said in enumerate(ODD)
    ]  # fmt: skip
    numbers = {"input_tokens": -1, "cost_nano": 2**63 - 1, "first_token_ms": None, "overhead_ms": 1e-7, "stream": False}
    async with transaction() as tx:
        await tx.sql(TrailEntry.__table__.insert(), texts)
        await tx.sql(UsageEvent.__table__.update().values(numbers))
        subject = await subject_of(tx, ada.account_id)
        for table, rows in inventory.personal_tables():
            if rows.export and not _sealed(table):
                question = export.question(table, rows, subject)
                for form, read in ((Form.LINES, _objects), (Form.CSV, _cells)):
                    asked = writing._lines_of(question) if form is Form.LINES else writing._cells_of(question, table)
                    theirs = [part async for part in writing._copied(tx, asked, form)]
                    ours = [part async for part in writing._written_here(tx, table, question, form)]
                    assert sum(count for _, count in theirs) == sum(count for _, count in ours) >= 1
                    assert read(theirs, table) == read(ours, table), (table.name, form)


def _sealed(table):
    return any(isinstance(column.type, Sealed) for column in table.c)


def _objects(parts, table):
    kinds = _kinds(table)
    lines = [json.loads(line, object_pairs_hook=list) for said, _ in parts for line in said.split(b"\n")[:-1]]
    return [[(name, _moment(value) if kinds[name] is datetime else value) for name, value in line] for line in lines]


def _cells(parts, table):
    """Return what a reader of CSV sees: of times, numbers and objects what they say, however they are spelled."""
    kinds = list(_kinds(table).values())
    page = csv.reader(io.StringIO(b"".join(said for said, _ in parts).decode(), newline=""), strict=True)
    said = {float: float, dict: json.loads, datetime: _moment}
    return [[said.get(kind, str)(cell) if cell else "" for kind, cell in zip(kinds, row, strict=True)] for row in page]


def _kinds(table):
    return {name: inventory.kind_of(table.c[name]) for name in forms.names(table)}


def _moment(said):
    return said and datetime.fromisoformat(said)


async def test_no_cell_that_ada_wrote_is_run_by_a_spreadsheet(ada):
    async with transaction() as tx:
        for said in ODD:
            await tx.sql(text(ONE), {"account_id": ada.account_id, "action": said})
    archive = await download(ada)
    page = csv.DictReader(io.StringIO(archive.read("data/trail_entry.csv").decode(), newline=""))
    cells = {row["action"] for row in page}
    assert [cell for cell in cells if cell.startswith(RUN)] == []
    assert {f"'{said}" if said.startswith(RUN) else said for said in ODD} <= cells
    told = [json.loads(line)["action"] for line in archive.read("data/trail_entry.jsonl").split(b"\n")[:-1]]
    assert set(ODD) <= set(told)


ONE = """
    INSERT INTO trail_entry (id, created_at, account_id, action, details, ip)
    VALUES (gen_random_uuid(), now(), :account_id, :action, '{}', '')
"""
MANY = """
    INSERT INTO trail_entry (id, created_at, account_id, action, details, ip)
    SELECT gen_random_uuid(), now() - interval '1 second' * n, :account_id, 'a:test', '{}', md5(n::text)
    FROM generate_series(1, :rows) n
"""


async def many_rows(person, rows):
    async with transaction() as tx:
        await tx.sql(text(MANY), {"account_id": person.account_id, "rows": rows})


async def begun(person):
    async with transaction() as tx:
        return export.stream(await export.begin(tx, person))


async def until(look):
    """Return what `look` finds as soon as it finds something."""
    async with asyncio.timeout(60):
        while not (found := await look()):  # noqa: ASYNC110 (what is looked at rings no bell)
            await asyncio.sleep(0.01)
    return found


async def state_of(person, state):
    seen = await progress.latest(person.account_id)
    return seen is not None and seen.state == state


async def test_an_export_of_many_rows_is_made_in_little_memory(ada, monkeypatch):
    monkeypatch.setattr(writing, "AT_ONCE", 16 * 1024)
    await many_rows(ada, 8_000)
    stream, pieces, largest = await begun(ada), 0, 0
    await anext(stream)
    tracemalloc.start()
    async for piece in stream:
        pieces, largest = pieces + 1, max(largest, len(piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pieces > 10
    assert largest < 64_000
    assert peak < 3_000_000


async def test_the_first_bytes_come_before_anything_is_counted(ada, monkeypatch):
    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(export, "_count", never)
    stream = await begun(ada)
    assert b"README.txt" in await asyncio.wait_for(anext(stream), 60)
    await stream.aclose()


def connections_in_use():
    return db.engine().pool.checkedout()


async def test_a_slow_reader_holds_no_connection_to_the_database(ada):
    await many_rows(ada, 3_000)
    stream = await begun(ada)
    first = await anext(stream)
    await until(lambda: state_of(ada, "sending"))
    assert connections_in_use() == 0
    content = first + b"".join([part async for part in stream])
    assert len(zipfile.ZipFile(io.BytesIO(content)).read("data/trail_entry.jsonl").splitlines()) > 3_000


async def test_many_slow_readers_leave_connections_for_others(ada, monkeypatch):
    monkeypatch.setattr(export, "OFTEN", Limit("export-test", 100, timedelta(days=1)))
    await many_rows(ada, 1_000)
    streams = [await begun(ada) for _ in range(6)]
    most = 0
    for stream in streams:
        await anext(stream)
    for stream in streams:
        async for _ in stream:
            most = max(most, connections_in_use())
    assert most <= export.AT_A_TIME + 1


@pytest.fixture
def folder(house):
    return settings.settings().data_dir / "exports"


async def test_nothing_lies_on_the_disk_while_an_export_runs_nor_afterwards(ada, folder):
    await many_rows(ada, 3_000)
    stream = await begun(ada)
    await anext(stream)
    assert list(folder.iterdir()) == []
    async for _ in stream:
        assert list(folder.iterdir()) == []


def test_what_the_file_holds_meanwhile_is_sealed(tmp_path):
    file = Overtaking(tmp_path)
    file.write(b"a prompt of Ada's")
    raw = os.pread(file._file.fileno(), 1_000, 0)
    assert b"Ada" not in raw
    assert len(raw) > 17
    file.close()


async def test_what_goes_wrong_while_reading_breaks_the_download_instead_of_ending_it(ada, monkeypatch):
    async def breaks(*_):
        raise RuntimeError("the database went away")

    monkeypatch.setattr(totals, "of", breaks)
    with pytest.raises(RuntimeError, match="went away"):
        [part async for part in await begun(ada)]


@pytest.fixture
async def unheard():
    """Return what an event loop reports of errors that nobody asked for."""
    gc.collect()  # what another test left is not told here
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    yield told
    asyncio.get_running_loop().set_exception_handler(None)


@pytest.mark.parametrize("full", [False, True])
async def test_an_export_that_breaks_is_one_line_in_the_log_and_no_error_that_nobody_heard(
    ada, monkeypatch, caplog, unheard, full
):
    async def breaks(*_):
        raise RuntimeError("the database went away from Ada")
        yield

    def does_not_fit(*_):
        raise OSError("the disk is full")

    async def one_part_then_breaks(*_):
        yield b"Ada", 1
        await asyncio.sleep(0)  # the part is being packed now
        raise RuntimeError("the database went away from Ada")

    if full:
        monkeypatch.setattr(export, "append", does_not_fit)
    monkeypatch.setattr(writing, "written", one_part_then_breaks if full else breaks)
    with pytest.raises(RuntimeError, match="went away"):
        [part async for part in await begun(ada)]
    gc.collect()
    assert unheard == []
    assert [line.getMessage() for line in caplog.records if line.name == export.__name__] == [
        "An export broke off: RuntimeError."
    ]


async def ended(person):
    async with transaction() as tx:
        entries = select(TrailEntry).where(col(TrailEntry.action).startswith("export:"))
        return [(one.action, one.details) for one in await tx.exec(entries)]


async def test_the_trail_says_whether_an_export_was_sent_or_broken_off(ada):
    content = b"".join([part async for part in await begun(ada)])
    (sent,) = await ended(ada)
    assert sent == ("export:sent", {"rows": sent[1]["rows"], "bytes": len(content)})
    await many_rows(ada, 3_000)
    stream = await begun(ada)
    await anext(stream)
    await stream.aclose()
    assert [action for action, _ in await ended(ada)] == ["export:sent", "export:broken-off"]
    assert (await progress.latest(ada.account_id)).state == "broken"
    assert connections_in_use() == 0


async def test_a_reader_who_is_given_up_by_the_server_leaves_nothing_running(ada):
    """Cancelled as a server cancels: every await of the stream fails from then on."""
    await many_rows(ada, 3_000)

    async def read_a_little():
        async for _ in await begun(ada):
            await asyncio.Event().wait()

    reader = asyncio.create_task(read_a_little())
    await until(lambda: progress.latest(ada.account_id))
    while not reader.done():
        reader.cancel()
        await asyncio.sleep(0)
    await until(lambda: ended(ada))
    await until(nothing_runs)
    assert [action for action, _ in await ended(ada)] == ["export:broken-off"]


async def test_a_reader_who_leaves_while_a_part_is_packed_leaves_no_statement_running(ada, monkeypatch):
    await many_rows(ada, 60_000)
    packed, reached = export._packed, asyncio.Event()

    async def waits(packing, to):
        await packed(packing, to)
        if to.progress.rows > 500:
            reached.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(export, "_packed", waits)
    stream = await begun(ada)
    await anext(stream)
    await asyncio.wait_for(reached.wait(), 60)
    await asyncio.wait_for(stream.aclose(), 60)
    assert connections_in_use() == 0
    assert [action for action, _ in await ended(ada)] == ["export:broken-off"]


async def nothing_runs():
    return not export._endings


async def test_an_export_that_outlives_its_account_leaves_no_trace_of_it(ada):
    stream = await begun(ada)
    await anext(stream)
    async with transaction() as tx:
        for table in ("membership", "organization", "trail_entry", "account"):
            await tx.sql(text(f"DELETE FROM {table}"))
    with contextlib.suppress(Refused):
        [part async for part in stream]
    assert await ended(ada) == []
    held = await valkey().keys("export:*")
    assert not [name for name in held if str(ada.account_id) in name or ada.account_id.hex in name]
    assert str(ada.account_id) not in str([await valkey().get(name) for name in held])


async def test_ada_sees_how_far_her_export_is(ada):
    assert await progress.latest(ada.account_id) is None
    await many_rows(ada, 5_000)
    stream = await begun(ada)
    parts = [(await progress.latest(ada.account_id)).part async for _ in stream]
    seen = await progress.latest(ada.account_id)
    assert parts == sorted(parts)
    assert (seen.state, seen.part, seen.sent) == ("done", 100, seen.made)
    assert seen.rows == seen.of > 10_000


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


@pytest.mark.promise("6.1", "11.1")
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
