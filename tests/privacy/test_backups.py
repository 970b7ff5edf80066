"""Backups: sealed, kept for 30 days, restored whole or not at all, and never a way back for whoever was erased."""

import os
from datetime import UTC, datetime, time, timedelta

import psycopg
import pytest
from cast import ADA, BOB
from customers import customer
from databases import let_go
from farewells import erased
from markers import fill
from sqlmodel import select

from assisters_app import doctor
from assisters_app.accounts.tables import Account
from assisters_app.base import sealed, settings
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.privacy.erasing import backups, receipts, reopening, stamp
from assisters_app.privacy.registers import audits

pytestmark = pytest.mark.usefixtures("mail_waits")


async def addresses():
    async with transaction() as tx:
        return sorted(one.email for one in (await tx.exec(select(Account))).all())


async def restored(backup):
    await let_go()
    backups.restore(backup.file)


def sentence(refused):
    return str(refused.value)


@pytest.mark.promise("4.1", "6.3")
async def test_ada_cannot_be_resurrected_from_a_backup_of_the_day_before(ada, bob, payments_on):
    async with transaction() as tx:
        await fill(tx, ada, other=bob.account_id)
    await reopening.reopen()
    yesterday = backups.back_up()
    closing = await erased(ada)
    await customer("carol@example.com")  # what came after the backup is lost with it, as in any restore
    await restored(yesterday)
    assert await addresses() == [ADA, BOB]
    async with transaction() as tx:
        assert not await stamp.is_open(tx)
    done = await reopening.reopen()
    assert done.erased == 1
    assert await addresses() == [BOB]
    async with transaction() as tx:
        assert (await receipts.shown(tx, closing.receipt)).number == 1
        assert await reopening.back(tx) == 0
    await restored(backups.back_up())  # nor from a backup made after it: she is in none any more
    assert await addresses() == [BOB]


async def test_a_backup_says_nothing_to_who_finds_it(ada, bob):
    async with transaction() as tx:
        hers = await fill(tx, ada, other=bob.account_id)
    made = backups.back_up()
    content = made.file.read_bytes()
    assert made.file.stat().st_mode & 0o077 == 0
    assert made.file.parent.stat().st_mode & 0o077 == 0
    for said in (ADA, "account", "PGDMP", str(ada.account_id), *(marker.text for marker in hers.markers)):
        assert said.encode() not in content
    with made.file.open("rb") as source:
        plain = b"".join(sealed.opened(source, "backup"))
    assert plain.startswith(b"PGDMP")


async def test_an_altered_or_shortened_backup_or_another_peppers_is_refused_before_anything_is_touched(
    ada, monkeypatch
):
    made = backups.back_up()
    whole = made.file.read_bytes()
    await let_go()
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:-40] + b"x" * 40, whole + b"x", whole[:300], b""):
        made.file.write_bytes(content)
        with pytest.raises(Refused, match=r"does not open|not a backup"):
            backups.restore(made.file)
    made.file.write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setenv("ASSISTERS_PEPPER", "YW5vdGhlciBwZXBwZXIgZm9yIHRlc3RzLCAzMiBieXRlcyBs")
        settings.settings.cache_clear()
        with pytest.raises(Refused, match="another ASSISTERS_PEPPER"):
            backups.restore(made.file)
    settings.settings.cache_clear()
    assert await addresses() == [ADA]


def test_pieces_of_a_sealed_file_cannot_be_left_out_or_change_places(house, tmp_path, monkeypatch):
    monkeypatch.setattr(sealed, "PIECE", 16)
    file = tmp_path / "file"
    with file.open("wb") as target:
        sealed.seal([b"a" * 20, b"", b"b" * 28], target, "test", {})
    head, _, body = file.read_bytes().partition(b"}\n")
    parts = [body[start : start + 32] for start in range(0, len(body), 32)]
    assert read(file, head, parts) == b"a" * 20 + b"b" * 28
    for altered in (parts[:2], parts[1:], [parts[1], parts[0], parts[2]], [], [*parts, parts[2]]):
        with pytest.raises(sealed.SealBroken):
            read(file, head, altered)
    with pytest.raises(sealed.SealBroken):
        read(file, head.replace(b"assisters-sealed/1", b"assisters-sealed/2"), parts)
    with pytest.raises(sealed.SealBroken):
        read(file, head, parts, purpose="another")


