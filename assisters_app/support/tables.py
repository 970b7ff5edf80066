"""Conversations with support, and the messages in them."""

from datetime import datetime
from uuid import UUID

from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.marks import SUPPORT, Purpose, Rows, personal, plain


class Conversation(SQLModel, table=True):
    """One thing somebody asked about. `waiting_since` is when the first message came that has no answer yet."""

    __tablename__ = "conversation"
    __table_args__ = ({"info": {"rows": Rows("Your conversations with support", SUPPORT, account="account_id")}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    handle: str = plain(unique=True, max_length=32)  # sup_…
    account_id: UUID = plain(foreign_key="account.id", index=True)
    subject: str = personal("user.content.private", Purpose.SUPPORT, collected_as="1.1", max_length=120)
    created_at: datetime = plain(default_factory=now)
    waiting_since: datetime | None = plain(default=None, index=True)
    closed_at: datetime | None = plain(default=None)


class SupportMessage(SQLModel, table=True):
    """One message: what the person wrote, or what we answered (`from_us`; who of us is in the trail)."""

    __tablename__ = "support_message"
    __table_args__ = ({"info": {"rows": Rows("What you and support wrote", SUPPORT, account="account_id")}},)

    id: UUID = plain(default_factory=new_id, primary_key=True)
    conversation_id: UUID = plain(foreign_key="conversation.id", index=True)
    account_id: UUID = plain(foreign_key="account.id", index=True)
    from_us: bool = plain(default=False)
    text: str = personal("user.content.private", Purpose.SUPPORT, collected_as="1.1")
    created_at: datetime = plain(default_factory=now)
