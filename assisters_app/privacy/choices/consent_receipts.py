"""Receipts of consents, in the structure of ISO/IEC TS 27560:2023, for whoever gave them.

    receipts(tx, who) -> dict                     every choice of a person
    receipt(tx, who, record_id) -> dict           one of them; raises NotFound
    signed(receipt) -> dict                       the same with our signature, as a file that can be kept
    verify(file, trusted) -> (dict, key)          what it says; raises NotSigned; no database, no settings, no network

A receipt wraps consent records; a record has the parts that the specification names (header 6.3.2, processing of
personal data 6.3.4, the data itself 6.3.5, parties 6.3.6, events 6.3.7) under its field names. States of events are
terms of the W3C Data Privacy Vocabulary 2, whose guide for 27560 says how they belong together.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from assisters_app.accounts.sessions import Person
from assisters_app.base import contact
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.base.marks import REGISTER
from assisters_app.base.settings import settings
from assisters_app.billing import proofs
from assisters_app.privacy.choices import consents
from assisters_app.privacy.choices.consents import PURPOSES, SALE, Purpose, Record
from assisters_app.privacy.processors import PROCESSORS, Processor
from assisters_app.privacy.registers import signing
from assisters_app.privacy.registers.signing import NotSigned

RECEIPT_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt-record"
RECORD_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#record"
PURPOSE: signing.What = "consent-receipts"
CONTROLLER = "assisters"
HOLDER = "supabase"  # the processor whose database holds the records
SETTINGS_PAGE = "/dashboard/privacy/consents"
METHODS = {
    "settings": "A switch beside the text, off until it is pressed, in the settings",
    "renewal": "A button beside the text, in the settings",
    "one-click-unsubscribe": "The unsubscribe link of a mail (RFC 8058)",
    "gpc": "Global Privacy Control, sent by the browser",
    "expiry": "Nobody said anything: consent ended by itself",
    "restore": "Nobody said anything: we ended it when a backup was restored, which forgets who had withdrawn since",
}


async def receipts(tx: Tx, who: Person) -> dict[str, Any]:
    """Return one receipt for all that `who` ever chose, the newest first."""
    found = await consents.history(tx, who)
    return _receipt(who, [_record(who, record, found) for record in found], "all")


async def receipt(tx: Tx, who: Person, record_id: UUID) -> dict[str, Any]:
    """Return the receipt of one choice; raise NotFound for one that is not theirs."""
    found = await consents.history(tx, who)
    record = next((one for one in found if one.id == record_id), None)
    if record is None:
        raise NotFound("choice")
    return _receipt(who, [_record(who, record, found)], str(record_id))


def signed(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return a receipt with our signature (Ed25519) over its canonical form (RFC 8785): its layout may change."""
    proof = {
        "type": "Ed25519",
        "canonical_form": "RFC 8785",
        "public_key": signing.public_key(PURPOSE),
        "signature": signing.sign(PURPOSE, proofs.canonical(receipt)),
    }
    return {**receipt, "proof": proof}


def is_file(file: dict[str, Any]) -> bool:
    """Say whether this is a receipt of consents, of ours or anybody's."""
    return file.get("schema_version") == RECEIPT_SCHEMA


def verify(file: dict[str, Any], trusted: Collection[str] = ()) -> tuple[dict[str, Any], str]:
    """Return what a signed receipt says, and the key it was signed with: one of the `trusted`, should any be named."""
    proof, said = file["proof"], {name: value for name, value in file.items() if name != "proof"}
    key = str(proof["public_key"])
    if trusted and key not in trusted:
        raise NotSigned(f"This receipt is signed with the key {key}, which is not one that you trust.")
    signing.verify(proofs.canonical(said), str(proof["signature"]), key)
    return said, key


def _receipt(who: Person, records: Sequence[dict[str, Any]], of: str) -> dict[str, Any]:
    return {
        "schema_version": RECEIPT_SCHEMA,
        "receipt_id": str(uuid5(NAMESPACE_URL, f"{who.account_id}/{of}/{now().isoformat()}")),
        "created": now().isoformat(),
        "consent_records": list(records),
    }


