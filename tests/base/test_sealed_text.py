"""Addresses are found, compared and kept unique without the database, or a file of it, ever showing one."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from cast import BOB
from product import until
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import col, select

from assisters_app.accounts import signing_up
from assisters_app.accounts.tables import Account
from assisters_app.base import crypto, mail, sealed_text
from assisters_app.base.db import transaction
from assisters_app.base.marks import EMAIL
from assisters_app.privacy import inventory

MARKER = "zqmarker.ada@example.com"
SHOWN = "zqshown name of nobody"  # a name is not sealed: that it is found shows that the search finds things


async def raw(tx, question):
    return (await tx.sql(text(question))).scalars().all()


async def test_an_address_is_found_in_any_case(house):
    async with transaction() as tx:
        opened = await signing_up.open_account(tx, MARKER)
    async with transaction() as tx:
        for condition in (Account.email == MARKER.upper(), col(Account.email).in_([BOB, MARKER])):
            assert (await tx.exec(select(Account.id).where(condition))).all() == [opened.id]
        assert (await tx.exec(select(Account.email))).all() == [MARKER]
        [stored] = await raw(tx, "SELECT email FROM account")
    assert stored.startswith(sealed_text.MARK)
    assert stored == stored.lower()
    assert "zqmarker" not in stored


async def test_nobody_has_the_address_of_somebody_else(house):
    async with transaction() as tx:
        tx.add(Account(email=BOB))
    with pytest.raises(IntegrityError):
        async with transaction() as tx:
            tx.add(Account(email=BOB.upper()))


async def test_an_altered_address_does_not_open(house):
    async with transaction() as tx:
        tx.add(Account(email=BOB))
    async with transaction() as tx:
        await tx.sql(text("UPDATE account SET email = overlay(email PLACING 'aaaa' FROM 20)"))
    with pytest.raises((ValueError, StatementError), match="does not open"):
        async with transaction() as tx:
            await tx.exec(select(Account.email))


def test_what_is_no_address_keeps_its_capitals(house):
    assert sealed_text.unseal(sealed_text.seal_as_it_is("Ada Lovelace")) == "Ada Lovelace"


def test_the_longest_address_and_other_scripts_are_sealed_and_opened(house):
    for address in ("a" * 64 + "@" + "b" * 185 + ".com", "ünï@exämple.com"):
        assert sealed_text.unseal(sealed_text.seal(address)) == address


@pytest.mark.promise("5.2")
def test_every_column_of_addresses_is_sealed():
    columns = [column for column, mark in inventory.marked_columns() if mark.category == EMAIL]
    assert len(columns) >= 4
    assert [str(column) for column in columns if not isinstance(column.type, sealed_text.Sealed)] == []


@pytest.mark.promise("5.2")
async def test_no_file_of_the_database_shows_an_address_or_what_a_mail_says(house):
    async with transaction() as tx:
        account = await signing_up.open_account(tx, MARKER, name=SHOWN)
        said = mail.Message("For you", ("zqprompt of a mail",))
        await mail.send(tx, MARKER, said, account_id=account.id)
    _until_written(house.files, SHOWN)
    assert not _written(house.files, "zqmarker")
    assert not _written(house.files, "zqprompt")
    assert _written(house.files, sealed_text.seal(MARKER))


def _until_written(files, text_):
    until(lambda: _written(files, text_), f"the writing of {text_}")


def _written(files, text_):
    """Return whether any file below shows `text_`: tables, indexes and the write-ahead log."""
    for folder, _, names in os.walk(Path(files).resolve()):
        for name in names:
            with suppress(FileNotFoundError):  # PostgreSQL takes files away meanwhile
                if text_.encode() in Path(folder, name).read_bytes():
                    return True
    return False


def test_the_seal_takes_the_pepper(house, monkeypatch):
    stored = sealed_text.seal(BOB)
    monkeypatch.setattr(crypto, "derived_key", lambda purpose: purpose.encode().ljust(32, b"\0"))
    with pytest.raises(ValueError, match="ASSISTERS_PEPPER"):
        sealed_text.unseal(stored)
