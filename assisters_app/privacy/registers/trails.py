"""The audit trail as it is read: by the person whom it is about, and by staff (policy 5.5).

    mine(tx, who, after=None, others=False) -> Page     what was done with one's account; `others`: not by oneself
    of_account(tx, staff, account_id) -> Page           what the owner of one account reads, and who of us did it
    everyones(tx, staff, after=None, which=Which()) -> Page    the whole house; the reading is itself written down
    compared(tx, staff, organization_ids)                      staff saw these organizations' sums

Newest first; `Page.next` is what to pass as `after`. A person learns that staff looked, never which of them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, text
from sqlmodel import col, select

from assisters_app.accounts.people import masked
from assisters_app.accounts.rights import STAFF, is_staff, require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import trail
from assisters_app.base.db import SCHEMA, Tx
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import promises
from assisters_app.privacy.registers.deeds import in_words

SIZE = 50
LOOKS = ("account:listed", "trail:read", "usage:compared")  # what staff sees in lists: of many people, an entry each
UNLOCKED = text(
    "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema "
    "AND relkind IN ('r', 'p') AND NOT relrowsecurity AND relname <> 'alembic_version' ORDER BY 1"
)
GRANTED = text(
    "SELECT DISTINCT table_name::text FROM information_schema.role_table_grants "
    "WHERE table_schema = :schema AND grantee <> current_user ORDER BY 1"
)
By = Literal["you", "staff", "software", "member"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done. `action` is `noun:verb`, `words` the same to read, `details` names and values."""

    id: UUID
    at: datetime
    action: str
    words: str
    by: By
    actor: str  # for staff only: who did it; "" for the software, and once that account is gone
    account_id: UUID | None  # for staff only: about whom
    account: str  # for staff only: the masked address, "" where it is about nobody or the account is gone
    ip: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, and what to pass as `after` for those that follow (None: there are none)."""

    entries: tuple[Entry, ...]
    next: UUID | None


@dataclass(frozen=True, slots=True)
class Which:
    """What staff asks the trail for; None means all. `action` is the beginning of one, such as `account:`."""

    account_id: UUID | None = None
    action: str | None = None
    by_staff: bool = False
    looks: bool = False  # looks at lists, an entry for each person on them, instead of all else


async def mine(tx: Tx, who: Person, after: UUID | None = None, *, others: bool = False) -> Page:
    """Return what was done with the account of `who`; with `others`, only what they did not do themselves."""
    wanted = col(TrailEntry.account_id) == who.account_id
    not_by_them = or_(col(TrailEntry.actor_id).is_(None), col(TrailEntry.actor_id) != who.account_id)
    return await _page(tx, wanted & not_by_them if others else wanted, after, who)


async def of_account(tx: Tx, staff: Person, account_id: UUID) -> Page:
    """Return the newest entries about one account, for who may open it; raise NotFound for anyone else."""
    require(staff, "accounts")
    return await _read(tx, staff, None, Which(account_id=account_id))


async def everyones(tx: Tx, staff: Person, after: UUID | None = None, which: Which = Which()) -> Page:
    """Return the whole trail for who may read that; raise NotFound for anyone else."""
    require(staff, "trail")
    return await _read(tx, staff, after, which)


async def compared(tx: Tx, staff: Person, organization_ids: Collection[UUID]) -> None:
    """Write down that staff saw these organizations' sums beside each other, where their owners read it."""
    owners = select(Organization.owner_id).where(col(Organization.id).in_(organization_ids))
    await trail.looked(tx, "usage:compared", (await tx.exec(owners)).all(), staff.account_id)


@promises.check("5.5", says="Nobody but the software itself can read a table, whoever else may reach the database.")
async def only_the_software_reads(tx: Tx) -> str:
    """Look in the database's own catalogue for tables without row level security, and for grants to others."""
    unlocked = (await tx.sql(UNLOCKED, {"schema": SCHEMA})).scalars().all()
    if unlocked:
        raise promises.Broken(f"These tables are not locked: {', '.join(unlocked[:5])}.")
    granted = (await tx.sql(GRANTED, {"schema": SCHEMA})).scalars().all()
    if granted:
        raise promises.Broken(f"Others were granted access to these tables: {', '.join(granted[:5])}.")
    looks = select(func.count()).where(col(TrailEntry.action).in_((*LOOKS, "account:viewed")))
    return (
        f"Every table is locked. {(await tx.exec(looks)).one()} looks of staff stand in the trails of those concerned."
    )


async def _read(tx: Tx, staff: Person, after: UUID | None, which: Which) -> Page:
    page = await _page(tx, _asked_for(which), after, None)
    await trail.looked(tx, "trail:read", {one.account_id for one in page.entries if one.account_id}, staff.account_id)
    return page


def _asked_for(which: Which) -> ColumnElement[bool]:
    in_lists = col(TrailEntry.action).in_(LOOKS)
    wanted: ColumnElement[bool] = in_lists if which.looks else ~in_lists
    if which.account_id:
        wanted &= col(TrailEntry.account_id) == which.account_id
    if which.action:
        wanted &= col(TrailEntry.action).startswith(which.action, autoescape=True)
    if which.by_staff:
        wanted &= col(TrailEntry.actor_id).in_(select(col(Account.id)).where(col(Account.role).in_(STAFF)))
    return wanted


async def _page(tx: Tx, wanted: ColumnElement[bool], after: UUID | None, reader: Person | None) -> Page:
    newest = select(TrailEntry).where(wanted).order_by(col(TrailEntry.id).desc()).limit(SIZE + 1)
    if after is not None:
        newest = newest.where(col(TrailEntry.id) < after)  # ids are ordered by the time they were made
    found = (await tx.exec(newest)).all()
    people = await _people(tx, {one for entry in found for one in (entry.account_id, entry.actor_id) if one})
    entries = tuple(_entry(entry, reader, people) for entry in found[:SIZE])
    return Page(entries, entries[-1].id if len(found) > SIZE else None)


async def _people(tx: Tx, ids: set[UUID]) -> dict[UUID, Account]:
    found = await tx.exec(select(Account).where(col(Account.id).in_(ids)))
    return {account.id: account for account in found}


def _entry(entry: TrailEntry, reader: Person | None, people: Mapping[UUID, Account]) -> Entry:
    owner = people.get(entry.account_id) if entry.account_id else None
    actor = people.get(entry.actor_id) if entry.actor_id else None
    by_reader = reader is not None and entry.actor_id == reader.account_id
    for_staff = reader is None
    return Entry(
        id=entry.id,
        at=entry.created_at,
        action=entry.action,
        words=in_words(entry.action),
        by="you" if by_reader else _by(entry, actor),
        actor=_named(actor) if for_staff else "",
        account_id=entry.account_id if for_staff else None,
        account=masked(owner.email) if for_staff and owner else "",
        ip=entry.ip if for_staff or by_reader else "",
        details=tuple((name.replace("_", " "), str(value)) for name, value in sorted(entry.details.items())),
    )


def _by(entry: TrailEntry, actor: Account | None) -> By:
    if entry.actor_id is None:
        return "software"
    return "staff" if actor and is_staff(actor.role) else "member"


def _named(actor: Account | None) -> str:
    """Return who acted: staff by name, because they answer for it; others masked."""
    if actor is None:
        return ""
    return actor.email if is_staff(actor.role) else masked(actor.email)
