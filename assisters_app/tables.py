"""Every feature's tables in one place, for alembic, the marks and the tests."""

from sqlmodel import SQLModel

from assisters_app.accounts import tables as accounts
from assisters_app.base import tables as base
from assisters_app.billing import tables as billing
from assisters_app.gateway import tables as gateway
from assisters_app.keys import tables as keys
from assisters_app.privacy import tables as privacy
from assisters_app.usage import tables as usage

metadata = SQLModel.metadata

__all__ = ["accounts", "base", "billing", "gateway", "keys", "metadata", "privacy", "usage"]
