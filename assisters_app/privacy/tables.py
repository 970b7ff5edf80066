"""Consents, privacy requests, erasures with their receipts, suppressed addresses, and sweeps."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import (
    PRODUCT,
    REGISTER,
    SUPPRESSION,
    OnErase,
    Purpose,
    Rows,
    personal,
    plain,
)

PROOF = "Proof that the request was met (CCPA §7101, 24 months); identifiers removed"


class Consent(SQLModel, table=True):
    """One choice, given or withdrawn. Append-only: the latest row of a purpose is the choice in force.

    `purpose` is 'marketing', 'training' or 'cookies.<group>'; `text` is exactly what the person saw.
    """

    __tablename__ = "consent"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Your consents",
                    REGISTER,
                    account="account_id",
                    since="ended_at",
                    on_erase=OnErase.KEEP,
                    ground="Proof of consent (GDPR Art. 7(1)), 24 months; identifiers removed",
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID = personal("user.unique_id", Purpose.LAW, collected_as="1.1", on_erase=OnErase.UNLINK, index=True)
    purpose: str = plain(max_length=64)
    given: bool = personal("user.privacy_preferences", Purpose.LAW, collected_as="1.1", on_erase=OnErase.KEEP)
    text: str = plain()
    policy_version: str = plain(max_length=64)
    source: str = plain(max_length=64)  # where it was said: 'settings', 'sign-up', 'one-click-unsubscribe', 'gpc'
    created_at: datetime = plain(default_factory=now)
    ended_at: datetime | None = plain(default=None)  # when a later choice, or the erasure of the account, ended it


class PrivacyRequest(SQLModel, table=True):
    """One exercise of a right, from the dashboard or by mail. `state` is open, done, refused or withdrawn."""

    __tablename__ = "privacy_request"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Your privacy requests",
                    REGISTER,
                    account="account_id",
                    since="answered_at",
                    on_erase=OnErase.KEEP,
                    ground=PROOF,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # req_…
    account_id: UUID | None = personal(
        "user.unique_id", Purpose.LAW, collected_as="1.1", on_erase=OnErase.UNLINK, index=True, default=None
    )
    email: str | None = personal(  # only for a request by mail from somebody without an account
        "user.contact.email", Purpose.LAW, collected_as="1.1", on_erase=OnErase.CLEAR, default=None, max_length=254
    )
    kind: str = plain(max_length=16)  # access, export, correction, deletion, opt-out
    channel: str = plain(max_length=16)  # dashboard, email
    state: str = plain(default="open", max_length=16)
    received_at: datetime = plain()
    gdpr_due_at: datetime = plain()
    ccpa_due_at: datetime = plain()
    answered_at: datetime | None = plain(default=None)
    outcome: str = plain(default="", max_length=500)
    created_at: datetime = plain(default_factory=now)


class Erasure(SQLModel, table=True):
    """The closing of an account: asked for, carried out at `carry_out_at`, unless withdrawn before."""

    __tablename__ = "erasure"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "The deletion of your account",
                    REGISTER,
                    account="account_id",
                    since="carry_out_at",
                    on_erase=OnErase.KEEP,
                    ground=PROOF,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID = personal("user.unique_id", Purpose.LAW, collected_as="1.1", on_erase=OnErase.UNLINK, index=True)
    requested_at: datetime = plain(default_factory=now)
    carry_out_at: datetime = plain(index=True)
    withdrawn_at: datetime | None = plain(default=None)
    carried_out_at: datetime | None = plain(default=None)
    progress: dict[str, Any] = plain(
        sa_type=JSONB, default_factory=dict, export=False
    )  # step → outcome; no identifiers
    created_at: datetime = plain(default_factory=now)


class ErasureReceipt(SQLModel, table=True):
    """A signed, chained receipt without personal data. `body` is the exact JSON text that was signed."""

    __tablename__ = "erasure_receipt"
    __table_args__ = ({"info": {"rows": Rows("Erasure receipts", PRODUCT)}},)

    number: int = plain(primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # rcp_…
    body: str = plain()
    signature: str = plain(max_length=128)  # base64 Ed25519 over body
    created_at: datetime = plain(default_factory=now)


class Suppression(SQLModel, table=True):
    """An address that gets no marketing, as a keyed hash that nobody can turn back."""

    __tablename__ = "suppression"
    __table_args__ = ({"info": {"rows": Rows("Addresses that opted out, as keyed hashes", SUPPRESSION)}},)

    email_hash: str = plain(primary_key=True, max_length=64)
    created_at: datetime = plain(default_factory=now)


class Sweep(SQLModel, table=True):
    """One run of a retention rule over one table: how much went, and how old the oldest row left is."""

    __tablename__ = "sweep"
    __table_args__ = ({"info": {"rows": Rows("Retention sweeps", PRODUCT)}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    rule: str = plain(max_length=32)
    table_name: str = plain(max_length=64)
    removed: int = plain()
    oldest_left_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now, index=True)
