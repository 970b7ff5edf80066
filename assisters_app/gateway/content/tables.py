"""What was said in a call (24 hours, where a key asks for it), the keys it is sealed to, and how those ended."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.marks import AUDIT_TRAIL, REQUEST_CONTENT, SHORT_LIVED, Purpose, Rows, personal, plain


class RequestContent(SQLModel, table=True):
    """What a caller sent and got in one call, sealed to the key of its bucket. `size` is in bytes, before sealing."""

    __tablename__ = "request_content"
    __table_args__ = (
        {
            "info": {
                "rows": Rows(
                    "What was said in your API requests", REQUEST_CONTENT, organization="organization_id", since="at"
                )
            }
        },
    )

    request_id: UUID = plain(primary_key=True)
    organization_id: UUID = plain(index=True)
    at: datetime = plain()  # when the call was admitted: its age counts from here
    bucket: datetime = plain(index=True)  # the beginning of the half hour whose key opens it
    size: int = plain()
    sealed: bytes = personal(
        "user.content", Purpose.SERVICE, collected_as="1.9", export=False, sa_type=LargeBinary
    )  # in an export it would be readable for longer than the policy says; it is read on its request's page


class ContentBucket(SQLModel, table=True):
    """The public half of a key that content of one half hour is sealed to. The private half is in no database."""

    __tablename__ = "content_bucket"
    __table_args__ = ({"info": {"rows": Rows("Keys of request content", SHORT_LIVED, since="begins")}},)

    begins: datetime = plain(primary_key=True)
    public_key: str = plain(max_length=44)  # X25519, base64
    created_at: datetime = plain(default_factory=now)


class ContentKeyEnd(SQLModel, table=True):
    """The destruction of one key, a signed link in a chain. Append-only; `facts` is the exact text that was signed."""

    __tablename__ = "content_key_end"
    __table_args__ = ({"info": {"rows": Rows("Destroyed keys of request content", AUDIT_TRAIL, since="destroyed_at")}},)

    number: int = plain(primary_key=True, sa_column_kwargs={"autoincrement": False})
    destroyed_at: datetime = plain()
    facts: str = plain()
    signature: str = plain(max_length=88)  # Ed25519, base64
