"""A new pepper: what was sealed is sealed anew, what cannot be still opens, and nothing is lost on the way."""

import base64
import json

import pytest
from cast import ADA, BOB
from customers import customer, key_of
from databases import let_go
from sqlalchemy import text
from sqlmodel import select

from assisters_app import resealing, tables
from assisters_app.accounts.tables import Account
from assisters_app.base import clock, crypto, db, mail, sealed_text, settings
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.mail import Message
from assisters_app.base.tables import OutgoingMail
from assisters_app.gateway.content import buckets
from assisters_app.keys import secret as secrets
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy.choices import opting_out, suppressions
from assisters_app.privacy.choices.tables import Suppression
from assisters_app.privacy.erasing import backups, errands, reopening
from assisters_app.privacy.erasing.tables import ErasureErrand

pytestmark = pytest.mark.usefixtures("mail_waits")

OLD = base64.b64encode(b"a pepper for tests, 32 bytes long").decode()
NEW = base64.b64encode(b"another pepper for tests, 32 bytes").decode()
NEVER = base64.b64encode(b"what was never a pepper, 32 bytes").decode()


def use(monkeypatch, pepper, *before):
    monkeypatch.setenv("ASSISTERS_PEPPER", pepper)
    monkeypatch.setenv("ASSISTERS_PEPPER_BEFORE", ",".join(before)) if before else monkeypatch.delenv(
        "ASSISTERS_PEPPER_BEFORE", raising=False
    )
    settings.settings.cache_clear()


async def found(email):
    async with transaction() as tx:
        return (await tx.exec(select(Account.id).where(Account.email == email))).first() is not None


async def off_the_list(*emails):
    async with transaction() as tx:
        return set(emails) - await suppressions.among(tx, emails)


async def filled():
    """Return Ada's key, after everything was sealed that can be."""
    ada = await customer(ADA)
    await customer(BOB)
    _, _, key = await key_of(ada)
    async with transaction() as tx:
        await mail.send(tx, ADA, Message("Hello", ("Ada",)), account_id=ada.account_id)
        tx.add(
            ErasureErrand(
                receipt="rcp_ONE",
                processor="stripe",
                sealed=crypto.seal(errands.PURPOSE, json.dumps({"customers": []})),
                due_at=clock.now(),
                promised_for=clock.now(),
            )
        )
        await suppressions.suppress(tx, ADA)
        await suppressions.suppress(tx, "nobody.here@example.com")
        await buckets.ahead(tx)
        await buckets._append(tx, buckets.bucket_of(clock.now()), 0)
    return key


@pytest.mark.promise("5.2", "5.3")
async def test_after_resealing_nothing_in_the_database_opens_with_the_old_pepper_and_ada_is_found(house, monkeypatch):
    key = await filled()
    link = opting_out.unsubscribe_address(BOB).rpartition("/")[2]
    made = backups.back_up()
    use(monkeypatch, NEW, OLD)
    assert not await found(ADA)  # which is why the product is stopped first
    await let_go()
    done = await resealing.reseal()
    assert (done.addresses >= 3, done.letters, done.opted_out, done.keys, done.hashes, done.backups) == (
        True, 2, 1, 1, 2, 1,
    )  # fmt: skip
    assert await found(ADA)
    again = await resealing.reseal()
    assert (again.addresses, again.letters, again.opted_out) == (0, 0, 0)
    # With the old one named, all that cannot be made anew goes on.
    async with transaction() as tx:
        stored = (await tx.exec(select(ApiKey))).one()
        assert secrets.matches(key, stored.digest)
        assert not secrets.matches(key[:-1] + "0", stored.digest)
        await opting_out.opt_out(tx, link)
        buckets.verify((await tx.exec(select(buckets.ContentKeyEnd))).all())
    assert await off_the_list(ADA, BOB, "nobody.here@example.com") == set()
    # Without it, what was sealed opens, and what was hashed is gone.
    use(monkeypatch, NEW)
    assert await found(ADA)
    async with transaction() as tx:
        waiting = (await tx.exec(select(OutgoingMail))).first()
        assert json.loads(crypto.unseal("mail", waiting.sealed))["subject"] == "Hello"
        crypto.unseal(errands.PURPOSE, (await tx.exec(select(ErasureErrand))).one().sealed)
        assert buckets.private_key(buckets.bucket_of(clock.now())) is not None
        assert not secrets.matches(key, stored.digest)
    assert await off_the_list(ADA, BOB, "nobody.here@example.com") == {"nobody.here@example.com"}
    # And the old one alone opens nothing that is there.
    use(monkeypatch, OLD)
    async with transaction() as tx:
        stored = [
            one
            for table in tables.metadata.sorted_tables
            for column in table.c
            if isinstance(column.type, sealed_text.Sealed)
            for (one,) in (await tx.sql(text(f'SELECT "{column.name}" FROM {table.name}'))).all()
        ]
    assert len([one for one in stored if one]) >= 3
    for one in filter(None, stored):
        with pytest.raises(ValueError, match="does not open"):
            sealed_text.unseal(one)
    # A backup of before is restored under the new one, and resealed like the rest.
    use(monkeypatch, NEW, OLD)
    await reopening.reopen()
    await let_go()
    backups.restore(made.file)
    await resealing.reseal()
    await reopening.reopen()
    assert await found(ADA)


async def test_nothing_is_resealed_under_the_running_product_or_without_the_pepper_before(house, monkeypatch):
    await filled()
    await let_go()
    with pytest.raises(Refused, match="ASSISTERS_PEPPER_BEFORE"):
        await resealing.reseal()
    use(monkeypatch, NEW, OLD)
    async with db.engine().connect() as somebody:
        await somebody.execute(text("SELECT 1"))
        with pytest.raises(Refused, match="Stop it first"):
            await resealing.reseal()


async def test_with_the_wrong_pepper_before_a_sentence_says_so_and_nothing_is_lost(house, monkeypatch):
    await filled()
    await let_go()
    use(monkeypatch, NEW, NEVER)
    with pytest.raises(Refused, match="neither ASSISTERS_PEPPER nor in ASSISTERS_PEPPER_BEFORE"):
        await resealing.reseal()
    await let_go()
    use(monkeypatch, NEW, OLD)
    await resealing.reseal()
    use(monkeypatch, NEW)
    assert await found(ADA)


async def test_resealing_that_was_killed_is_finished_by_the_next(house, monkeypatch):
    await filled()
    for number in range(3):
        await customer(f"developer{number}@example.com")
    use(monkeypatch, NEW, OLD)
    monkeypatch.setattr(resealing, "AT_ONCE", 2)
    await let_go()
    real, calls = resealing._write, []

    async def dies(*given):
        calls.append(given)
        if len(calls) > 1:
            raise ConnectionError("It was killed.")
        await real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(resealing, "_write", dies)
        with pytest.raises(ConnectionError):
            await resealing.reseal()
    await let_go()
    await resealing.reseal()
    use(monkeypatch, NEW)
    assert all([await found(email) for email in (ADA, BOB, "developer0@example.com", "developer2@example.com")])


async def test_who_opted_out_before_and_opts_in_after_is_off_the_list(house, monkeypatch):
    await filled()
    use(monkeypatch, NEW, OLD)
    async with transaction() as tx:
        await suppressions.forget(tx, "nobody.here@example.com")
    assert await off_the_list("nobody.here@example.com") == {"nobody.here@example.com"}
    async with transaction() as tx:
        assert len((await tx.exec(select(Suppression))).all()) == 1
