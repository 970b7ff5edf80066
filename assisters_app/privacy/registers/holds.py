"""Legal holds (policy 2.8, 3.6; GDPR Art. 17(3)(b) and (e)): what the law makes us keep, and nothing beside it.

    before_destroying(tx) -> Holds            for whoever erases or sweeps: no hold can come in between
    in_force(tx) -> Holds                     for whoever only looks
    held(tx, table, account_ids | organization_ids) -> bool

    place(tx, staff, NewHold) -> HoldRow      audited; the person is told, unless an order of secrecy is recorded
    renew(tx, staff, handle, reason, review_by), tell(tx, staff, handle), release(tx, staff, handle, reason)
    listed(tx, staff), mine(tx, who)          frozen, the newest first

A hold names one account, some tables, or some tables of one account, and blocks only that, and what the held rows hang
on. Once it is released, what waited for it goes by itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Table, and_, false, func, or_, text, true, update
from sqlmodel import col, select

from assisters_app import tables as all_tables
from assisters_app.accounts import emails, reauthentication
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs, lasting, mail, trail
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.base.marks import Rows, mark_of, rows_of
from assisters_app.base.settings import settings
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.belonging import EMAIL
from assisters_app.privacy.registers.tables import LegalHold

LOCK = 7_236_003  # advisory: shared by whoever destroys, alone for whoever places a hold
LONGEST = 12  # months until somebody must have looked at a hold again, and that an order of secrecy is taken to last
NEVER = ("request_content",)  # its keys end within 24 hours whatever is asked (policy 4.3): there is nothing to keep
ALWAYS_LAST = ("account", "organization")  # a purge keeps these anyway while something of the person waits


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold in force, with all that leads to its person."""

    handle: str
    account_id: UUID | None  # None: everyone's
    tables: frozenset[str]  # empty: every table
    organization_ids: tuple[UUID, ...] = ()
    email: str = ""
    told: bool = True

    def names(self, table_name: str) -> bool:
        """Return whether the hold names this table, or one whose rows hang on its rows."""
        return table_name not in NEVER and (not self.tables or table_name in self.tables)


@dataclass(frozen=True, slots=True)
class Holds:
    """The holds in force at one moment."""

    each: tuple[Hold, ...] = ()

    def on(self, account_id: UUID) -> "Holds":
        """Return what holds something of this account: its own holds, and those of tables of everyone."""
        return Holds(tuple(one for one in self.each if one.account_id in (None, account_id)))

    @property
    def whole(self) -> bool:
        """True when one of them holds everything, what processors have included."""
        return any(not one.tables for one in self.each)

    def told(self) -> "Holds":
        """Return those that their person may be told of."""
        return Holds(tuple(one for one in self.each if one.told))

    def names(self, table_name: str) -> str:
        """Return the handles of the holds that keep rows of this table, for people to read."""
        return ", ".join(sorted(one.handle for one in self.on_table(table_name)))

    def on_table(self, table_name: str) -> tuple[Hold, ...]:
        """Return the holds that keep rows of this table."""
        return tuple(one for one in self.each if one.names(table_name))

    def keep_all(self, table_name: str) -> bool:
        """Return whether everyone's rows of this table are held."""
        return any(one.account_id is None for one in self.on_table(table_name))

    def organization_ids(self, table_name: str) -> tuple[UUID, ...]:
        """Return the organizations whose rows of this table are held, one by one."""
        return tuple({each for one in self.on_table(table_name) for each in one.organization_ids})

    def keep(self, table: Table, rows: Rows) -> ColumnElement[bool]:
        """Return the condition that a row of `table` is held. It is never NULL."""
        holds = self.on_table(table.name)
        if any(one.account_id is None for one in holds):
            return true()
        return or_(false(), *(_held_rows(table, rows, one) for one in holds))


NONE = Holds()


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One hold, as staff or its person see it. `email` is for staff, "" where it names no account that still exists."""

    handle: str
    email: str
    account_id: UUID | None
    tables: tuple[str, ...]  # titles for people; empty: everything
    ground: str
    placed_at: datetime
    review_by: datetime
    secrecy: str
    secret_until: datetime | None
    told_at: datetime | None
    released_at: datetime | None
    release_reason: str

    @property
    def state(self) -> str:
        """Return in force, to be reviewed, or released."""
        if self.released_at:
            return "released"
        return "to be reviewed" if self.review_by < now() else "in force"


class NewHold(BaseModel):
    """What staff fills in. Tables without an address are everyone's; an address without tables means all of it."""

    email: str = ""
    tables: tuple[str, ...] = ()
    ground: str = Field(max_length=500)
    review_by: datetime
    secrecy: str = Field(default="", max_length=500)
    secret_until: datetime | None = None


