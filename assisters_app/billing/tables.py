"""Prices, the double-entry ledger, top-ups, and what Stripe told us."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import BILLING, PRODUCT, OnErase, Purpose, Rows, personal, plain

TAX_LAW = "Tax and commercial law (GDPR Art. 17(3)(b)); identifiers removed, kept 7 years (policy 4.5)"


class Price(SQLModel, table=True):
    """What one model costs from `valid_from` on. Never edited: a new price is a new version.

    A token costs a whole number of nano-USD (at least $0.001 per million), and so does a `unit` of what is not sold by
    tokens (image, second, character, document; '' for none), so that rating never rounds.
    """

    __tablename__ = "price"
    __table_args__ = (
        UniqueConstraint("model", "version"),
        CheckConstraint(
            "input_nano_per_million % 1000000 = 0 AND cached_nano_per_million % 1000000 = 0 "
            "AND output_nano_per_million % 1000000 = 0",
            name="whole_nano_per_token",
        ),
        CheckConstraint("unit_nano = 0 OR unit <> ''", name="unit_named"),
        {"info": {"rows": Rows("Prices", PRODUCT)}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    model: str = plain(max_length=64)
    version: int = plain()
    valid_from: datetime = plain()
    input_nano_per_million: int = plain(sa_type=BigInteger, default=0)  # nano-USD per million input tokens
    cached_nano_per_million: int = plain(sa_type=BigInteger, default=0)
    output_nano_per_million: int = plain(sa_type=BigInteger, default=0)
    unit: str = plain(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    unit_nano: int = plain(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})  # nano-USD per unit
    created_at: datetime = plain(default_factory=now)


class LedgerTransaction(SQLModel, table=True):
    """One movement of money; its entries add up to zero (the database refuses otherwise). Append-only.

    `kind` is topup, bonus, usage, refund, dispute, adjustment or carried; `cause` names what made it and is unique.
    Usage names its model, price version and the UTC `day` on which the calls were admitted.
    """

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        Index("ix_ledger_transaction_organization_id_day", "organization_id", "day"),
        Index("ix_ledger_transaction_organization_id_id", "organization_id", "id"),  # a wallet's pages
        {
            "info": {
                "rows": Rows(
                    "Your wallet's movements",
                    BILLING,
                    organization="organization_id",
                    on_erase=OnErase.KEEP,
                    ground=TAX_LAW,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    organization_id: UUID = personal(
        "user.unique_id", Purpose.PAYMENTS, Purpose.LAW, collected_as="1.6", on_erase=OnErase.UNLINK
    )
    kind: str = plain(max_length=16)
    cause: str = personal(  # may name a payment at Stripe or the organization
        "user.unique_id",
        Purpose.PAYMENTS,
        Purpose.LAW,
        collected_as="1.6",
        on_erase=OnErase.UNLINK,
        unique=True,
        max_length=200,
    )
    price_version: int | None = plain(default=None)
    model: str | None = plain(default=None, max_length=64)
    day: date | None = plain(default=None)
    created_at: datetime = plain(default_factory=now, index=True)


class LedgerEntry(SQLModel, table=True):
    """One side of a movement: `amount_nano` nano-USD on `account` (wallet, revenue, stripe, bonus, disputes)."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ix_ledger_entry_balance", "organization_id", "account", postgresql_include=["amount_nano"]),
        {
            "info": {
                "rows": Rows(
                    "Your wallet's entries",
                    BILLING,
                    organization="organization_id",
                    on_erase=OnErase.KEEP,
                    ground=TAX_LAW,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    transaction_id: UUID = plain(foreign_key="ledger_transaction.id", index=True)
    organization_id: UUID = personal(
        "user.unique_id", Purpose.PAYMENTS, Purpose.LAW, collected_as="1.6", on_erase=OnErase.UNLINK
    )
    account: str = plain(max_length=16)
    amount_nano: int = personal(
        "user.financial", Purpose.PAYMENTS, Purpose.LAW, collected_as="1.6", on_erase=OnErase.KEEP, sa_type=BigInteger
    )
    created_at: datetime = plain(default_factory=now)


class TopUp(SQLModel, table=True):
    """An order for credit: made before Stripe is asked, fulfilled once. `state` is open, paid, failed or refunded."""

    __tablename__ = "top_up"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Your top-ups", BILLING, organization="organization_id", on_erase=OnErase.KEEP, ground=TAX_LAW
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # top_…
    organization_id: UUID = personal(
        "user.unique_id", Purpose.PAYMENTS, Purpose.LAW, collected_as="1.6", on_erase=OnErase.UNLINK, index=True
    )
    amount_cents: int = personal(
        "user.financial", Purpose.PAYMENTS, Purpose.LAW, collected_as="1.3", on_erase=OnErase.KEEP
    )
    bonus_cents: int = plain(default=0)
    currency: str = plain(default="usd", max_length=3)
    state: str = plain(default="open", max_length=16)
    checkout_session_id: str | None = personal(
        "user.unique_id",
        Purpose.PAYMENTS,
        collected_as="1.3",
        on_erase=OnErase.CLEAR,
        recipients=("supabase", "stripe"),
        default=None,
        max_length=128,
        unique=True,
    )
    payment_intent_id: str | None = personal(
        "user.unique_id",
        Purpose.PAYMENTS,
        collected_as="1.3",
        on_erase=OnErase.CLEAR,
        recipients=("supabase", "stripe"),
        default=None,
        max_length=128,
        unique=True,
    )
    created_at: datetime = plain(default_factory=now)
    paid_at: datetime | None = plain(default=None)


class StripeEvent(SQLModel, table=True):
    """A webhook as Stripe sent it: stored once, handled once. Holds the event's and its object's ids, not its body.

    Whoever handles it sets `organization_id`, which is how it is found again when that organization is erased.
    """

    __tablename__ = "stripe_event"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Payment notices",
                    BILLING,
                    organization="organization_id",
                    since="received_at",
                    on_erase=OnErase.KEEP,
                    ground=TAX_LAW,
                )
            }
        },
    )

    id: str = plain(primary_key=True, max_length=128)
    organization_id: UUID | None = personal(
        "user.unique_id",
        Purpose.PAYMENTS,
        Purpose.LAW,
        collected_as="1.3",
        on_erase=OnErase.UNLINK,
        index=True,
        default=None,
    )
    type: str = plain(max_length=64)
    object_id: str = personal(
        "user.unique_id",
        Purpose.PAYMENTS,
        collected_as="1.3",
        on_erase=OnErase.CLEAR,
        recipients=("supabase", "stripe"),
        max_length=128,
    )
    details: dict[str, Any] = personal(
        "user.financial",
        Purpose.PAYMENTS,
        collected_as="1.3",
        on_erase=OnErase.CLEAR,
        recipients=("supabase", "stripe"),
        sa_type=JSONB,
        default_factory=dict,
    )
    received_at: datetime = plain(default_factory=now)
    handled_at: datetime | None = plain(default=None)
