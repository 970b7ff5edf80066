"""What the sweeps found."""

from datetime import datetime
from uuid import UUID

from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import PRODUCT, Rows, plain


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
