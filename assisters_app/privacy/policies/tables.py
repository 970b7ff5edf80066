"""What the promises' checks found last, which versions of the policy were published, and who was told of what."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from assisters_app.base.clock import now
from assisters_app.base.marks import ACCOUNT, PRODUCT, Purpose, Rows, personal, plain


class PromiseResult(SQLModel, table=True):
    """What one check found when it looked last. `found` is a sentence for the public page and names nobody."""

    __tablename__ = "promise_result"
    __table_args__ = ({"info": {"rows": Rows("What the checks of our promises found", PRODUCT)}},)

    name: str = plain(primary_key=True, max_length=64)
    holds: bool = plain()
    found: str = plain(max_length=500)
    since: datetime = plain()  # when it began to hold, or to be broken, as it is now
    looked_at: datetime = plain()


class PolicyVersion(SQLModel, table=True):
    """A published version. The database refuses to change or delete one (migration 0008)."""

    __tablename__ = "policy_version"
    __table_args__ = (
        CheckConstraint("NOT material OR effective_at >= published_at + INTERVAL '30 days'", name="told_ahead"),
        {"info": {"rows": Rows("Published versions of the privacy policy", PRODUCT)}},
    )

    version: str = plain(primary_key=True, max_length=16)
    sha256: str = plain(max_length=64)
    material: bool = plain()
    summary: str = plain(max_length=500)  # what changes, in a sentence for everyone
    published_at: datetime = plain()
    effective_at: datetime = plain()


class PolicyTold(SQLModel, table=True):
    """What a person was told, and what they did about it: the first time only.

    `notice` is a version of the policy or the handle of a transfer. `kind` is 'notified' (a mail was sent), 'flashed'
    (the dashboard showed it), 'viewed' (they opened what changes for them), 'agreed' (they said they have read it) or
    'used' (the first use of the product while the version was in force).
    """

    __tablename__ = "policy_told"
    __table_args__ = (
        {"info": {"rows": Rows("Changes of our policy you were told of", ACCOUNT, account="account_id")}},
    )

    account_id: UUID = plain(foreign_key="account.id", primary_key=True)
    notice: str = plain(primary_key=True, max_length=32)
    kind: str = personal(
        "user.behavior", Purpose.NOTICES, Purpose.LAW, collected_as="1.1", primary_key=True, max_length=16
    )
    sha256: str = plain(max_length=64)  # of the text they were told of; '' for a transfer
    created_at: datetime = plain(default_factory=now)


class Transfer(SQLModel, table=True):
    """A merger, acquisition or sale that everybody was told of before their data may go (policy 3.7)."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("transfers_at >= announced_at + INTERVAL '30 days'", name="told_ahead"),
        {"info": {"rows": Rows("Announced transfers of the business", PRODUCT)}},
    )

    handle: str = plain(primary_key=True, max_length=32)  # tra_…
    acquirer: str = plain(max_length=200)
    contact: str = plain(max_length=200)  # where the acquirer can be asked, as everybody is told
    announced_at: datetime = plain()
    transfers_at: datetime = plain()
    withdrawn_at: datetime | None = plain(default=None)
