"""What was called: one event and its receipt per request (30 days), and sums (13 months)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.marks import DATABASE, PRODUCT, REQUEST_LOGS, USAGE_ANALYTICS, Purpose, Rows, personal, plain

ON_THE_WAY = (*DATABASE, "upstash")  # a record waits in the stream until the worker has written it down
AT_THE_EDGE = (*ON_THE_WAY, "vercel")  # the host sees where a call comes from


class UsageEvent(SQLModel, table=True):
    """The terminal record of one API call. Partitioned by day of `at`; whole days are dropped, never rows.

    `outcome` is completed, failed, client_disconnected, interrupted, or refused (never admitted, costs nothing).
    Tokens are counts, `units` count what `unit` names (image, second, character, document; '' for none), `cost_nano` is
    nano-USD under `price_version`, times are milliseconds.
    """

    __tablename__ = "usage_event"
    __table_args__ = (
        Index("ix_usage_event_organization_id_at", "organization_id", "at"),
        {
            "postgresql_partition_by": "RANGE (at)",
            "info": {"rows": Rows("Your API request log", REQUEST_LOGS, organization="organization_id", since="at")},
        },
    )

    request_id: UUID = plain(primary_key=True)
    at: datetime = plain(primary_key=True)  # when it was admitted
    organization_id: UUID = plain()
    key_id: UUID = plain()
    mode: str = plain(max_length=8)
    endpoint: str = personal("user.behavior", Purpose.SERVICE, collected_as="1.5", recipients=ON_THE_WAY, max_length=64)
    model: str = personal("user.behavior", Purpose.PAYMENTS, collected_as="1.6", recipients=ON_THE_WAY, max_length=64)
    status: int = personal("user.behavior", Purpose.SERVICE, collected_as="1.5", recipients=ON_THE_WAY)
    outcome: str = plain(max_length=24)
    error_code: str = plain(default="", max_length=64)
    input_tokens: int = personal(
        "user.behavior", Purpose.PAYMENTS, collected_as="1.6", recipients=ON_THE_WAY, default=0
    )
    cached_tokens: int = personal(
        "user.behavior", Purpose.PAYMENTS, collected_as="1.6", recipients=ON_THE_WAY, default=0
    )
    output_tokens: int = personal(
        "user.behavior", Purpose.PAYMENTS, collected_as="1.6", recipients=ON_THE_WAY, default=0
    )
    units: int = personal(
        "user.behavior",
        Purpose.PAYMENTS,
        collected_as="1.6",
        recipients=ON_THE_WAY,
        default=0,
        sa_column_kwargs={"server_default": "0"},
    )
    unit: str = plain(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    estimated: bool = plain(default=False)
    cost_nano: int = personal(
        "user.financial", Purpose.PAYMENTS, collected_as="1.6", recipients=ON_THE_WAY, sa_type=BigInteger, default=0
    )
    price_version: int = plain(default=0)
    stream: bool = plain(default=False)
    duration_ms: int = plain(default=0)
    first_token_ms: int | None = plain(default=None)
    overhead_ms: float = plain(default=0.0)
    ip: str = personal(
        "user.device.ip_address",
        Purpose.SECURITY,
        Purpose.LIMITS,
        collected_as="1.7",
        recipients=AT_THE_EDGE,
        default="",
        max_length=45,
    )
    user_agent: str = personal(
        "user.device", Purpose.SECURITY, collected_as="1.7", recipients=AT_THE_EDGE, default="", max_length=300
    )
    ingested_at: datetime = plain(default_factory=now)


class UsageTally(SQLModel, table=True):
    """Sums over the events of one quarter hour, which charts read. Quarters: some zones are offset by :30 or :45."""

    __tablename__ = "usage_tally"
    __table_args__ = (
        Index("ix_usage_tally_bucket", "bucket"),
        {
            "info": {
                "rows": Rows("Your usage analytics", USAGE_ANALYTICS, organization="organization_id", since="bucket")
            }
        },
    )

    organization_id: UUID = plain(primary_key=True)
    bucket: datetime = plain(primary_key=True)  # start of the quarter hour, UTC
    key_id: UUID = plain(primary_key=True)
    model: str = personal("user.behavior", Purpose.PAYMENTS, collected_as="1.6", primary_key=True, max_length=64)
    endpoint: str = personal("user.behavior", Purpose.SERVICE, collected_as="1.5", primary_key=True, max_length=64)
    mode: str = plain(primary_key=True, max_length=8)
    price_version: int = plain(primary_key=True)
    requests: int = plain(default=0, sa_type=BigInteger)
    errors: int = plain(default=0, sa_type=BigInteger)  # status 400 and above
    input_tokens: int = plain(default=0, sa_type=BigInteger)
    cached_tokens: int = plain(default=0, sa_type=BigInteger)
    output_tokens: int = plain(default=0, sa_type=BigInteger)
    units: int = plain(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})  # of its kind
    cost_nano: int = plain(default=0, sa_type=BigInteger)
    duration_ms: int = plain(default=0, sa_type=BigInteger)  # summed


class UsageReceipt(SQLModel, table=True):
    """The signed receipt of one event, a link in its organization's chain of that UTC day. Append-only.

    `facts` is the exact text that was signed. Those that were written together have one signature, which the last of
    them carries; the others' is empty (`billing.proofs`). Partitioned by `begins`, the start of the day; whole days are
    dropped. An event that was corrected has two receipts, of which the later one names the earlier.
    """

    __tablename__ = "usage_receipt"
    __table_args__ = (
        Index("ix_usage_receipt_request_id", "request_id"),
        {
            "postgresql_partition_by": "RANGE (begins)",
            "info": {
                "rows": Rows(
                    "Receipts of your API requests", REQUEST_LOGS, organization="organization_id", since="begins"
                )
            },
        },
    )

    organization_id: UUID = plain(primary_key=True)
    begins: datetime = plain(primary_key=True)
    number: int = plain(primary_key=True)  # 1, 2, 3 … within the day
    request_id: UUID = plain()
    facts: str = personal("user.behavior", Purpose.PAYMENTS, collected_as="1.6", sa_type=Text)
    signature: str = plain(max_length=88)  # Ed25519, base64; '' for all but the last of a batch


class ReceiptDay(SQLModel, table=True):
    """What one organization's receipts of one UTC day come to, signed: how many, the last one's hash, and their sums.

    It outlives them, as tallies outlive events, so that a month adds up when its first days' receipts are gone.
    """

    __tablename__ = "receipt_day"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "What the receipts of a day come to",
                    USAGE_ANALYTICS,
                    organization="organization_id",
                    since="begins",
                )
            }
        },
    )

    organization_id: UUID = plain(primary_key=True)
    begins: datetime = plain(primary_key=True)
    facts: str = personal("user.behavior", Purpose.PAYMENTS, collected_as="1.6", sa_type=Text, default="")
    signature: str = plain(max_length=88, default="")


class ReceiptKey(SQLModel, table=True):
    """A public key that receipts were ever signed with: they still verify when the next one signs.

    `imported` are those of other installations, whose receipts came with an export that was read in.
    """

    __tablename__ = "receipt_key"
    __table_args__ = ({"info": {"rows": Rows("Public keys of receipts", PRODUCT)}},)

    id: str = plain(primary_key=True, max_length=16)  # the first 16 hex characters of its SHA-256
    public_key: str = plain(max_length=44)  # Ed25519, base64
    created_at: datetime = plain(default_factory=now)
    imported: bool = plain(default=False, sa_column_kwargs={"server_default": "false"})
