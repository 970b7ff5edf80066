"""Receipts of consents have the structure of ISO/IEC TS 27560, say what was said, and are for nobody else."""

from datetime import timedelta

import pytest
from sqlmodel import select

from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound
from assisters_app.privacy.choices import consent_receipts, consents
from assisters_app.privacy.choices.tables import Consent
from assisters_app.privacy.policies import policy

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
