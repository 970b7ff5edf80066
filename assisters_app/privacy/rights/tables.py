"""Requests of people who exercise a right."""

from datetime import datetime
from uuid import UUID

from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import REGISTER, OnErase, Purpose, Rows, personal, plain

PROOF = "Proof that the request was met (CCPA §7101, 24 months); identifiers removed"


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
                    mentions=("assigned_to",),
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
    kind: str = plain(max_length=16)  # see `requests.Kind`
    channel: str = plain(max_length=16)  # dashboard, email
    state: str = plain(default="open", max_length=16)
    received_at: datetime = plain()
    gdpr_due_at: datetime = plain()
    ccpa_due_at: datetime = plain()
    answered_at: datetime | None = plain(default=None)
    outcome: str = plain(default="", max_length=500)
    words: str = personal(  # what the person wrote, where they wrote anything
        "user.content", Purpose.LAW, collected_as="1.1", on_erase=OnErase.CLEAR, default="", max_length=2000
    )
    acknowledged_at: datetime | None = plain(default=None)
    assigned_to: UUID | None = personal(  # the member of staff who answers it
        "user.unique_id",
        Purpose.LAW,
        collected_as="1.1",
        on_erase=OnErase.UNLINK,
        about="assigned_to",
        default=None,
    )
    extended_at: datetime | None = plain(default=None)
    extension_reason: str = plain(default="", max_length=500)
    identity_asked_at: datetime | None = plain(default=None)
    identity_answered_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)
