"""Which rows are a person's: the one place that says so, for access, export, erasure and the scan after it.

subject_of(tx, account_id) -> Subject            raises NotFound
theirs(table, rows, subject)                     an SQL condition
shown(table, rows, subject)                      the same, without what an order of secrecy keeps from them
exported_columns(table, rows, subject)           the columns a person gets, others' identities masked
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Label, Table, and_, case, null, or_
from sqlmodel import col, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.base.marks import Rows, mark_of

EMAIL = "user.contact.email"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person by everything that leads to them. `email` is "" until it was proven to be theirs."""

    account_id: UUID
    email: str
    organization_ids: tuple[UUID, ...]
    handles: tuple[str, ...]  # of the organizations: they appear in Valkey's keys and in the trail
    customer_ids: tuple[str, ...]  # at Stripe

    @property
    def ids(self) -> tuple[UUID, ...]:
        """The account's and the organizations' ids."""
        return (self.account_id, *self.organization_ids)

    @property
    def names(self) -> tuple[str, ...]:
        """What machines call the person: found nowhere once they are erased."""
        return (*map(str, self.ids), *(one.hex for one in self.ids), *self.handles, *self.customer_ids)


async def subject_of(tx: Tx, account_id: UUID) -> Subject:
    """Return the person with this account; raise NotFound when there is none."""
    account = await tx.get(Account, account_id)
    if account is None:
        raise NotFound("account")
    owned = (await tx.exec(select(Organization).where(col(Organization.owner_id) == account_id))).all()
    return Subject(
        account_id=account_id,
        email=account.email if account.verified_at else "",
        organization_ids=tuple(one.id for one in owned),
        handles=tuple(one.handle for one in owned),
        customer_ids=tuple(one.stripe_customer_id for one in owned if one.stripe_customer_id),
    )


def theirs(table: Table, rows: Rows, subject: Subject) -> ColumnElement[bool]:
    """Return the condition that a row of `table` is this person's.

    A row that names no account is theirs by their proven address: a request by mail, a message to them.
    """
    if rows.organization:
        return table.c[rows.organization].in_(subject.organization_ids)
    owner = table.c[rows.account or ""]
    addresses = [column for column in table.c if mark_of(column).category == EMAIL]
    if not (subject.email and owner.nullable and addresses):
        return owner == subject.account_id
    addressed = or_(*(column == subject.email for column in addresses))
    return or_(owner == subject.account_id, and_(owner.is_(None), addressed))


def shown(table: Table, rows: Rows, subject: Subject) -> ColumnElement[bool]:
    """Return the condition that a row of `table` is this person's and may be shown to them."""
    mine = theirs(table, rows, subject)
    return and_(mine, table.c[rows.told].is_not(None)) if rows.told else mine


def exported_columns(table: Table, rows: Rows, subject: Subject) -> list[ColumnElement[Any]]:
    """Return the columns that the person gets of `table`; none where its rows are not exported.

    Who else did something to their data stays hidden: such a column is empty unless it speaks of them.
    """
    if not rows.export:
        return []
    return [_seen_by(subject, column, rows) for column in table.c if mark_of(column).export]


def _seen_by(subject: Subject, column: Column[Any], rows: Rows) -> ColumnElement[Any]:
    about = column.name if column.name in rows.mentions else mark_of(column).about
    if about is None:
        return column
    hidden: Label[Any] = case((column.table.c[about] == subject.account_id, column), else_=null()).label(column.name)
    return hidden
