"""Tables that every feature writes to: the audit trail, mail on its way, and changes that a backup must not undo."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import AUDIT_TRAIL, SHORT_LIVED, OnErase, Purpose, Rows, personal, plain


class TrailEntry(SQLModel, table=True):
    """Who did what to whom, and when. `action` is `noun:verb`, such as `key:issued` or `account:viewed`."""

    __tablename__ = "trail_entry"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "What was done with your account, and by whom",
                    AUDIT_TRAIL,
                    account="account_id",
                    mentions=("actor_id",),
                    on_erase=OnErase.KEEP,
                    ground="Proof that access to data was lawful (GDPR Art. 5(2)); identifiers removed",
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    created_at: datetime = plain(default_factory=now, index=True)
    account_id: UUID | None = personal(  # whose data it was about
        "user.unique_id", Purpose.SECURITY, collected_as="1.5", on_erase=OnErase.UNLINK, index=True, default=None
    )
    actor_id: UUID | None = personal(  # who did it; None: the software itself
        "user.unique_id",
        Purpose.SECURITY,
        collected_as="1.5",
        on_erase=OnErase.UNLINK,
        about="actor_id",
        default=None,
    )
    action: str = plain(max_length=64)
    details: dict[str, Any] = plain(sa_type=JSONB, default_factory=dict)  # handles and counts, never personal data
    ip: str = personal(  # where the actor was
        "user.device.ip_address",
        Purpose.SECURITY,
        collected_as="1.7",
        on_erase=OnErase.CLEAR,
        about="actor_id",
        default="",
        max_length=45,
    )


class OutgoingMail(SQLModel, table=True):
    """A message waiting for the mail server. Its text is sealed; the row is deleted once it is sent."""

    __tablename__ = "outgoing_mail"
    __table_args__ = ({"info": {"rows": Rows("Mail on its way to you", SHORT_LIVED, account="account_id")}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID | None = plain(default=None, index=True)
    to_email: str = personal("user.contact.email", Purpose.NOTICES, collected_as="1.1", max_length=254)
    subject: str = plain(max_length=200)
    sealed: bytes = plain(sa_type=LargeBinary, export=False)
    created_at: datetime = plain(default_factory=now)


class LastingChange(SQLModel, table=True):
    """Something whose state the ledger outside the database has to be told of (`base.lasting`). The row goes then."""

    __tablename__ = "lasting_change"
    __table_args__ = (
        {"info": {"rows": Rows("Changes about to be made lasting", SHORT_LIVED, account="account_id", export=False)}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID | None = plain(default=None, index=True)  # for the kind "account": whose it is
    kind: str = plain(max_length=16)
    name: str = plain(default="", max_length=64)  # a key's id, a hold's handle, the keyed hash of an address
    created_at: datetime = plain(default_factory=now, index=True)