def _record(who: Person, record: Record, found: Sequence[Record]) -> dict[str, Any]:
    unasked = Purpose(record.purpose_id, record.purpose_id, record.text, 0, "user")  # by now; it was, once
    purpose = next((one for one in (*PURPOSES, SALE) if one.id == record.purpose_id), unasked)
    return {
        "schema_version": RECORD_SCHEMA,
        "record_id": str(record.id),
        "pii_principal_id": str(who.account_id),
        "pii_processing": _processing(record, purpose),
        "party_identification": [_controller(), *(_party(one) for one in PROCESSORS if one.id == HOLDER)],
        "event": list(_events(who, record, found)),
    }


def _processing(record: Record, purpose: Purpose) -> dict[str, Any]:
    here = settings().public_url
    return {
        "privacy_notice": f"{here}/privacy-policy (version {record.policy_version})",
        "language": "en",
        "notice_text": record.text,  # exactly what was read beside the switch
        "purposes": [
            {
                "purpose": purpose.title,
                "purpose_type": purpose.id,
                "lawful_basis": "dpv:Consent",
                "pii_information": [
                    {
                        "pii_type": purpose.category,
                        "pii_optional": True,
                        "sensitive_pii_category": False,
                        "special_pii_category": False,
                    }
                ],
                "pii_controllers": [CONTROLLER],
                "collection_method": METHODS[record.source],
                "storage_locations": sorted({one.country for one in PROCESSORS if one.id == HOLDER}),
                "retention_period": REGISTER.sentence,
                "jurisdiction": "US-DE",
                "recipient_third_parties": [HOLDER],
                "withdrawal_method": f"{here}{SETTINGS_PAGE}",
                "privacy_rights": f"{here}/dashboard/privacy",
            }
        ],
    }


def _controller() -> dict[str, str]:
    return {
        "party_id": CONTROLLER,
        "party_name": contact.COMPANY,
        "party_role": "PII controller",
        "party_type": "dpv:DataController",
        "party_address": ", ".join(contact.ADDRESS),
        "party_email": contact.EMAIL,
        "party_contact": contact.EMAIL,
        "party_url": settings().public_url,
    }


def _party(processor: Processor) -> dict[str, str]:
    return {
        "party_id": processor.id,
        "party_name": processor.name,
        "party_role": "PII processor",
        "party_type": "dpv:DataProcessor",
        "party_address": processor.country,
        "party_contact": processor.terms,
    }


def _events(who: Person, record: Record, found: Sequence[Record]) -> Iterable[dict[str, Any]]:
    """Return the choice itself, and what ended it; `found` is every choice, the newest first."""
    same = [one for one in found if one.purpose_id == record.purpose_id]
    place = same.index(record)
    yield _event(who, record, record.at, first=place == len(same) - 1)
    if record.ended_at and place:
        yield _event(who, same[place - 1], record.ended_at, first=False)


def _event(who: Person, record: Record, at: datetime, *, first: bool) -> dict[str, Any]:
    return {
        "event_time": at.isoformat(),
        "validity_duration": _duration(record),
        "entity_id": CONTROLLER if record.source in ("expiry", "restore") else str(who.account_id),
        "event_type": "dpv:ExpressedConsent" if record.given else "dpv:ConsentControl",
        "event_state": _state(record, first=first),
    }


def _state(record: Record, *, first: bool) -> str:
    if record.given:
        return "dpv:RenewedConsentGiven" if record.source == "renewal" else "dpv:ConsentGiven"
    if record.source == "expiry":
        return "dpv:ConsentExpired"
    if record.source == "restore":
        return "dpv:ConsentInvalidated"
    return "dpv:ConsentRefused" if first else "dpv:ConsentWithdrawn"


def _duration(record: Record) -> str | None:
    """Return how long the choice holds, as ISO 8601 writes it; None where it has no end."""
    months = next((one.months for one in PURPOSES if one.id == record.purpose_id), 0)
    return f"P{months}M" if record.expires_at else None
