"""The commands, as people type them: in a process of their own, judged by what they print and return."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cast import ADA, BOB, GRACE
from customers import customer, key_of
from sqlalchemy import text
from sqlmodel import select

from assisters_app import cli
from assisters_app.accounts.tables import Account
from assisters_app.base import db
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.billing import ledger, months, rating
from assisters_app.billing import receipts as request_receipts
from assisters_app.gateway.content import buckets, contents
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import erasure, purge, receipts
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.rights import export
from assisters_app.usage import events
from assisters_app.usage.events import Event

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "run",
    "worker",
    "migrate",
    "build",
    "seed",
    "create-account",
    "issue-key",
    "verify-receipt",
    "import-export",
    "doctor",
    "promises",
    "training-export",
    "hand-over",
    "backup",
    "restore",
    "begin-ledger",
)
PRODUCT = ("ASSISTERS_", "DATABASE_", "MAIL", "PORT", "PUBLIC_", "REDIS_", "SENTRY_", "SMTP_", "STRIPE_", "SUPABASE_")


def command(*arguments, **settings):
    """Run a command with nothing set but what is named here, and return what it did."""
    env = {name: value for name, value in os.environ.items() if not name.startswith((*PRODUCT, "UPSTREAM_"))}
    return subprocess.run(
        [sys.executable, "-m", "assisters_app", *arguments],
        cwd=ROOT,
        env={**env, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def typed(house):
    """Type commands at a terminal where the test's own database is set."""
    settings = {
        name: os.environ[name]
        for name in ("DATABASE_URL", "REDIS_URL", "SMTP_URL", "ASSISTERS_PEPPER", "ASSISTERS_ENV")
    }
    data = os.environ["ASSISTERS_DATA_DIR"]
    return lambda *arguments, **more: command(*arguments, **{**settings, "ASSISTERS_DATA_DIR": data, **more})


def said_in_one_sentence(done):
    assert done.returncode == 1
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    return sentence


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([name, "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m assisters_app {name}")


def test_a_setting_that_is_set_but_empty_stops_the_start_with_a_sentence():
    assert said_in_one_sentence(command("run", DATABASE_URL="")) == (
        "DATABASE_URL is set but empty. Give it a value or unset it."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("REDIS_URL", "http://example.com"), ("PORT", "many"), ("WEB_WORKERS", "0"), ("ASSISTERS_PEPPER", "short")],
)
def test_a_malformed_setting_stops_the_start_with_a_sentence(name, value):
    assert name in said_in_one_sentence(command("run", **{name: value}))


