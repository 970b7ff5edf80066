"""Erasures, the receipts of those carried out, what is still to be reached, and which ledger the database knows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary
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
    public_key: str = plain(max_length=44)  # base64, of the key that signed; each is in erasure_key too
    created_at: datetime = plain(default_factory=now)


class ErasureKey(SQLModel, table=True):
    """A key that receipts of erasures were ever signed with: they verify after the pepper was changed, too."""

    __tablename__ = "erasure_key"
    __table_args__ = ({"info": {"rows": Rows("Keys that erasure receipts verify with", PRODUCT)}},)

    public_key: str = plain(primary_key=True, max_length=44)  # base64
    created_at: datetime = plain(default_factory=now)


class ErasureErrand(SQLModel, table=True):
    """What an erasure has still to reach outside: at Stripe, once the days are over in which it keeps transactions.

    `sealed` says what is to be reached, and is emptied once that was done.
    """

    __tablename__ = "erasure_errand"
    __table_args__ = (
        {"info": {"rows": Rows("What is still to be erased elsewhere", REGISTER, since="finished_at", export=False)}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    receipt: str = plain(max_length=32, index=True)  # the number of the erasure's receipt
    processor: str = plain(max_length=32)  # its id in the registry
    sealed: bytes = plain(sa_type=LargeBinary)
    due_at: datetime = plain(index=True)  # when it is tried next
    promised_for: datetime = plain()  # the day that the person was told
    tries: int = plain(default=0)
    outcome: str = plain(default="")  # a sentence for the receipt's page
    finished_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)


class HouseStamp(SQLModel, table=True):
    """The ledger that this database was last held against, and which database it was: one row, or none yet."""

    __tablename__ = "house_stamp"
    __table_args__ = ({"info": {"rows": Rows("Which erasure ledger the database knows", PRODUCT)}},)

    id: int = plain(primary_key=True, default=1)
    ledger: str = plain(max_length=32)
    number: int = plain()  # of the last line that was seen
    head: str = plain(max_length=64)  # its hash
    fingerprint: str = plain(max_length=100)  # of the database itself: a restored one has another
    beat: int = plain(default=0, sa_type=BigInteger)  # only grows, here and then outside (`pulse`)
    created_at: datetime = plain(default_factory=now)
