"""What the sweeps found, what was overdue, and what is left of usage when its people are gone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import AUDIT_TRAIL, PRODUCT, USAGE_ANALYTICS, Rows, plain


class Sweep(SQLModel, table=True):
    """One run of a retention rule over one table: how much went, and how old the oldest row left is."""

    __tablename__ = "sweep"
    __table_args__ = ({"info": {"rows": Rows("Retention sweeps", PRODUCT)}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    rule: str = plain(max_length=32)
    table_name: str = plain(max_length=64)
    removed: int = plain()
    oldest_left_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now, index=True)


class OverdueAlarm(SQLModel, table=True):
    """That rows of one table were found older than promised: raised once, told to staff once, ended when they went."""

    __tablename__ = "overdue_alarm"
    __table_args__ = (
        Index("uq_overdue_alarm_open", "table_name", unique=True, postgresql_where=text("ended_at IS NULL")),
        {"info": {"rows": Rows("Alarms about retention", AUDIT_TRAIL, since="ended_at")}},
    )

    id: UUID = plain(default_factory=new_id, primary_key=True)
    table_name: str = plain(max_length=64)
    rule: str = plain(max_length=32)
    oldest_at: datetime = plain()  # when it was raised
    raised_at: datetime = plain(default_factory=now)
    ended_at: datetime | None = plain(default=None)


class UsageTotal(SQLModel, table=True):
    """What a whole month came to for one model, over all organizations together. It leads back to nobody.

    A model that few have called is counted under the name "" with others like it, or not at all.
    """

    __tablename__ = "usage_total"
    __table_args__ = ({"info": {"rows": Rows("Totals of a month, over everybody", USAGE_ANALYTICS, since="month")}},)

    month: datetime = plain(primary_key=True)  # its first moment, UTC
    model: str = plain(primary_key=True, max_length=64)
    organizations: int = plain()  # how many it was made of: never fewer than the smallest group
    requests: int = plain(sa_type=BigInteger)
    errors: int = plain(sa_type=BigInteger)
    input_tokens: int = plain(sa_type=BigInteger)
    output_tokens: int = plain(sa_type=BigInteger)
    units: int = plain(sa_type=BigInteger)