def test_in_production_nothing_is_started_in_place_of_what_is_missing():
    production = {"ASSISTERS_ENV": "production", "PUBLIC_URL": "https://assisters.example"}
    assert "DATABASE_URL is missing" in said_in_one_sentence(command("run", **production))
    given = {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1"}
    assert "ASSISTERS_PEPPER is missing" in said_in_one_sentence(command("run", **production, **given))


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        production = {"ASSISTERS_ENV": "production", "PUBLIC_URL": "https://assisters.example", "PORT": port}
        given = {
            "DATABASE_URL": "postgresql://127.0.0.1:1/x",
            "REDIS_URL": "redis://127.0.0.1:1",
            "SMTP_URL": "smtp://127.0.0.1:1",
            "ASSISTERS_PEPPER": "A" * 44,
        }
        assert f"Port {port} cannot be used" in said_in_one_sentence(command("run", **production, **given))


@pytest.mark.parametrize("arguments", [("migrate",), ("create-account", ADA)])
def test_a_database_that_does_not_answer_is_named_in_a_sentence(typed, arguments):
    said = said_in_one_sentence(typed(*arguments, DATABASE_URL="postgresql://ada:hunter2@127.0.0.1:1/x"))
    assert said.startswith("The database does not answer: ")
    assert "hunter2" not in said


async def test_grace_is_made_staff_and_ada_stays_a_member(typed):
    grace, ada = typed("create-account", GRACE, "--staff"), typed("create-account", ADA.upper())
    assert grace.returncode == ada.returncode == 0, grace.stderr + ada.stderr
    for done in (grace, ada):
        assert done.stdout.splitlines()[-1].startswith("http://localhost:3000/reset?token=")
    async with transaction() as tx:
        people = (await tx.exec(select(Account.email, Account.role))).all()
    assert sorted(people) == [(ADA, "member"), (GRACE, "admin")]


async def test_adas_key_is_printed_once_and_nothing_else(typed):
    assert typed("create-account", ADA).returncode == 0
    issued = typed("issue-key", ADA, "--name", "laptop")
    assert issued.returncode == 0, issued.stderr
    (secret,) = issued.stdout.splitlines()
    assert secret.startswith("ask_")
    async with transaction() as tx:
        key = (await tx.exec(select(ApiKey))).one()
    assert (key.name, key.mode) == ("laptop", "live")
    assert secret.startswith(key.prefix)


def test_a_key_for_somebody_unknown_is_refused_with_a_sentence(typed):
    assert said_in_one_sentence(typed("issue-key", BOB)) == "That account does not exist."


def test_migrating_a_database_that_is_up_to_date_changes_nothing(typed):
    assert typed("migrate").stdout == "The database is up to date.\n"


def test_the_doctor_names_what_is_ill_and_what_is_well(typed):
    examined = typed("doctor")
    found = {line[4:15].strip(): line[:3].strip() for line in examined.stdout.splitlines()}
    assert found["Mail"] == "ILL"  # nothing listens where this test's mail would go
    assert {found[name] for name in ("Marks", "Database", "Migrations", "Valkey", "Disk", "Books")} == {"ok"}
    assert examined.returncode == 1


def test_the_doctor_sees_a_database_that_is_not_migrated(typed, servers):
    examined = typed("doctor", DATABASE_URL=servers.postgres)
    assert "ILL Migrations" in examined.stdout
    assert examined.returncode == 1
    assert "Traceback" not in examined.stdout + examined.stderr


def test_the_doctor_shows_no_password(typed):
    examined = typed("doctor", REDIS_URL="redis://:hunter2secret@127.0.0.1:1/0")
    assert "ILL Valkey" in examined.stdout
    assert "hunter2secret" not in examined.stdout + examined.stderr


async def test_a_stranger_checks_a_receipt_with_nothing_set_and_sees_when_it_was_altered(house, tmp_path):
    async with transaction() as tx:
        issued = await receipts.issue(tx, "rcp_TEST", {"deleted": 7})
        body, signature, key = issued.body, issued.signature, receipts.public_key()
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps({"body": body, "signature": signature, "public_key": key}))
    genuine = command("verify-receipt", str(file))
    assert genuine.returncode == 0, genuine.stderr
    assert '"deleted": 7' in genuine.stdout
    file.write_text(json.dumps({"body": body.replace("7", "8", 1), "signature": signature, "public_key": key}))
    assert "was altered" in said_in_one_sentence(command("verify-receipt", str(file)))
    file.write_text("[]")
    assert "not a receipt" in said_in_one_sentence(command("verify-receipt", str(file)))


async def test_a_stranger_checks_a_month_of_receipts_and_is_told_which_line_was_altered(house, tmp_path):
    whose, file = await customer(ADA), tmp_path / "month.jsonl"
    key_id, _, _ = await key_of(whose)
    async with transaction() as tx:
        await rating.ensure_first_prices(tx)
        await request_receipts.ensure_key(tx)
        at, counts = now(), {"input_tokens": 10, "output_tokens": 5, "cost_nano": 10 * 100 + 5 * 400}
        made = [
            Event(new_id(), at, whose.organization_id, key_id, "live", "/v1/chat/completions", "assisters-chat-v1", 200,
                  "completed", price_version=1, **counts)
            for _ in range(2)
        ]  # fmt: skip
        await request_receipts.append(tx, await events.insert(tx, made))
        await ledger.post_usage(tx, made)
        [key] = await request_receipts.keys(tx)
        one = await request_receipts.of(tx, whose.organization_id, made[0].request_id)
    content = b"".join([part async for part in request_receipts.month(whose.organization_id, months.of(at))])
    file.write_bytes(content)
    genuine = command("verify-receipt", str(file), "--public-key", key.public_key)
    assert genuine.returncode == 0, genuine.stderr
    assert genuine.stdout.startswith(f"Genuine: 2 receipts on 1 day of {months.of(at)}, of org_")
    assert "they come to the invoice: $0.000006." in genuine.stdout
    file.write_bytes(content.replace(b'"count":5', b'"count":4', 1))
    altered = said_in_one_sentence(command("verify-receipt", str(file)))
    assert altered == f"Line 3 ({made[0].handle}) was altered: its signature does not fit."
    file.write_bytes(content.replace(b"{", b" {", 1))
    assert "not a receipt that can be read" in said_in_one_sentence(command("verify-receipt", str(file)))
    file.write_bytes(one.file())
    single = command("verify-receipt", str(file))
    assert f'"request": "{made[0].handle}"' in single.stdout
    refused = said_in_one_sentence(command("verify-receipt", str(file), "--public-key", "another"))
    assert "not one that you trust" in refused


