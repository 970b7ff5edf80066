"""Erasures, and the receipts of those carried out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import PRODUCT, REGISTER, OnErase, Purpose, Rows, personal, plain
from assisters_app.privacy.rights.tables import PROOF


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
