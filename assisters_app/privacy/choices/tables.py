"""What people chose, and addresses that opted out."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import (
    PRODUCT,
    REGISTER,
    SHORT_LIVED,
    SUPPRESSION,
    OnErase,
    Purpose,
    Rows,
    personal,
    plain,
)


class Consent(SQLModel, table=True):
    """One choice, given or withdrawn. Append-only (the database holds to it): the row not ended is the one in force.

    `purpose` is one of `consents.PURPOSES`, or 'sale-or-sharing' for what a browser's signal opted out of; `text` is
    exactly what the person saw.
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
    source: str = plain(
        max_length=64
    )  # how it was said: 'settings', 'renewal', 'one-click-unsubscribe', 'gpc', 'expiry', 'restore'
    created_at: datetime = plain(default_factory=now)
    expires_at: datetime | None = plain(default=None)  # consent does not last for ever; None: a no, which does
    ended_at: datetime | None = plain(default=None)  # when a later choice, or the erasure of the account, ended it


class Suppression(SQLModel, table=True):
    """An address that gets no marketing, as a keyed hash that nobody can turn back."""

    __tablename__ = "suppression"
    __table_args__ = ({"info": {"rows": Rows("Addresses that opted out, as keyed hashes", SUPPRESSION)}},)

    email_hash: str = plain(primary_key=True, max_length=64)
    created_at: datetime = plain(default_factory=now)


class News(SQLModel, table=True):
    """One message of news, written by staff for everyone who asked for news. `done_at` is set once all have a copy."""

    __tablename__ = "news"
    __table_args__ = ({"info": {"rows": Rows("News that we mailed", PRODUCT)}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)
    subject: str = plain(max_length=150)
    text: str = plain()
    copies: int = plain(default=0)
    created_at: datetime = plain(default_factory=now)
    done_at: datetime | None = plain(default=None)


class NewsCopy(SQLModel, table=True):
    """Who has been written a copy of which news already, so that nobody gets two."""

    __tablename__ = "news_copy"
    __table_args__ = (
        UniqueConstraint("news_id", "account_id"),
        {"info": {"rows": Rows("News that you were sent", SHORT_LIVED, account="account_id")}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    news_id: UUID = plain()
    account_id: UUID = plain(foreign_key="account.id", index=True)
    created_at: datetime = plain(default_factory=now)