def read(file, head, parts, purpose="test"):
    file.write_bytes(head + b"}\n" + b"".join(parts))
    with file.open("rb") as source:
        return b"".join(sealed.opened(source, purpose))


async def test_a_restore_that_fails_leaves_the_present_as_it_was(ada, monkeypatch):
    made = backups.back_up()
    await customer(BOB)
    await let_go()
    real, opened = backups._plain, iter([True])

    def spoiled(file):
        if next(opened, False):
            yield from real(file)
            return
        yield from [part[: len(part) // 2] for part in real(file)]

    monkeypatch.setattr(backups, "_plain", spoiled)
    with pytest.raises(Refused, match="pg_restore failed"):
        backups.restore(made.file)
    assert await addresses() == [ADA, BOB]
    async with transaction() as tx:
        assert await stamp.is_open(tx)


async def test_a_restore_that_was_killed_is_begun_again_without_losing_the_present(ada, monkeypatch):
    made = backups.back_up()
    await let_go()
    with psycopg.connect(settings.settings().database_url, autocommit=True) as connection:
        backups._put_aside(connection)
    monkeypatch.setattr(backups, "_load", fails)
    with pytest.raises(ConnectionError):
        backups.restore(made.file)
    assert await addresses() == [ADA]


def fails(_file):
    raise ConnectionError("It was killed.")


async def test_nobody_restores_under_a_running_product(ada):
    made = backups.back_up()
    async with transaction() as tx:
        await tx.exec(select(Account))
        with pytest.raises(Refused, match="Stop it first"):
            backups.restore(made.file)


async def test_a_backup_is_destroyed_after_30_days_and_not_restored_later(ada):
    made = backups.back_up()
    with frozen(now()) as move:
        move(made.made_at + timedelta(days=29, hours=23))
        os.utime(made.file, (0, 0))  # what the file system says of its age does not count
        assert backups.sweep() == 0
        move(made.made_at + timedelta(days=30, hours=3))
        with pytest.raises(Refused, match="older than 30 days"):
            backups.restore(made.file)
        assert backups.sweep() == 1
        assert backups.kept() == ()


async def test_the_doctor_says_how_old_the_newest_backup_is_and_misses_a_night_where_a_timer_should_run(
    house, monkeypatch
):
    async with transaction() as tx:
        opened = await audits.opened_on(tx)
    began = datetime.combine(opened, time(3, 41), UTC)
    monkeypatch.setenv("PUBLIC_URL", "https://assisters.example")
    with frozen(began) as move:
        assert await doctor._backups() == "none yet"
        for environment in ("production", "development"):  # in development nobody makes any by night
            monkeypatch.setenv("ASSISTERS_ENV", environment)
            settings.settings.cache_clear()
            move(began + timedelta(days=2))
            assert (await examined()).startswith("ILL There is no backup" if environment == "production" else "none")
        backups.back_up()
        move(began + timedelta(days=3, hours=12))
        backups.back_up()
        move(began + timedelta(days=4, hours=12))
        assert await examined() == "the newest of 2 is 24 h old"
        move(began + timedelta(days=5, hours=12))
        assert await examined() == "the newest of 2 is 48 h old"
        monkeypatch.setenv("ASSISTERS_ENV", "production")
        settings.settings.cache_clear()
        assert await examined() == "ILL The newest is 48 h old. A timer should make one each night."


async def examined():
    try:
        return await doctor._backups()
    except doctor.IllError as ill:
        return f"ILL {ill}"


async def test_a_dump_that_fails_leaves_no_half_of_itself(house, monkeypatch):
    await let_go()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/nowhere")
    settings.settings.cache_clear()
    with pytest.raises(Refused, match="pg_dump failed") as refused:
        backups.back_up()
    assert "nothing" not in sentence(refused)
    assert list(backups._directory().iterdir()) == []


async def test_a_file_that_is_no_backup_does_not_keep_the_others_from_being_destroyed(ada):
    made = backups.back_up()
    (made.file.parent / "stray.backup").write_text("I am something else.")
    with frozen(made.made_at + timedelta(days=31)):
        assert backups.sweep() == 2
