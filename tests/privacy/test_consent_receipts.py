"""Receipts of consents have the structure of ISO/IEC TS 27560, say what was said, and are for nobody else."""

import base64
import json
from datetime import timedelta

import pytest
from sqlmodel import select

from assisters_app import cli
from assisters_app.base import clock, settings
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound
from assisters_app.privacy.choices import consent_receipts, consents
from assisters_app.privacy.choices.tables import Consent
from assisters_app.privacy.policies import policy
from assisters_app.privacy.registers import signing
from assisters_app.privacy.registers.signing import NotSigned
from assisters_app.privacy.rights import export

# The fields that 27560 makes mandatory, by the part of the record that they stand in (6.3.2 to 6.3.7 and 6.4).
RECEIPT = {"schema_version", "receipt_id"}
HEADER = {"schema_version", "record_id", "pii_principal_id"}
PROCESSING = {"privacy_notice", "language", "purposes"}
PURPOSE = {
    "purpose",
    "pii_information",
    "pii_controllers",
    "storage_locations",
    "retention_period",
    "jurisdiction",
    "recipient_third_parties",
    "withdrawal_method",
}
PARTY = {"party_id", "party_name", "party_address", "party_contact", "party_type"}
EVENT = {"event_time", "validity_duration", "entity_id", "event_type", "event_state"}


async def choose(person, purpose, *, given):
    async with transaction() as tx:
        await consents.choose(tx, person, purpose, given=given)


async def receipts(person):
    async with transaction() as tx:
        return await consent_receipts.receipts(tx, person)


async def test_every_receipt_has_what_the_specification_wants_in_it(ada):
    for purpose in ("marketing", "training"):
        await choose(ada, purpose, given=True)
    await choose(ada, "training", given=False)
    async with transaction() as tx:
        await consents.heed_signal(tx, ada)
    receipt = await receipts(ada)
    assert receipt.keys() >= RECEIPT
    assert len(receipt["consent_records"]) == 4
    for record in receipt["consent_records"]:
        assert record.keys() >= HEADER
        assert record["pii_processing"].keys() >= PROCESSING
        parties = {party["party_id"]: party for party in record["party_identification"]}
        assert all(party.keys() >= PARTY and all(party.values()) for party in parties.values())
        for purpose in record["pii_processing"]["purposes"]:
            assert purpose.keys() >= PURPOSE
            assert all(data["pii_type"].startswith("user") for data in purpose["pii_information"])
            assert {*purpose["pii_controllers"], *purpose["recipient_third_parties"]} == parties.keys()
        assert all(event.keys() == EVENT for event in record["event"])


async def test_a_receipt_tells_what_ada_read_and_what_became_of_it(ada):
    start = clock.now()
    with clock.frozen(start) as move:
        await choose(ada, "training", given=False)
        for days, given in ((1, True), (2, False), (3, True)):
            move(start + timedelta(days=days))
            await choose(ada, "training", given=given)
    newest, withdrawn, given, refused = (await receipts(ada))["consent_records"]
    states = [[event["event_state"] for event in one["event"]] for one in (newest, withdrawn, given, refused)]
    assert states == [
        ["dpv:ConsentGiven"],
        ["dpv:ConsentWithdrawn", "dpv:ConsentGiven"],
        ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"],
        ["dpv:ConsentRefused", "dpv:ConsentGiven"],
    ]
    assert given["event"][0]["validity_duration"] == "P12M"
    assert refused["event"][0]["validity_duration"] is None
    assert given["pii_processing"]["notice_text"] == consents.PURPOSES[1].text
    assert policy.CURRENT.version in given["pii_processing"]["privacy_notice"]


@pytest.mark.promise("10.1")
async def test_the_controller_of_a_receipt_is_whom_the_policy_names(ada):
    await choose(ada, "marketing", given=True)
    (record,) = (await receipts(ada))["consent_records"]
    controller = record["party_identification"][0]
    assert controller["party_name"] == "Assisters, LLC"
    assert controller["party_address"] == "1111B S Governors Ave STE 44806, Dover, DE 19904, United States"
    assert controller["party_contact"] == "legal@assisters.io"


async def test_mallory_gets_no_receipt_of_adas(ada, bob):
    await choose(ada, "training", given=True)
    async with transaction() as tx:
        (record,) = (await tx.exec(select(Consent))).all()
    async with transaction() as tx:
        assert (await consent_receipts.receipt(tx, ada, record.id))["consent_records"][0]["record_id"] == str(record.id)
        with pytest.raises(NotFound):
            await consent_receipts.receipt(tx, bob, record.id)
    assert (await receipts(bob))["consent_records"] == []


async def kept(person, tmp_path):
    """Return the file of a receipt as a person keeps it, and what it says."""
    file = consent_receipts.signed(await receipts(person))
    path = tmp_path / "consent-receipts.json"
    path.write_text(json.dumps(file, indent=4))  # its layout and its order are whoever's keeps it
    return path, file


async def test_ada_verifies_a_receipt_of_her_consents_without_us(ada, tmp_path, capsys, monkeypatch):
    await choose(ada, "training", given=True)
    path, file = await kept(ada, tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "ASSISTERS_PEPPER"):
        monkeypatch.delenv(name)
    settings.settings.cache_clear()
    assert cli.main(["verify-receipt", str(path)]) == 0
    told = capsys.readouterr().out
    assert "dpv:ConsentGiven" in told
    assert f"signed with the key {file['proof']['public_key']}" in told
    assert cli.main(["verify-receipt", str(path), "--public-key", "bm90IG91cnM="]) == 1
    assert "not one that you trust" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["pii_principal_id", "notice_text", "event_state", "receipt_id"])
async def test_a_receipt_of_a_consent_in_which_one_word_was_changed_is_not_genuine(ada, tmp_path, part, capsys):
    await choose(ada, "training", given=True)
    path, _ = await kept(ada, tmp_path)
    text = path.read_text()
    start = text.index(f'"{part}": "') + len(part) + 5
    path.write_text(text[:start] + ("b" if text[start] == "a" else "a") + text[start + 1 :])
    assert cli.main(["verify-receipt", str(path)]) == 1
    assert "was changed after it was signed" in capsys.readouterr().err


async def test_a_receipt_that_another_signed_verifies_with_no_key_of_ours(ada):
    await choose(ada, "training", given=True)
    file = consent_receipts.signed(await receipts(ada))
    with pytest.raises(NotSigned):
        consent_receipts.verify({**file, "proof": {**file["proof"], "public_key": signing.public_key("exports")}})


async def test_what_was_signed_before_the_pepper_was_changed_verifies_with_a_key_that_stays_published(ada, monkeypatch):
    async with transaction() as tx:
        await signing.ensure_keys(tx)
    await choose(ada, "training", given=True)
    file = consent_receipts.signed(await receipts(ada))
    monkeypatch.setenv("ASSISTERS_PEPPER", base64.b64encode(b"another pepper, of 32 bytes long").decode())
    settings.settings.cache_clear()
    async with transaction() as tx:
        await signing.ensure_keys(tx)
        await signing.ensure_keys(tx)  # at each start
        published = [key.public_key for key in await signing.keys(tx, "consent-receipts")]
        exports = await export.trusted_keys(tx)
        told = await export.published_keys(tx)
    assert len(published) == 2
    assert signing.public_key("consent-receipts") == published[-1] != file["proof"]["public_key"] == published[0]
    assert consent_receipts.verify(file, published)[1] == published[0]
    assert [told["public_key"], *(one["public_key"] for one in told["earlier"])] == list(dict.fromkeys(exports))
    assert len(told["earlier"]) == 1
