"""What Ada took away from one house comes to the same in another."""

import io
import json
import zipfile
from datetime import timedelta

import databases
import pytest
from cast import ADA, GRACE, MALLORY
from customers import customer, key_of
from lives import busy_month
from markers import fill
from sqlalchemy import text
from sqlmodel import select

from assisters_app.accounts import recovering
from assisters_app.accounts.tables import Account, MailboxRecovery
from assisters_app.base import clock, db, jobs, settings
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.marks import SHORT_LIVED
from assisters_app.billing import months, proofs, rating, receipts
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy import inventory
from assisters_app.privacy.erasing import erasure
from assisters_app.privacy.rights import export, forms, importing, totals
from assisters_app.usage import events, periods, reports
from assisters_app.usage.tables import ReceiptKey, UsageReceipt


async def exported(person, path):
    async with transaction() as tx:
        asked = await export.begin(tx, person)
    path.write_bytes(b"".join([part async for part in export.stream(asked)]))
    return path


@pytest.fixture
async def elsewhere(house, servers, monkeypatch):
    """Move to another installation: a fresh database, and a pepper of its own when one is named."""
    address = databases.create(servers.postgres, "elsewhere", databases.TEMPLATE)

    async def move(pepper=None):
        await db.dispose()
        monkeypatch.setenv("DATABASE_URL", address)
        if pepper:
            monkeypatch.setenv("ASSISTERS_PEPPER", pepper)
        settings.settings.cache_clear()
        if pepper:  # a house that never had ours: the template was opened with it
            async with transaction() as tx:
                await tx.sql(text("DELETE FROM signing_key"))
                await tx.sql(text("DELETE FROM receipt_key"))

    yield move
    await db.dispose()
    databases.drop(servers.postgres, "elsewhere")


async def read_in(path, *keys):
    async with transaction() as tx:
        return await importing.read_in(tx, path, keys)


async def sums(person):
    async with transaction() as tx:
        month = periods.days(periods.zone_named("UTC"), 40)
        return await totals.of(tx, [person.organization_id]), await reports.series(tx, reports.own(person), month)


@pytest.mark.promise("6.4", "11.2")
async def test_what_ada_exported_is_read_into_a_fresh_house_and_comes_to_the_same(ada, bob, tmp_path, elsewhere):
    await busy_month(ada, await key_of(ada))
    async with transaction() as tx:
        await fill(tx, ada, other=bob.account_id)
    before = await sums(ada)
    path = await exported(ada, tmp_path / "ada.zip")
    await elsewhere()
    done = await read_in(path)
    assert await sums(ada) == before
    assert done.totals == before[0]
    assert done.totals["requests"] > 0
    assert done.totals["wallet_nano"] != 0
    again = zipfile.ZipFile(await exported(ada, tmp_path / "again.zip"))
    first = zipfile.ZipFile(path)
    for table, rows in inventory.personal_tables():
        if rows.export and rows.retention is not SHORT_LIVED:
            theirs, ours = (lines(archive, table) for archive in (first, again))
            assert [row for row in theirs if row not in ours] == [], table.name


def lines(archive, table):
    """Return a table's rows, without what an import sets: who came as staff, and which keys still open something."""
    told = [json.loads(line) for line in archive.read(f"data/{table.name}.jsonl").splitlines()]
    return [{name: row[name] for name in row if name not in ("revoked_at", "withdrawn_at", "role")} for row in told]


async def test_a_key_that_was_read_in_opens_nothing(ada, tmp_path, elsewhere):
    await key_of(ada)
    async with transaction() as tx:
        (digest,) = await tx.exec(select(ApiKey.digest))
    path = await exported(ada, tmp_path / "ada.zip")
    await elsewhere()
    await read_in(path)
    async with transaction() as tx:
        (key,) = await tx.exec(select(ApiKey))
        assert key.revoked_at is not None
        assert key.digest != digest


async def test_nobody_comes_in_as_staff_by_a_file(house, tmp_path, elsewhere):
    grace = await customer(GRACE)
    path = await exported(grace, tmp_path / "grace.zip")
    await elsewhere()
    await read_in(path)
    async with transaction() as tx:
        assert (await tx.get(Account, grace.account_id)).role == "member"


async def test_a_replacement_of_her_mailbox_that_was_under_way_elsewhere_goes_no_further_here(ada, tmp_path, elsewhere):
    asked = clock.now()
    async with transaction() as tx:
        times = {"created_at": asked, "confirmed_at": asked, "approved_at": asked, "due_at": asked + recovering.WAIT}
        open_one = MailboxRecovery(
            handle="rec_1", account_id=ada.account_id, new_email=MALLORY, proofs="key invoice", **times
        )
        tx.add(open_one)
    path = await exported(ada, tmp_path / "ada.zip")
    await elsewhere()
    await read_in(path)
    with clock.frozen(asked + recovering.WAIT + timedelta(minutes=1)):
        async with transaction() as tx:
            assert await recovering.due(tx) is None
    async with transaction() as tx:
        assert (await tx.get_one(Account, ada.account_id)).email == ADA
        (left,) = await tx.exec(select(MailboxRecovery))
        assert left.outcome == "lapsed"
        assert left.ended_at >= asked


