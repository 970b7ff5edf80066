"""The models that can be called, as data that staff edit."""

from datetime import datetime

from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.marks import PRODUCT, Rows, plain


class Model(SQLModel, table=True):
    """A model name that callers use; `upstream_model` is its name at `upstream`, as the settings call that.

    `family` is chat, embeddings, moderations, rerank, transcriptions, speech or images.
    """

    __tablename__ = "model"
    __table_args__ = ({"info": {"rows": Rows("Models", PRODUCT)}},)

    id: str = plain(primary_key=True, max_length=64)
    family: str = plain(max_length=16)
    title: str = plain(max_length=120)
    upstream_model: str = plain(max_length=120)
    upstream: str = plain(default="", max_length=32, sa_column_kwargs={"server_default": ""})  # "" is the usual one
    context_tokens: int = plain(default=128_000)
    max_output_tokens: int = plain(default=4_096)
    dimensions: int | None = plain(default=None)
    retired_at: datetime | None = plain(default=None)
    created_at: datetime = plain(default_factory=now)
