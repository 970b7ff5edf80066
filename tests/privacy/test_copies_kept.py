"""The checks of what we collect of an account and of copies: each holds, and each can fail."""

import pytest
from cast import ADA, PASSWORD
from pydantic_core import PydanticUndefined
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import passwords, signing_up
from assisters_app.accounts.client import Client
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base.db import transaction
from assisters_app.base.marks import Mark, Purpose
from assisters_app.privacy import inventory
from assisters_app.privacy.policies import policy
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.rights import access, export, proofs

SET = text("UPDATE account SET password_hash = :hash")


@pytest.mark.promise("1.1")
async def test_the_columns_about_people_are_those_of_section_1_and_the_database_has_no_other(tx):
    assert "each under a line of section 1" in await proofs.nothing_else_is_collected(tx)
    assert set(inventory.collected()) == policy.COLLECTED_LINES - policy.NOT_IN_TABLES
    await tx.sql(text("ALTER TABLE account ADD COLUMN shoe_size integer"))
    with pytest.raises(Broken, match=r"account\.shoe_size, which nothing describes"):
        await proofs.nothing_else_is_collected(tx)
    await tx.rollback()


@pytest.mark.promise("1.1")
async def test_an_address_collected_under_another_line_shows(tx, monkeypatch):
    marked = [*inventory.marked_columns()]
    email = inventory.tables.metadata.tables["account"].c.email
    other = Mark("user.contact.email", (Purpose.SERVICE,), collected_as="1.5")
    monkeypatch.setattr(inventory, "marked_columns", lambda: [(c, other if c is email else mark) for c, mark in marked])
    with pytest.raises(Broken, match=r"under another line: account\.email"):
        await proofs.nothing_else_is_collected(tx)


@pytest.mark.promise("1.2")
async def test_adas_password_is_an_argon2id_hash_of_the_stated_cost(house):
    async with transaction() as tx:
        await signing_up.sign_up(tx, ADA, PASSWORD, Client())
    async with transaction() as tx:
        (account,) = await tx.exec(select(Account))
        least = passwords.hasher
        cost = f"$argon2id$v=19$m={least.memory_cost},t={least.time_cost},p={least.parallelism}$"
        assert account.password_hash.startswith(cost)
        assert PASSWORD not in account.password_hash
        assert "1 passwords are kept" in await proofs.passwords_are_hashed(tx)


@pytest.mark.promise("1.2")
@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        ("$argon2id$v=19$m=8192,t=1,p=1$c2FsdA$aGFzaA", "at a lower cost than 64 MiB, 3 passes"),
        ("$argon2i$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "not kept as Argon2id"),
        (PASSWORD, "not kept as Argon2id"),
    ],
)
async def test_a_password_kept_in_another_way_shows(ada, stored, complaint):
    async with transaction() as tx:
        await tx.sql(SET, {"hash": stored})
        with pytest.raises(Broken, match=complaint) as told:
            await proofs.passwords_are_hashed(tx)
        assert stored not in str(told.value)


@pytest.mark.promise("1.4")
async def test_ada_signs_up_without_an_organization_and_her_copy_names_none(ada):
    async with transaction() as tx:
        (organization,) = await tx.exec(select(Organization))
        assert organization.name == signing_up.OWN
        assert "1 of 1 accounts" in await proofs.organization_details_are_optional(tx)
        (account,) = await tx.exec(select(Account))
        assert account.name == ""


@pytest.mark.promise("1.4")
async def test_a_name_that_everyone_had_to_give_would_show(tx, monkeypatch):
    monkeypatch.setattr(Account.model_fields["name"], "default", PydanticUndefined)
    with pytest.raises(Broken, match=r"cannot be opened without account\.name"):
        await proofs.organization_details_are_optional(tx)


@pytest.mark.promise("6.1", "11.1")
async def test_a_copy_that_the_database_cannot_give_shows(tx):
    assert "says all that GDPR Art. 15 lists" in await proofs.copies_can_be_read(tx)
    await tx.sql(text("ALTER TABLE consent DROP COLUMN source"))
    with pytest.raises(Exception, match="source"):
        await proofs.copies_can_be_read(tx)
    await tx.rollback()


@pytest.mark.promise("6.1")
async def test_a_copy_without_what_article_15_wants_said_shows(tx, monkeypatch):
    monkeypatch.setattr(access, "RIGHTS", ())
    with pytest.raises(Broken, match="would not say its rights"):
        await proofs.copies_can_be_read(tx)


@pytest.mark.promise("6.4", "11.2")
async def test_an_export_whose_signature_does_not_verify_shows(tx, monkeypatch):
    assert "its signature verifies" in await proofs.exports_can_be_made(tx)
    monkeypatch.setattr(export, "signed", lambda _: {"public_key": export.public_key(), "signature": "AAAA"})
    with pytest.raises(Exception, match="changed after it was signed"):
        await proofs.exports_can_be_made(tx)