async def before_destroying(tx: Tx) -> Holds:
    """Return the holds in force, and keep new ones waiting until `tx` ends: nothing that they name goes meanwhile."""
    await tx.sql(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
    return await in_force(tx)


async def in_force(tx: Tx, *, since: datetime | None = None) -> Holds:
    """Return the holds in force; with `since`, also those that were released after it."""
    released = col(LegalHold.released_at)
    held = or_(released.is_(None), released > since) if since else released.is_(None)
    found = (await tx.exec(select(LegalHold).where(held))).all()
    people = [hold.account_id for hold in found if hold.account_id]
    if not people:
        return Holds(tuple(_hold(hold) for hold in found))
    addresses = dict((await tx.exec(select(Account.id, Account.email).where(col(Account.id).in_(people)))).all())
    owned: dict[UUID, list[UUID]] = {}
    organizations = select(Organization.owner_id, Organization.id).where(col(Organization.owner_id).in_(people))
    for owner_id, organization_id in await tx.exec(organizations):
        owned.setdefault(owner_id, []).append(organization_id)
    return Holds(tuple(_hold(hold, owned, addresses) for hold in found))


async def held(
    tx: Tx, table: str, *, account_ids: Collection[UUID] = (), organization_ids: Collection[UUID] = ()
) -> bool:
    """Return whether a hold keeps rows of `table` of one of these accounts or organizations."""
    return any(
        one.account_id is None
        or one.account_id in account_ids
        or not set(organization_ids).isdisjoint(one.organization_ids)
        for one in (await in_force(tx)).on_table(table)
    )


async def place(tx: Tx, staff: Person, new: NewHold) -> HoldRow:
    """Place a hold. Raises Refused: nothing_named, bad_table, no_ground, bad_date, no_order, not_found."""
    require(staff, "holds")
    reauthentication.require_recent(staff)
    names, ground, secrecy = _named(new.tables), " ".join(new.ground.split()), " ".join(new.secrecy.split())
    if not new.email.strip() and not names:
        raise Refused("Name an account, or at least one table.", code="nothing_named", field="email")
    if not ground:
        raise Refused("Name the order or the claim.", code="no_ground", field="ground")
    _require_soon(new.review_by, "review_by")
    if bool(secrecy) != bool(new.secret_until):
        raise Refused("Secrecy needs the order that demands it, and its end.", code="no_order", field="secrecy")
    if new.secret_until:
        _require_soon(new.secret_until, "secret_until")
    await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    account = await _account_of(tx, new.email) if new.email.strip() else None  # of now: a purge may have just ended
    if secrecy and account is None:
        raise Refused("Secrecy is about one person.", code="no_order", field="secrecy")
    hold = LegalHold(
        handle=handle("hold"),
        account_id=account.id if account else None,
        table_names=" ".join(names),
        ground=ground,
        review_by=new.review_by,
        secrecy=secrecy,
        secret_until=new.secret_until,
        told_at=None if secrecy else now(),
    )
    tx.add(hold)
    await lasting.changed(tx, "hold", hold.handle)
    _write(tx, staff, "hold:placed", hold, tables=hold.table_names or "all", secret="yes" if secrecy else "no")
    if account and not secrecy:
        await mail.send(tx, account.email, _placed(hold), account_id=account.id)
    return _row(hold, account.email if account else "")


async def renew(tx: Tx, staff: Person, hold_handle: str, reason: str, review_by: datetime) -> None:
    """Keep a hold in force after somebody has looked at it again. Raises Refused, NotFound."""
    hold = await _open(tx, staff, hold_handle)
    _require_reason(reason)
    _require_soon(review_by, "review_by")
    hold.review_by = review_by
    tx.add(hold)
    await lasting.changed(tx, "hold", hold.handle)
    _write(tx, staff, "hold:renewed", hold, reason=_short(reason), review_by=review_by.date().isoformat())


async def tell(tx: Tx, staff: Person, hold_handle: str) -> None:
    """End the secrecy of a hold: its person is told, and finds in their trail what was done."""
    hold = await _open(tx, staff, hold_handle)
    if hold.told_at:
        raise Refused("The person has been told already.", code="told", status=409)
    await _tell(tx, hold, staff.account_id)


async def release(tx: Tx, staff: Person, hold_handle: str, reason: str) -> None:
    """End a hold: every erasure that waited for it is carried out now, and the next sweep takes what is too old."""
    hold = await _open(tx, staff, hold_handle)
    _require_reason(reason)
    hold.released_at, hold.release_reason = now(), _short(reason)
    tx.add(hold)
    await lasting.changed(tx, "hold", hold.handle)
    _write(tx, staff, "hold:released", hold, reason=hold.release_reason)
    account = await tx.get(Account, hold.account_id) if hold.account_id else None
    if account and hold.told_at:
        await mail.send(tx, account.email, _released(hold), account_id=account.id)
    await jobs.enqueue(tx, "privacy.carry-out-erasures", once="carry-out-erasures")


async def tell_what_waits(tx: Tx, held: Holds, account_id: UUID) -> None:
    """Mail a person whose erasure waits for a hold which one it is; of a secret one nothing is said."""
    account = await tx.get_one(Account, account_id)
    if named := [one.handle for one in held.told().on(account_id).each]:
        await mail.send(tx, account.email, _waits(named), account_id=account.id)


async def listed(tx: Tx, staff: Person) -> tuple[HoldRow, ...]:
    """Return every hold for staff, those in force first; whose hold it is can read that it was seen."""
    require(staff, "holds")
    asked = (
        select(LegalHold, Account.email)
        .join(Account, col(Account.id) == LegalHold.account_id, isouter=True)
        .order_by(col(LegalHold.released_at).is_not(None), col(LegalHold.created_at).desc())
        .limit(500)
    )
    found = (await tx.exec(asked)).all()
    for hold, email in found:
        if email:
            _write(tx, staff, "hold:viewed", hold)
    return tuple(_row(hold, email or "") for hold, email in found)


async def mine(tx: Tx, who: Person) -> tuple[HoldRow, ...]:
    """Return the holds on the data of `who` of which they may be told, the newest first."""
    found = await tx.exec(
        select(LegalHold)
        .where(col(LegalHold.account_id) == who.account_id, col(LegalHold.told_at).is_not(None))
        .order_by(col(LegalHold.created_at).desc())
    )
    return tuple(_row(hold, "") for hold in found)


def tables() -> tuple[tuple[str, str], ...]:
    """Return the name and the title of each table that a hold may name."""
    return tuple((table.name, rows.title) for table, rows in inventory.personal_tables() if table.name not in NEVER)


@jobs.job("privacy.tell-of-holds", every="37 * * * *")
async def tell_when_secrecy_ends() -> None:
    """Tell each person whose order of secrecy has run out: no order is taken to last longer than it says."""
    async with transaction() as tx:
        over = col(LegalHold.secret_until) <= now()
        asked = select(LegalHold).where(over, col(LegalHold.told_at).is_(None)).with_for_update()
        for hold in (await tx.exec(asked)).all():
            await _tell(tx, hold, None)


@promises.check("2.8", says="Every table kept after an erasure names its ground and its end, and no hold is overdue.")
async def kept_for_a_reason(tx: Tx) -> str:
    """Look at the marks, and for holds that nobody has looked at again in time."""
    kept = [entry for entry in inventory.inventory() if entry.on_erase == "keep"]
    if nameless := [entry.name for entry in kept if not (entry.ground and rows_of_named(entry.name).retention.ends)]:
        raise promises.Broken(f"These tables are kept without a ground or an end: {', '.join(nameless)}.")
    overdue = select(func.count()).where(col(LegalHold.released_at).is_(None), col(LegalHold.review_by) < now())
    if count := (await tx.exec(overdue)).one():
        raise promises.Broken(f"{count} legal holds were to be looked at again by now.")
    return f"{len(kept)} tables are kept after an erasure; each names its ground and its end."


def rows_of_named(table_name: str) -> Rows:
    """Return what the rows of the table of this name are."""
    return rows_of(all_tables.metadata.tables[table_name])


def _hold(
    hold: LegalHold, owned: Mapping[UUID, list[UUID]] | None = None, addresses: Mapping[UUID, str] | None = None
) -> Hold:
    if hold.account_id is None:
        return Hold(hold.handle, None, _with_parents(hold.table_names), told=hold.told_at is not None)
    return Hold(
        hold.handle,
        hold.account_id,
        _with_parents(hold.table_names),
        tuple((owned or {}).get(hold.account_id, ())),
        (addresses or {}).get(hold.account_id, ""),
        hold.told_at is not None,
    )


def _with_parents(table_names: str) -> frozenset[str]:
    """Return the named tables, and those that their rows hang on: a key goes with its last call, not before it."""
    named, waiting = set[str](), table_names.split()
    while waiting:
        name = waiting.pop()
        named.add(name)
        found = all_tables.metadata.tables.get(name)
        parents = {key.column.table.name for key in found.foreign_keys} if found is not None else set()
        waiting += parents - named - set(ALWAYS_LAST)
    return frozenset(named)


def _held_rows(table: Table, rows: Rows, hold: Hold) -> ColumnElement[bool]:
    """Return which rows one account's hold keeps: its own, its organizations', and those that name only its address."""
    if rows.organization:
        owner = table.c[rows.organization]
        return and_(owner.is_not(None), owner.in_(hold.organization_ids))
    if not rows.account:
        return false()
    owner = table.c[rows.account]
    own = and_(owner.is_not(None), owner == hold.account_id)
    addresses = [column for column in table.c if mark_of(column).category == EMAIL]
    if not (hold.email and owner.nullable and addresses):
        return own
    return or_(own, and_(owner.is_(None), *(func.coalesce(column, "") == hold.email for column in addresses)))


def _named(names: Collection[str]) -> list[str]:
    known = {name for name, _ in tables()}
    if unknown := set(names) - known:
        raise Refused(
            f"There is no table {min(unknown)[:64]} that leads to a person.", code="bad_table", field="tables"
        )
    return sorted(set(names))


def _require_soon(at: datetime, field: str) -> None:
    if not now() < at <= months_later(now(), LONGEST) + timedelta(days=1):
        raise Refused("Choose a day within the next twelve months.", code="bad_date", field=field)


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused("Give the reason.", code="no_reason", field="reason")


def _short(reason: str) -> str:
    return " ".join(reason.split())[:500]


async def _account_of(tx: Tx, email: str) -> Account:
    account = (await tx.exec(select(Account).where(Account.email == emails.normalized(email)))).first()
    if account is None:
        raise NotFound("account")
    return account


async def _open(tx: Tx, staff: Person, hold_handle: str) -> LegalHold:
    require(staff, "holds")
    reauthentication.require_recent(staff)
    found = await tx.exec(select(LegalHold).where(LegalHold.handle == hold_handle).with_for_update())
    hold = found.first()
    if hold is None:
        raise NotFound("hold")
    if hold.released_at:
        raise Refused("That hold has been released already.", code="released", status=409)
    return hold


async def _tell(tx: Tx, hold: LegalHold, actor_id: UUID | None) -> None:
    hold.told_at = now()
    tx.add(hold)
    await lasting.changed(tx, "hold", hold.handle)
    trail.write(tx, "hold:told", account_id=hold.account_id, actor_id=actor_id, hold=hold.handle)
    await tx.sql(
        update(TrailEntry)
        .where(col(TrailEntry.details)["hold"].astext == hold.handle, col(TrailEntry.account_id).is_(None))
        .values(account_id=hold.account_id)
    )
    account = await tx.get(Account, hold.account_id) if hold.account_id else None
    if account:
        said = _released(hold) if hold.released_at else _placed(hold)
        await mail.send(tx, account.email, said, account_id=account.id)


def _write(tx: Tx, staff: Person, action: str, hold: LegalHold, **details: str) -> None:
    """Write down what staff did, where the person reads it; while that is forbidden, where they will read it later."""
    whose = hold.account_id if hold.told_at else None
    trail.write(tx, action, account_id=whose, actor_id=staff.account_id, hold=hold.handle, **details)


def _row(hold: LegalHold, email: str) -> HoldRow:
    titles = dict(tables())
    return HoldRow(
        handle=hold.handle,
        email=email,
        account_id=hold.account_id,
        tables=tuple(titles.get(name, name) for name in hold.table_names.split()),
        ground=hold.ground,
        placed_at=hold.created_at,
        review_by=hold.review_by,
        secrecy=hold.secrecy,
        secret_until=hold.secret_until,
        told_at=hold.told_at,
        released_at=hold.released_at,
        release_reason=hold.release_reason,
    )


def _what(hold: LegalHold) -> str:
    titles = dict(tables())
    named = [titles.get(name, name).lower() for name in hold.table_names.split()]
    return ", ".join(named) if named else "everything of your account"


def _placed(hold: LegalHold) -> mail.Message:
    return mail.Message(
        "The law makes us keep some of your data",
        (
            f"We have to keep this for the time being: {_what(hold)}. The ground: {hold.ground}",
            "Until that ends it is neither erased nor swept, even if you close your account. All else is as it was.",
            f"We look at this again by {hold.review_by:%d %B %Y} at the latest. Its number is {hold.handle}.",
        ),
        ("See it in your dashboard", f"{settings().public_url}/dashboard/privacy/requests"),
    )


def _waits(handles: Collection[str]) -> mail.Message:
    return mail.Message(
        "Your account is erased, but for what the law makes us keep",
        (
            f"What you asked for is done, except for what a legal hold names: {', '.join(sorted(handles))}.",
            "Your address stays with it, so that we can tell you when that is gone too.",
            "When the hold ends the rest is erased by itself, and you get the receipt.",
        ),
    )


def _released(hold: LegalHold) -> mail.Message:
    return mail.Message(
        "We no longer have to keep your data",
        (
            f"The hold {hold.handle} has ended: {_what(hold)}.",
            "What was to be erased and waited for this is erased now; what is too old goes with the next sweep.",
        ),
    )
