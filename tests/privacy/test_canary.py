"""The search that follows the canary overlooks nothing, and what came of her is believed for two days."""

import pickle
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import pytest
from cast import ADA
from sqlalchemy import text

from assisters_app.accounts import signing_up
from assisters_app.base import settings
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.valkey import valkey
from assisters_app.privacy import canary, searching
from assisters_app.privacy.canary import Canary
from assisters_app.privacy.erasing import backups
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.registers.tables import CanaryRun
from assisters_app.privacy.searching import Trace

WORD = "zqstray0815"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
IN_TABLES = {
    "text": "CREATE TABLE assisters.stray AS SELECT 'so it says: ZQSTRAY0815!' AS word",
    "bytes": "CREATE TABLE assisters.stray AS SELECT convert_to('zqstray0815', 'utf8') AS word",
    "json": """CREATE TABLE assisters.stray AS SELECT '{"a": ["zqstray0815"]}'::jsonb AS word""",
    "arrays": "CREATE TABLE assisters.stray AS SELECT ARRAY['zqstray0815'] AS word",
    "another schema": "CREATE SCHEMA other; CREATE TABLE other.stray AS SELECT 'zqstray0815' AS word",
}


@pytest.mark.promise("4.1")
@pytest.mark.parametrize("how", IN_TABLES)
async def test_a_word_in_any_kind_of_column_of_any_table_is_found(house, how):
    assert await searching.everywhere([WORD]) == ()
    async with transaction() as tx:
        for statement in IN_TABLES[how].split(";"):
            await tx.sql(text(statement.replace(":", r"\:") if "::" not in statement else statement))
    schema = "other" if how == "another schema" else "assisters"
    assert await searching.everywhere([WORD]) == (Trace("database", f"{schema}.stray"),)


@pytest.mark.promise("4.1")
async def test_an_address_is_found_though_it_is_sealed(house):
    assert await searching.everywhere([ADA]) == ()
    async with transaction() as tx:
        await signing_up.open_account(tx, ADA)
    assert await searching.everywhere([ADA.upper()]) == (Trace("database", "assisters.account"),)


@pytest.mark.promise("4.1")
async def test_a_word_in_any_kind_of_key_of_valkey_is_found(house):
    ways = {
        "string": lambda store: store.set("x", pickle.dumps({"a": WORD})),
        "hash": lambda store: store.hset("x", "a", WORD),
        "list": lambda store: store.rpush("x", "a", WORD),
        "set": lambda store: store.sadd("x", WORD),
        "zset": lambda store: store.zadd("x", {WORD: 1}),
        "stream": lambda store: store.xadd("x", {"a": WORD}),
    }
    assert ways.keys() == searching.READERS.keys()
    for kind, put in ways.items():
        await put(valkey())
        assert await searching.everywhere([WORD]) == (Trace("Valkey", f"a {kind}"),)
        await valkey().delete("x")
    await valkey().set(f"about {WORD}", "1")
    assert await searching.everywhere([WORD]) == (Trace("Valkey", "a string"),)


@pytest.mark.promise("4.1")
async def test_a_word_in_a_file_is_found_wherever_it_lies(house, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "CHUNK", 64)
    logs = tmp_path / "logs"
    logs.mkdir()
    monkeypatch.setenv("ASSISTERS_SEARCHED", str(logs))
    settings.settings.cache_clear()
    below = settings.settings().data_dir / "deep" / "down"
    below.mkdir(parents=True)
    for before in range(50, 70):  # on every side of where one piece ends and the next begins
        (below / "export.zip").write_bytes(b"." * before + WORD.upper().encode() + b"." * 100)
        assert await searching.everywhere([WORD]) == (Trace("files", "deep/down/export.zip"),)
    (below / "export.zip").unlink()
    assert await searching.everywhere([WORD]) == ()
    (logs / "product.log").write_text(f'{{"says": "{WORD}"}}')
    assert await searching.everywhere([WORD]) == (Trace("files", "product.log"),)


@pytest.mark.promise("4.1")
@pytest.mark.parametrize("how", [how for how in IN_TABLES if how != "another schema"])
async def test_a_word_in_any_kind_of_column_is_found_in_a_backup_too(house, how):
    async with transaction() as tx:
        await tx.sql(text(IN_TABLES[how].replace(":", r"\:") if "::" not in IN_TABLES[how] else IN_TABLES[how]))
        await signing_up.open_account(tx, ADA)
    with backups.for_a_moment() as made:
        found = searching.in_backup(made.file, [WORD.upper(), ADA, "zqnowhere"])
    assert found == {WORD.upper(): {"assisters.stray"}, ADA: {"assisters.account"}}
    assert backups.kept() == ()


@pytest.mark.promise("4.1")
async def test_a_backup_is_read_without_a_piece_of_it_on_any_disk(house):
    async with transaction() as tx:
        await tx.sql(
            text(f"CREATE TABLE assisters.stray AS SELECT '{WORD}' || n AS word FROM generate_series(1, 90000) n")
        )
    seen = 0
    with backups.for_a_moment() as made:
        for line in backups.as_sql(made.file):
            seen += WORD.encode() in line
            if seen == 1:  # most of it is on its way now
                assert await searching.everywhere([WORD]) == (Trace("database", "assisters.stray"),)
                (program,) = [one for one in psutil.Process().children() if one.name() == "pg_restore"]
                assert program.open_files() == []
    assert seen == 90_000


