"""API keys, of which only a keyed hash is stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import ACCOUNT, Purpose, Rows, personal, plain


class ApiKey(SQLModel, table=True):
    """One key. `mode` is 'live' or 'test'; test keys reach the sandbox only and never cost money.

    After a rotation `previous_digest` stays valid until `previous_until`. Lists (scopes, models, networks, domains) are
    text, their entries separated by spaces; what is empty or NULL limits nothing. Budgets are nano-USD.
    """

    __tablename__ = "api_key"
    __table_args__ = (
        {"info": {"rows": Rows("Your API keys", ACCOUNT, organization="organization_id", mentions=("created_by",))}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # key_…: may be shown and logged
    public_id: str = plain(unique=True, max_length=16)  # the part of the key it is found by
    organization_id: UUID = plain(foreign_key="organization.id", index=True)
    created_by: UUID = plain(index=True)  # an account id; no foreign key, so that erasing its account can unlink it
    name: str = personal("user.content", Purpose.SERVICE, collected_as="1.4", max_length=255)
    prefix: str = plain(max_length=12)  # what lists show: never more than twelve characters of the key
    digest: str = plain(max_length=64, export=False)  # HMAC-SHA256 under the pepper
    previous_digest: str | None = plain(default=None, max_length=64, export=False)
    previous_until: datetime | None = plain(default=None)
    mode: str = plain(default="live", max_length=8)
    created_at: datetime = plain(default_factory=now)
    expires_at: datetime | None = plain(default=None)
    revoked_at: datetime | None = plain(default=None)
    last_used_at: datetime | None = plain(default=None)
    scopes: str = plain(default="chat read", max_length=64)
    models: str = plain(default="")
    requests_per_minute: int | None = plain(default=None)
    tokens_per_minute: int | None = plain(default=None)
    concurrency: int | None = plain(default=None)
    budget_day: int | None = plain(default=None, sa_type=BigInteger)
    budget_week: int | None = plain(default=None, sa_type=BigInteger)
    budget_month: int | None = plain(default=None, sa_type=BigInteger)
    networks: str = personal("user.device.ip_address", Purpose.SECURITY, collected_as="1.7", default="")
    domains: str = personal("user.content", Purpose.SECURITY, collected_as="1.4", default="")
    old_secret_warned_at: datetime | None = plain(default=None)  # when the end of the secret before was announced
    content_kept_since: datetime | None = plain(default=None)  # since when what is said with it is kept for a day
    leaked_at: datetime | None = plain(default=None)  # when it was found in public, and revoked