async def test_an_account_that_is_here_already_is_not_read_in_over_it(ada, tmp_path):
    path = await exported(ada, tmp_path / "ada.zip")
    with pytest.raises(Refused, match="is here already"):
        await read_in(path)


async def test_who_was_erased_here_is_not_brought_back_by_a_file(ada, tmp_path):
    path = await exported(ada, tmp_path / "ada.zip")
    async with transaction() as tx:
        await erasure.erase_now(tx, ada)
    await jobs.run_waiting()
    with pytest.raises(Refused, match="erased here, for good"):
        await read_in(path)


OTHER_PEPPER = "YW5vdGhlciBob3VzZSdzIHBlcHBlciwgMzIgYnl0ZXM="


async def test_another_houses_export_is_read_in_only_when_its_key_is_named(ada, tmp_path, elsewhere):
    path = await exported(ada, tmp_path / "ada.zip")
    key = export.public_key()
    await elsewhere(OTHER_PEPPER)
    with pytest.raises(Refused, match=r"which is not ours.*--public-key"):
        await read_in(path)
    assert (await read_in(path, key)).email == ADA


async def test_what_another_house_signed_is_verified_here_with_the_key_that_came_with_it(ada, tmp_path, elsewhere):
    await busy_month(ada, await key_of(ada))
    async with transaction() as tx:
        [theirs] = await receipts.keys(tx)
        tx.add(ReceiptKey(id="another", public_key=export.public_key()))  # signed nothing of Ada's
        request_id, begins = (await tx.exec(select(UsageReceipt.request_id, UsageReceipt.begins).limit(1))).one()
    path = await exported(ada, tmp_path / "ada.zip")
    key = export.public_key()
    await elsewhere(OTHER_PEPPER)
    await read_in(path, key)
    async with transaction() as tx:
        await receipts.ensure_key(tx)
        await rating.ensure_first_prices(tx)
        ours, brought = sorted(await receipts.keys(tx), key=lambda one: one.imported)
        one = await receipts.of(tx, ada.organization_id, request_id)
    assert (brought.public_key, brought.since, brought.imported) == (theirs.public_key, theirs.since, True)
    assert ours.public_key != theirs.public_key
    assert proofs.check_one(json.loads(one.file()), [theirs.public_key])["request"] == events.handle(request_id)
    month = b"".join([part async for part in receipts.month(ada.organization_id, months.of(begins))])
    assert proofs.check_month(month, [ours.public_key, theirs.public_key]).receipts > 0


def rewritten(path, change):
    """Write the ZIP anew, each file as `change(name, content)` returns it."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)))
    path.write_bytes(made.getvalue())


def richer(name, content):
    return content.replace(b'"amount_nano":', b'"amount_nano":9') if name == "data/ledger_entry.jsonl" else content


def richer_manifest(name, content):
    if name != "manifest.json":
        return content
    told = json.loads(content)
    told["totals"]["wallet_nano"] += 10**12
    return forms.as_json(told)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (richer, "not the file that was exported"),
        (richer_manifest, "changed after it was signed"),
        (lambda name, content: b"{}" if name == "signature.json" else content, "changed after it was signed"),
        (lambda name, content: content[:-3] if name == "data/account.jsonl" else content, "not the file"),
    ],
)
async def test_mallory_cannot_make_herself_rich_by_changing_her_export(ada, tmp_path, elsewhere, change, complaint):
    await busy_month(ada, await key_of(ada))
    path = await exported(ada, tmp_path / "ada.zip")
    rewritten(path, change)
    await elsewhere()
    with pytest.raises(Refused, match=complaint):
        await read_in(path)
    async with transaction() as tx:
        assert (await tx.exec(select(Account))).all() == []


async def test_what_does_not_come_to_the_same_is_not_kept(ada, tmp_path, elsewhere, monkeypatch):
    await busy_month(ada, await key_of(ada))
    path = await exported(ada, tmp_path / "ada.zip")
    await elsewhere()
    told = totals.of

    async def less(tx, organizations):
        return {**await told(tx, organizations), "cost_nano": 1}

    monkeypatch.setattr(totals, "of", less)
    with pytest.raises(Refused, match="cost_nano 1 instead of"):
        await read_in(path)


async def test_what_is_no_export_is_refused_in_one_sentence(house, tmp_path):
    path = tmp_path / "no.zip"
    path.write_bytes(b"not a ZIP at all")
    with pytest.raises(Refused, match=r"no\.zip is not an export that can be read"):
        await read_in(path)


async def test_the_manifest_and_its_signature_open_with_the_published_key_alone(ada, tmp_path):
    with zipfile.ZipFile(await exported(ada, tmp_path / "ada.zip")) as archive:
        manifest, signature = archive.read("manifest.json"), archive.read("signature.json")
    export.check_signature(manifest, signature, [export.public_key()])
    with pytest.raises(Refused, match="changed"):
        export.check_signature(manifest + b" ", signature)
