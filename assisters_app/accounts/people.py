"""What staff may do with accounts; every look at one is written where its owner can read it (policy 5.5).

    listed(tx, staff, Sought("ada"), after=None) -> Page    e-mail addresses are masked; keyset, newest first
    view(tx, staff, account_id) -> AccountView              writes `account:viewed`
    suspend(tx, staff, account_id, reason)                  raises Refused: no_reason, reauthenticate, own_account
    unsuspend(tx, staff, account_id)
    create_account(tx, email, role=None) -> str             for the command line; the address of a set-password page

Each raises NotFound for whoever does not have the right, and for what is not there.
"""

import functools
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select
from sqlmodel.sql.expression import Select

from assisters_app.accounts import emails, links, roles, sessions, signing_up
from assisters_app.accounts.identity import identity
from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import Role, require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.signing_in import APPEAL
from assisters_app.accounts.tables import Account, Membership, Organization
from assisters_app.base import lasting, mail, trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused

PAGE = 50
INVITED = timedelta(days=7)  # how long the command line's set-password link works


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account in a list: nothing that names its person."""

    id: UUID
    masked_email: str
    organization: str  # its handle
    plan: str
    role: str
    created_at: datetime
    verified: bool
    suspended: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """What an account is looked for by; `organizations` are those that a key named, None where none was asked for."""

    text: str = ""
    organizations: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some accounts, and what to pass as `after` for the ones that follow (None: there are none)."""

    rows: tuple[AccountRow, ...]
    next: UUID | None


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account as staff sees it."""

    id: UUID
    email: str
    name: str
    role: str
    time_zone: str
    created_at: datetime
    verified_at: datetime | None
    suspended_at: datetime | None
    suspension_reason: str
    organization_id: UUID
    organization_handle: str
    organization_name: str
    plan: str


async def listed(tx: Tx, staff: Person, sought: Sought = Sought(), after: UUID | None = None) -> Page:
    """Return a page of accounts, newest first: whose id or address it is, or whose name or organization contains it.

    Addresses are sealed in the database, so they are found whole or not at all.
    """
    require(staff, "accounts")
    wanted = _with_organization().order_by(col(Account.id).desc()).limit(PAGE + 1)
    if after is not None:
        wanted = wanted.where(col(Account.id) < after)  # ids are ordered by the time they were made
    if sought.organizations is not None:
        wanted = wanted.where(col(Organization.id).in_(sought.organizations))
    elif part := sought.text.strip():
        wanted = wanted.where(_is_or_contains(part))
    found = (await tx.exec(wanted)).all()
    await trail.looked(tx, "account:listed", [account.id for account, _ in found[:PAGE]], staff.account_id)
    rows = tuple(_row(account, organization) for account, organization in found[:PAGE])
    return Page(rows, rows[-1].id if len(found) > PAGE else None)


async def view(tx: Tx, staff: Person, account_id: UUID) -> AccountView:
    """Return one account; its owner can read that `staff` looked."""
    require(staff, "accounts")
    found = (await tx.exec(_with_organization().where(Account.id == account_id))).first()
    if found is None:
        raise NotFound("account")
    account, organization = found
    trail.write(tx, "account:viewed", account_id=account.id, actor_id=staff.account_id)
    return AccountView(
        id=account.id,
        email=account.email,
        name=account.name,
        role=account.role,
        time_zone=account.time_zone,
        created_at=account.created_at,
        verified_at=account.verified_at,
        suspended_at=account.suspended_at,
        suspension_reason=account.suspension_reason,
        organization_id=organization.id,
        organization_handle=organization.handle,
        organization_name=organization.name,
        plan=organization.plan,
    )


async def suspend(tx: Tx, staff: Person, account_id: UUID, reason: str) -> None:
    """Keep an account from being used, for a reason that its owner is told, with a way to appeal (policy 2.4)."""
    require(staff, "suspend")
    require_recent(staff)
    reason = " ".join(reason.split())[:500]
    if not reason:
        raise Refused("Give the reason; the owner of the account is told it.", code="no_reason", field="reason")
    if account_id == staff.account_id:
        raise Refused("You cannot suspend yourself.", code="own_account")
    await roles.take_turn(tx, staff)
    account = await _locked(tx, account_id)
    account.suspended_at, account.suspension_reason = now(), reason
    tx.add(account)
    await sessions.end_all(tx, account.id, actor_id=staff.account_id)
    await _announce(tx, account)
    await lasting.changed(tx, "account", account_id=account.id)
    trail.write(tx, "account:suspended", account_id=account.id, actor_id=staff.account_id)
    await mail.send(tx, account.email, _suspended(reason), account_id=account.id)


async def unsuspend(tx: Tx, staff: Person, account_id: UUID) -> None:
    """Let a suspended account be used again, and tell its owner."""
    require(staff, "suspend")
    require_recent(staff)
    await roles.take_turn(tx, staff)
    account = await _locked(tx, account_id)
    if account.suspended_at is None:
        return
    account.suspended_at, account.suspension_reason = None, ""
    tx.add(account)
    await _announce(tx, account)
    await lasting.changed(tx, "account", account_id=account.id)
    trail.write(tx, "account:unsuspended", account_id=account.id, actor_id=staff.account_id)
    await mail.send(tx, account.email, AGAIN, account_id=account.id)


async def create_account(tx: Tx, email: str, role: Role | None = None) -> str:
    """Return the address of the page where the owner of `email` sets a password, which proves the address too.

    An account that exists is given the role that is asked for, and keeps its password until a new one is set; where
    the address was never proven the password is forgotten, for anybody may have typed it.
    """
    email = emails.normalized(email)
    account = await signing_up.open_account(tx, email)
    if account is None:
        account = (await tx.exec(select(Account).where(Account.email == email).with_for_update())).one()
        if account.verified_at is None:
            await identity().remove(tx, account)
            await links.void(tx, account.id, "verify")
        await sessions.changed(tx, account.id)
    if role is not None and role != account.role:
        await roles.put(tx, account, role, None)
    await lasting.changed(tx, "account", account_id=account.id)
    trail.write(tx, "account:created", account_id=account.id, role=account.role)
    return await links.link(tx, account.id, "reset", lasting=INVITED)


AGAIN = mail.Message(
    "Your account is open again",
    ("Your Assisters account is no longer suspended. You can sign in, and your API keys work again.",),
)


def _suspended(reason: str) -> mail.Message:
    return mail.Message(
        "Your account was suspended",
        (
            f"Your Assisters account was suspended by a member of staff. Reason: {reason}",
            f"If you think this is wrong, write to {APPEAL}: another person will look at it.",
            "Your rights to access, export and erase your data are as they were; that address takes care of them.",
        ),
    )


def _with_organization() -> Select[Account, Organization]:
    return (
        select(Account, Organization)
        .join(Membership, col(Membership.account_id) == Account.id)
        .join(Organization, col(Organization.id) == Membership.organization_id)
        .where(Organization.owner_id == Account.id)
    )


def _is_or_contains(part: str) -> ColumnElement[bool]:
    with suppress(ValueError):
        number = UUID(part)
        return or_(col(Account.id) == number, col(Organization.id) == number)
    return or_(
        col(Account.email) == part,
        col(Account.name).icontains(part, autoescape=True),
        col(Organization.name).icontains(part, autoescape=True),
        col(Organization.handle).icontains(part, autoescape=True),
    )


def _row(account: Account, organization: Organization) -> AccountRow:
    return AccountRow(
        id=account.id,
        masked_email=masked(account.email),
        organization=organization.handle,
        plan=organization.plan,
        role=account.role,
        created_at=account.created_at,
        verified=account.verified_at is not None,
        suspended=account.suspended_at is not None,
    )


def masked(email: str) -> str:
    """Return an address that its owner would recognise and a stranger could not write to: `a…@example.com`."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}…@{domain}"


async def _locked(tx: Tx, account_id: UUID) -> Account:
    account = await tx.get(Account, account_id, with_for_update={"key_share": True})
    if account is None:
        raise NotFound("account")
    return account


async def _announce(tx: Tx, account: Account) -> None:
    """Once `tx` stands, tell every process what else hangs on this account: its keys stop, or work again."""
    owned = await tx.exec(select(Organization.id).where(Organization.owner_id == account.id))
    for organization_id in owned:
        tx.afterwards(functools.partial(valkey.announce, "organization", str(organization_id)))