async def test_whoever_stops_reading_a_backup_leaves_nothing_running(house):
    async with transaction() as tx:
        await tx.sql(text("CREATE TABLE assisters.stray AS SELECT repeat('x', 99) FROM generate_series(1, 90000) n"))
    with backups.for_a_moment() as made:
        lines = backups.as_sql(made.file)
        next(lines)
        lines.close()
        assert [one for one in psutil.Process().children() if one.name() == "pg_restore"] == []


async def test_a_backup_that_was_altered_is_not_taken_for_an_empty_one(house):
    with backups.for_a_moment() as made:
        whole = made.file.read_bytes()
        made.file.write_bytes(whole[:-40] + b"x" * 40)
        with pytest.raises(Refused, match="does not open"):
            searching.in_backup(made.file, [WORD])


async def looked_for(monkeypatch, word):
    """Have a canary looked for who has been erased, with the receipt that she would have."""
    monkeypatch.setattr(canary, "LINGERING", 0.0)
    async with httpx.AsyncClient() as web, transaction() as tx:
        await tx.sql(text("CREATE TABLE IF NOT EXISTS assisters.receipt_of_hers AS SELECT 'rcp_zq' AS handle"))
        bird = Canary(web, word=word, receipt="rcp_zq")
    try:
        return await canary._look_everywhere(bird)
    except canary.Lost as lost:
        return f"Lost: {lost}"


@pytest.mark.promise("4.1", "6.3")
async def test_a_canary_of_whom_a_stray_copy_is_left_is_found_in_the_backup_too(house, monkeypatch):
    assert await looked_for(monkeypatch, WORD) == "was looked for everywhere, and was gone."
    async with transaction() as tx:
        await tx.sql(text(IN_TABLES["text"]))
    assert await looked_for(monkeypatch, WORD) == (
        "Lost: Something of her was found in assisters.stray (backup), assisters.stray (database)."
    )
    async with transaction() as tx:
        await tx.sql(text("DROP TABLE assisters.receipt_of_hers; CREATE TABLE assisters.receipt_of_hers (handle text)"))
    assert (await looked_for(monkeypatch, "zqnowhere")).startswith("Lost: The search of backups is blind")


async def test_where_no_backup_can_be_opened_the_canary_says_that_none_was_searched(house, monkeypatch, tmp_path):
    monkeypatch.setenv("DEV_PG_BIN", str(tmp_path))
    said = "was looked for everywhere, and was gone. Not searched: backups, for PostgreSQL's programs are not there"
    assert (await looked_for(monkeypatch, WORD)).startswith(said)
    (tmp_path / "postgres").touch()  # the server without its companions
    assert (await looked_for(monkeypatch, WORD)).startswith(said)
    (tmp_path / "pg_dump").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "pg_dump").chmod(0o700)
    assert (await looked_for(monkeypatch, WORD)).startswith("Lost: No backup could be made and opened")


async def ran(state, begun_at, *, ended=True, says="She came back."):
    async with transaction() as tx:
        ended_at = begun_at + timedelta(minutes=1) if ended else None
        tx.add(CanaryRun(state=state, says=says, begun_at=begun_at, ended_at=ended_at))


async def said(at):
    with frozen(at):
        async with transaction() as tx:
            try:
                return await canary.the_canary_returned(tx)
            except Broken as broken:
                return f"Broken: {broken}"


@pytest.mark.promise("1.8", "1.10", "6.3")
async def test_what_came_of_the_canary_counts_for_two_days_and_only_when_she_came_back(house, monkeypatch):
    async with transaction() as tx:
        await tx.sql(text("UPDATE assurance SET created_at = :at"), {"at": NOW})
    assert await said(NOW) == "The first one is sent tonight."
    assert await said(NOW + timedelta(days=3)) == "Broken: Nobody has been sent to look."
    await ran("returned", NOW)
    assert await said(NOW + timedelta(days=1)) == "She came back."
    assert await said(NOW + timedelta(days=3)) == "Broken: Nobody has been sent since 24 November 2026."
    await ran("under way", NOW + timedelta(days=1), ended=False)
    assert await said(NOW + timedelta(days=1, minutes=5)) == "One is on her way."
    assert await said(NOW + timedelta(days=2)) == "Broken: The one of 25 November 2026 never came back."
    await ran("lost", NOW + timedelta(days=2), says="Something of her was found in a hat.")
    assert await said(NOW + timedelta(days=2, hours=1)) == "Broken: Something of her was found in a hat."


async def test_without_a_mailbox_of_ours_nobody_is_sent_and_the_sentence_says_so(house, monkeypatch):
    monkeypatch.setenv("ASSISTERS_ENV", "production")
    monkeypatch.setenv("PUBLIC_URL", "https://assisters.example")
    settings.settings.cache_clear()
    assert await said(NOW) == "Broken: Nobody can be sent to look: CANARY_EMAIL is not set."
    with pytest.raises(Refused, match="CANARY_EMAIL"):
        await canary.fly()


async def test_when_nothing_answers_the_canary_is_lost_and_that_is_written_down(house, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:9")
    settings.settings.cache_clear()
    monkeypatch.setattr(canary, "PATIENCE", 0.0)
    flight = await canary.fly()
    assert (flight.state, flight.says) == ("lost", "The product does not answer.")
    assert (await said(canary.now())).startswith("Broken: The product does not answer.")
