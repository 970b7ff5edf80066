"""What the law made us keep, and what it made us hand over."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import AUDIT_TRAIL, PRODUCT, REGISTER, OnErase, Purpose, Rows, personal, plain

HELD = "Proof that the law demanded to keep it, 24 months after the end of the hold; identifiers removed"
NOTIFIED = "Proof that you were told (GDPR Art. 34), 24 months; identifiers removed"
DISCLOSED = "Proof that a disclosure was lawful (GDPR Art. 5(2)), 24 months; identifiers removed"


class LegalHold(SQLModel, table=True):
    """An order or a claim for which data is kept: of one account, of some tables, or of some tables of one account."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Legal holds on your data",
                    REGISTER,
                    account="account_id",
                    since="released_at",
                    told="told_at",
                    on_erase=OnErase.KEEP,
                    ground=HELD,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # hold_…
    account_id: UUID | None = personal(  # None: these tables of everyone
        "user.unique_id", Purpose.LAW, collected_as="1.1", on_erase=OnErase.UNLINK, index=True, default=None
    )
    table_names: str = plain(default="")  # separated by spaces; "": everything of the account
    ground: str = plain(max_length=500)  # the order or the claim, and of whom
    review_by: datetime = plain()  # when somebody must have looked at it again
    secrecy: str = plain(default="", max_length=500)  # the order that forbids to tell the person; "" for none
    secret_until: datetime | None = plain(default=None)
    told_at: datetime | None = plain(default=None)  # since when the person may read of it
    created_at: datetime = plain(default_factory=now)
    released_at: datetime | None = plain(default=None)
    release_reason: str = plain(default="", max_length=500)


class Disclosure(SQLModel, table=True):
    """One demand of an authority, and what became of it. Leads to nobody: whom it names is in `disclosed_account`."""

    __tablename__ = "disclosure"
    __table_args__ = ({"info": {"rows": Rows("Demands of authorities", PRODUCT)}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # dis_…
    authority: str = plain(max_length=200)
    kind: str = plain(max_length=16)  # subpoena, order, warrant, emergency, other
    received_at: datetime = plain(index=True)
    scope: str = plain(max_length=500)  # what was asked for, without naming anybody
    accounts: int = plain()  # how many accounts it names that exist
    outcome: str = plain(default="open", max_length=16)  # open, full, part, none
    answer: str = plain(default="", max_length=500)  # what was handed over, or why nothing was
    answered_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)


class DisclosedAccount(SQLModel, table=True):
    """One account that a demand names, as its person reads it once they are told."""

    __tablename__ = "disclosed_account"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Disclosures of your data to authorities",
                    REGISTER,
                    account="account_id",
                    since="created_at",
                    told="told_at",
                    on_erase=OnErase.KEEP,
                    ground=DISCLOSED,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    disclosure: str = plain(index=True, max_length=32)  # dis_…
    account_id: UUID = personal("user.unique_id", Purpose.LAW, collected_as="1.1", on_erase=OnErase.UNLINK, index=True)
    authority: str = plain(max_length=200)
    asked: str = plain(max_length=500)
    disclosed: str = plain(default="", max_length=500)
    told_at: datetime | None = plain(default=None)
    not_told_why: str = plain(default="", max_length=500)  # the order that forbids it, while it does
    secret_until: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)


class Assurance(SQLModel, table=True):
    """What was looked at on a day, by people or by the software, and what it came to: an audit, an attestation."""

    __tablename__ = "assurance"
    __table_args__ = ({"info": {"rows": Rows("Audits and attestations", PRODUCT)}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    created_at: datetime = plain(default_factory=now)
    kind: str = plain(max_length=64, index=True)  # what is assured: see `registers.audits.KINDS`
    done_on: date = plain()
    passed: bool = plain()
    says: str = plain(max_length=1000)  # public: it names no person
    evidence: str = plain(default="", max_length=300)  # where the report is, or its SHA-256


class CanaryRun(SQLModel, table=True):
    """One life of the canary: a pretend person who comes, uses everything, and has herself erased. Nothing of her."""

    __tablename__ = "canary_run"
    __table_args__ = (
        {"info": {"rows": Rows("Rehearsals of leaving, by a made-up person", AUDIT_TRAIL, since="begun_at")}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    begun_at: datetime = plain(default_factory=now, index=True)
    ended_at: datetime | None = plain(default=None)  # None: under way, or cut off
    state: str = plain(default="under way", max_length=16)  # then 'returned', 'held' or 'lost'
    says: str = plain(default="", max_length=500)  # public, and never a marker of hers
    steps: list[str] = plain(sa_type=JSONB, default_factory=list)


class Incident(SQLModel, table=True):
    """One security incident. Names nobody: whom it touched is in `incident_notice`. `risk` is none, risk or high."""

    __tablename__ = "incident"
    __table_args__ = ({"info": {"rows": Rows("Security incidents", PRODUCT)}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # inc_…
    title: str = plain(max_length=200)
    what: str = plain(max_length=2_000)
    categories: str = plain(default="")  # kinds of data, separated by spaces
    consequences: str = plain(max_length=2_000)
    measures: str = plain(default="", max_length=2_000)
    risk: str = plain(max_length=8)
    aware_at: datetime = plain()
    tell_by: datetime = plain()  # 72 hours later
    told_at: datetime | None = plain(default=None)  # when the authority was told
    why: str = plain(default="", max_length=500)  # why it was told late, or not
    reminded_at: datetime | None = plain(default=None)
    closed_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)


class IncidentNotice(SQLModel, table=True):
    """What one account is told of an incident: drafted when it is entered, read by its person once it is sent."""

    __tablename__ = "incident_notice"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "Security incidents that touched your data",
                    REGISTER,
                    account="account_id",
                    since="created_at",
                    told="sent_at",
                    on_erase=OnErase.KEEP,
                    ground=NOTIFIED,
                )
            }
        },
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    incident: str = plain(index=True, max_length=32)  # inc_…
    account_id: UUID = personal("user.unique_id", Purpose.LAW, collected_as="1.1", on_erase=OnErase.UNLINK, index=True)
    text: str = plain(max_length=4_000)
    released: bool = plain(default=False, sa_column_kwargs={"server_default": "false"})
    created_at: datetime = plain(default_factory=now)
    sent_at: datetime | None = plain(default=None)


class SigningKey(SQLModel, table=True):
    """A key that we ever signed exports or receipts of consents with: they verify after the pepper was changed, too."""

    __tablename__ = "signing_key"
    __table_args__ = ({"info": {"rows": Rows("Keys that exports and receipts of consents verify with", PRODUCT)}},)

    purpose: str = plain(primary_key=True, max_length=32)
    public_key: str = plain(primary_key=True, max_length=44)  # Ed25519, base64
    created_at: datetime = plain(default_factory=now)
