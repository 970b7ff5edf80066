"""Who has an account, what they belong to, and how they are signed in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import (
    ACCOUNT,
    REGISTER,
    SHORT_LIVED,
    Purpose,
    Rows,
    personal,
    plain,
)
from assisters_app.base.sealed_text import SealedAsItIs


class Account(SQLModel, table=True):
    """One person. `email` is stored lower-case; `role` is one of `rights.Role`: 'member', or one of staff's."""

    __tablename__ = "account"
    __table_args__ = ({"info": {"rows": Rows("Your account", ACCOUNT, account="id")}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    email: str = personal(
        "user.contact.email",
        Purpose.SERVICE,
        Purpose.NOTICES,
        collected_as="1.1",
        recipients=("supabase", "stripe"),
        unique=True,
        max_length=254,
    )
    password_hash: str | None = personal(  # Argon2id; None when another identity signs this person in
        "user.authorization.password", Purpose.SERVICE, collected_as="1.2", export=False, default=None
    )
    name: str = personal("user.name", Purpose.SERVICE, collected_as="1.4", default="", max_length=120)
    time_zone: str = personal("user.location", Purpose.SERVICE, collected_as="1.4", default="UTC", max_length=64)
    role: str = plain(default="member", max_length=16)
    created_at: datetime = plain(default_factory=now)
    verified_at: datetime | None = plain(default=None)
    suspended_at: datetime | None = plain(default=None)
    suspension_reason: str = personal("user.behavior", Purpose.SECURITY, collected_as="1.5", default="", max_length=500)


class Organization(SQLModel, table=True):
    """What keys, usage and money belong to. Every account owns one from the start."""

    __tablename__ = "organization"
    __table_args__ = ({"info": {"rows": Rows("Your organization", ACCOUNT, account="owner_id")}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # org_…: may be shown and logged
    owner_id: UUID = plain(foreign_key="account.id", index=True)
    name: str = personal(
        "user.workplace", Purpose.SERVICE, collected_as="1.4", recipients=("supabase", "stripe"), max_length=120
    )
    plan: str = plain(default="free", max_length=32)
    spend_cap_nano: int | None = plain(default=None, sa_type=BigInteger)  # nano-USD a calendar month (UTC), never more
    stripe_customer_id: str | None = personal(
        "user.unique_id",
        Purpose.PAYMENTS,
        collected_as="1.3",
        recipients=("supabase", "stripe"),
        default=None,
        max_length=64,
        unique=True,
    )
    created_at: datetime = plain(default_factory=now)


class Membership(SQLModel, table=True):
    """Who may act for an organization; `role` is 'owner' (others come with invitations)."""

    __tablename__ = "membership"
    __table_args__ = ({"info": {"rows": Rows("Your memberships", ACCOUNT, account="account_id")}},)

    organization_id: UUID = plain(foreign_key="organization.id", primary_key=True)
    account_id: UUID = plain(foreign_key="account.id", primary_key=True, index=True)
    role: str = plain(default="owner", max_length=16)
    created_at: datetime = plain(default_factory=now)


class ExternalIdentity(SQLModel, table=True):
    """A sign-in held elsewhere: an OAuth provider, an OIDC issuer, or Supabase Auth."""

    __tablename__ = "external_identity"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        {"info": {"rows": Rows("Your other sign-in methods", ACCOUNT, account="account_id")}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID = plain(foreign_key="account.id", index=True)
    issuer: str = plain(max_length=200)
    subject: str = personal("user.unique_id", Purpose.SERVICE, collected_as="1.1", max_length=255)
    created_at: datetime = plain(default_factory=now)


class Session(SQLModel, table=True):
    """One signed-in browser. Only the cookie's SHA-256 is stored, so a dump signs nobody in."""

    __tablename__ = "session"
    __table_args__ = (
        Index("ix_session_live", "account_id", postgresql_where=text("revoked_at IS NULL")),
        {"info": {"rows": Rows("Your sign-in sessions", SHORT_LIVED, account="account_id", since="expires_at")}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    fingerprint: str = plain(unique=True, max_length=64, export=False)
    account_id: UUID = plain(foreign_key="account.id")
    created_at: datetime = plain(default_factory=now)
    last_seen_at: datetime = plain(default_factory=now)
    expires_at: datetime = plain(index=True)
    revoked_at: datetime | None = plain(default=None)
    reauthenticated_at: datetime = plain(default_factory=now)  # when the person last proved who they are
    ip: str = personal("user.device.ip_address", Purpose.SECURITY, collected_as="1.7", default="", max_length=45)
    user_agent: str = personal("user.device", Purpose.SECURITY, collected_as="1.7", default="", max_length=300)


class MailToken(SQLModel, table=True):
    """A link sent by mail: `purpose` is one of `links.LASTING`. Used once, soon gone."""

    __tablename__ = "mail_token"
    __table_args__ = ({"info": {"rows": Rows("Links sent to you", SHORT_LIVED, account="account_id")}},)

    fingerprint: str = plain(primary_key=True, max_length=64, export=False)
    account_id: UUID = plain(foreign_key="account.id", index=True)
    purpose: str = plain(max_length=16)
    new_email: str | None = personal(
        "user.contact.email", Purpose.SERVICE, collected_as="1.1", default=None, max_length=254
    )
    created_at: datetime = plain(default_factory=now)
    expires_at: datetime = plain()
    used_at: datetime | None = plain(default=None)


class AddressChange(SQLModel, table=True):
    """A change of one's e-mail address under way: it counts once both addresses have said yes."""

    __tablename__ = "address_change"
    __table_args__ = (
        {"info": {"rows": Rows("Changes of your address that you asked for", SHORT_LIVED, account="account_id")}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID = plain(foreign_key="account.id", index=True)
    new_email: str = personal("user.contact.email", Purpose.SERVICE, collected_as="1.1", max_length=254)
    created_at: datetime = plain(default_factory=now)
    expires_at: datetime = plain()
    old_confirmed_at: datetime | None = plain(default=None)
    new_confirmed_at: datetime | None = plain(default=None)
    ended_at: datetime | None = plain(default=None)  # moved, cancelled, or replaced by another one


class MailboxRecovery(SQLModel, table=True):
    """Another mailbox for an account whose owner has lost theirs: one admin asks, another approves, then it waits."""

    __tablename__ = "mailbox_recovery"
    __table_args__ = (
        Index("uq_mailbox_recovery_open", "account_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        {
            "info": {
                "rows": Rows(
                    "Replacements of your lost mailbox",
                    REGISTER,
                    account="account_id",
                    since="ended_at",
                    mentions=("asked_by", "approved_by"),
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # rec_…
    account_id: UUID = plain(foreign_key="account.id", index=True)
    new_email: str = personal("user.contact.email", Purpose.SECURITY, collected_as="1.1", max_length=254)
    proofs: str = plain(max_length=64)  # ids of `recovering.PROOFS`, separated by spaces
    asked_by: UUID | None = plain(default=None)  # account ids; no foreign keys, so that erasing one can unlink it
    approved_by: UUID | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)
    confirmed_at: datetime | None = plain(default=None)  # when the new mailbox said that it is theirs
    approved_at: datetime | None = plain(default=None)
    due_at: datetime | None = plain(default=None)  # seven days after that
    ended_at: datetime | None = plain(default=None)
    outcome: str = plain(default="open", max_length=16)  # then 'moved', 'stopped', 'lapsed'


class Correction(SQLModel, table=True):
    """One correction of what a person had told us. `told` says when each processor that needs it was told."""

    __tablename__ = "correction"
    __table_args__ = ({"info": {"rows": Rows("What you corrected", REGISTER, account="account_id")}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    account_id: UUID = plain(foreign_key="account.id", index=True)
    what: str = plain(max_length=32)
    before: str = personal("user.contact", Purpose.LAW, collected_as="1.1", sa_type=SealedAsItIs)
    after: str = personal("user.contact", Purpose.LAW, collected_as="1.1", sa_type=SealedAsItIs)
    told: dict[str, Any] = plain(sa_type=JSONB, default_factory=dict)  # processor -> ISO 8601, null while it waits
    created_at: datetime = plain(default_factory=now)