async def test_an_export_is_read_in_by_a_command_that_says_what_it_comes_to(typed, tmp_path):
    person = await customer(ADA)
    async with transaction() as tx:
        asked = await export.begin(tx, person)
    path = tmp_path / "ada.zip"
    path.write_bytes(b"".join([part async for part in export.stream(asked)]))
    assert "is here already" in said_in_one_sentence(typed("import-export", str(path)))
    nothing = tmp_path / "none.zip"
    missing = said_in_one_sentence(typed("import-export", str(nothing)))
    assert missing == f"{nothing} cannot be read: No such file or directory."
    async with transaction() as tx:
        for table in ("trail_entry", "membership", "organization", "privacy_request", "account"):
            await tx.sql(text(f"DELETE FROM {table}"))
    done = typed("import-export", str(path))
    assert done.returncode == 0, done.stderr
    assert f"of {ADA} were read in, and the totals are those of the export" in done.stdout
    async with transaction() as tx:
        assert (await tx.get(Account, person.account_id)).email == ADA


def test_a_day_that_is_none_is_told_in_words(capsys):
    with pytest.raises(SystemExit):
        cli.main(["record-audit", "host", "LUKS on both hosts.", "--on", "yesterday"])
    assert "'yesterday' is no day. Write it as 2026-11-24." in capsys.readouterr().err


def test_a_command_without_its_settings_says_which_one_is_missing_and_nothing_else(tmp_path):
    missing = said_in_one_sentence(command("restore", str(tmp_path / "x.backup"), ASSISTERS_ENV="production"))
    assert missing.startswith("PUBLIC_URL must start with https://")


@pytest.mark.promise("1.10")
async def test_training_gets_a_line_for_what_somebody_agreed_to_and_none_for_anybody_else(typed):
    ada, bob = await customer(ADA), await customer(BOB)
    async with transaction() as tx:
        await consents.choose(tx, ada, "training", given=True)
    async with transaction() as tx:
        await buckets.ahead(tx)
        side = contents.Side("text/plain", "hello", 5)
        said = [contents.Said(new_id(), one.organization_id, now(), side, side) for one in (ada, bob)]
        assert await contents.keep(tx, said) == 2
    done = typed("training-export")
    assert (done.returncode, done.stdout) == (0, '{"sent": "hello", "got": "hello"}\n'), done.stderr
    assert done.stderr.startswith("1 samples.")


async def test_a_backup_is_made_and_restored_from_the_command_line_and_ada_stays_erased(typed):
    ada = await customer(ADA)
    made = typed("backup")
    assert made.returncode == 0, made.stderr
    file = made.stdout.partition(":")[0]
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
        (waiting,) = (await tx.exec(select(Erasure.id))).all()
    await purge.carry_out(str(waiting))
    running = typed("restore", file)
    assert (running.returncode, running.stderr) == (1, "The product runs on this database. Stop it first.\n")
    await db.dispose()
    restored = typed("restore", file)
    assert restored.returncode == 0, restored.stderr
    assert "now erased again: 1." in restored.stdout
    async with transaction() as tx:
        assert (await tx.exec(select(Account))).all() == []
    there = typed("begin-ledger")
    assert (there.returncode, "Nothing was done" in there.stderr) == (1, True)
