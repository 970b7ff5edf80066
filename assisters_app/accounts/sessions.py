"""Signed-in browsers: opened, resolved at every click, listed, ended.

    open_session(tx, account, client) -> Secret        the cookie's value; sent once, only its SHA-256 is stored
    resolve(raw) -> Person | None                      who a cookie's value stands for, now
    resolve_fingerprint(mark) -> Person | None         the same, for a live socket
    listed(tx, person) -> list[SessionRow]
    sign_out(tx, person)
    sign_out_everywhere(tx, person) -> int             this browser included
    revoke(tx, person, session_id)                     raises NotFound
    forget(fingerprint)                                what a process does when it hears ("session", fingerprint)

The value of a cookie stays the same for a session's life: a live socket keeps the headers it was opened with.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, select, update

from assisters_app.accounts.client import Client
from assisters_app.accounts.rights import Role, role_named
from assisters_app.accounts.tables import Account, Membership, Organization, Session
from assisters_app.base import trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.crypto import fingerprint
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import NotFound
from assisters_app.base.secrets import Secret, random_token

IDLE = timedelta(days=14)  # a browser not seen for this long is signed out
AT_MOST = timedelta(days=90)  # and any browser after this, seen or not; also the cookie's Max-Age
TOUCH = timedelta(minutes=5)  # how often being seen is written down
REMEMBERED = timedelta(seconds=1)  # the longest a process trusts what it knows without being told of a change
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, in which browser, for which organization. What every domain function is given as `who`."""

    account_id: UUID
    session_id: UUID
    email: str
    name: str
    role: Role
    organization_id: UUID
    organization_name: str
    verified: bool
    reauthenticated_at: datetime
    time_zone: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One signed-in browser, as its owner sees it."""

    id: UUID
    current: bool
    user_agent: str
    ip: str
    opened_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class _Known:
    person: Person
    until: datetime


_known: dict[str, _Known] = {}


async def open_session(tx: Tx, account: Account, client: Client) -> Secret:
    """Sign `account` in on one browser and return its cookie's value."""
    cookie = random_token()
    session = Session(
        fingerprint=fingerprint(cookie.reveal()),
        account_id=account.id,
        expires_at=now() + IDLE,
        ip=client.ip,
        user_agent=client.user_agent,
    )
    tx.add(session)
    trail.write(tx, "session:opened", account_id=account.id, actor_id=account.id, session=str(session.id))
    return cookie


async def resolve(raw: str) -> Person | None:
    """Return who the cookie's value `raw` stands for, or None: unknown, expired, revoked, suspended.

    Opens its own transaction: it is asked before there is a person to open one for. Being seen makes the session last.
    """
    return await resolve_fingerprint(fingerprint(raw)) if raw else None


async def resolve_fingerprint(mark: str) -> Person | None:
    """As `resolve`, for a live socket: what is kept of it holds the cookie's fingerprint, never the cookie."""
    known = _known.get(mark)
    if known and known.until > now():
        return known.person
    async with transaction() as tx:
        person = await _read(tx, mark)
    _remember(mark, person)
    return person


def forget(mark: str) -> None:
    """Trust nothing remembered about the session with this fingerprint any longer."""
    _known.pop(mark, None)


async def as_if_signed_in(tx: Tx, account_id: UUID) -> Person:
    """Return the owner of an account as they would be once signed in: for what they prove in another way.

    Raises NotFound. The session has a number that no browser has.
    """
    owned = select(Account, Organization).join(Organization, col(Organization.owner_id) == Account.id)
    found = (await tx.exec(owned.where(Account.id == account_id).order_by(col(Organization.created_at)))).first()
    if found is None:
        raise NotFound("account")
    return _person(Session(account_id=account_id, fingerprint="", expires_at=now()), *found)


async def listed(tx: Tx, person: Person) -> list[SessionRow]:
    """Return the live sessions of `person`, the last seen first."""
    theirs = select(Session).where(*_live(), Session.account_id == person.account_id)
    found = await tx.exec(theirs.order_by(col(Session.last_seen_at).desc()))
    return [
        SessionRow(s.id, s.id == person.session_id, s.user_agent, s.ip, s.created_at, s.last_seen_at) for s in found
    ]


async def sign_out(tx: Tx, person: Person) -> None:
    """End the session that `person` is asking in."""
    await revoke(tx, person, person.session_id)


async def revoke(tx: Tx, person: Person, session_id: UUID) -> None:
    """End one session of `person`; raise NotFound when it is not a live one of theirs."""
    ended = await _end(tx, person.account_id, only=session_id)
    if not ended:
        raise NotFound("session")
    trail.write(tx, "session:ended", account_id=person.account_id, actor_id=person.account_id, session=str(session_id))


async def sign_out_everywhere(tx: Tx, person: Person) -> int:
    """End every session of `person`, this one too; return how many there were."""
    return await end_all(tx, person.account_id, actor_id=person.account_id)


async def end_all(tx: Tx, account_id: UUID, *, actor_id: UUID | None, but: UUID | None = None) -> int:
    """End every session of an account, except `but`; return how many there were. For resets, suspension, erasure."""
    ended = await _end(tx, account_id, but=but)
    trail.write(tx, "session:ended-all", account_id=account_id, actor_id=actor_id, sessions=ended)
    return ended


async def changed(tx: Tx, account_id: UUID) -> None:
    """Tell every process that what it knows about this account's sessions is out of date."""
    marks = await tx.exec(select(Session.fingerprint).where(*_live(), Session.account_id == account_id))
    _announce(tx, marks.all())


async def _end(tx: Tx, account_id: UUID, *, only: UUID | None = None, but: UUID | None = None) -> int:
    ending = update(Session).where(*_live(), col(Session.account_id) == account_id).values(revoked_at=now())
    if only:
        ending = ending.where(col(Session.id) == only)
    if but:
        ending = ending.where(col(Session.id) != but)
    marks = (await tx.exec(ending.returning(col(Session.fingerprint)))).scalars().all()
    _announce(tx, marks)
    return len(marks)


def _announce(tx: Tx, marks: Iterable[str]) -> None:
    """Once `tx` stands: forget here at once, and tell the other processes."""
    for mark in marks:
        tx.afterwards(functools.partial(_forget_everywhere, mark))


async def _forget_everywhere(mark: str) -> None:
    forget(mark)
    await valkey.announce("session", mark)


async def _read(tx: Tx, mark: str) -> Person | None:
    found = (
        await tx.exec(
            select(Session, Account, Organization)
            .join(Account, col(Account.id) == Session.account_id)
            .join(Membership, col(Membership.account_id) == Account.id)
            .join(Organization, col(Organization.id) == Membership.organization_id)
            .where(*_live(), Session.fingerprint == mark, col(Account.suspended_at).is_(None))
            .order_by(col(Membership.created_at))
            .limit(1)
        )
    ).first()
    if found is None:
        return None
    session, account, organization = found
    await _touch(tx, session)
    return _person(session, account, organization)


async def _touch(tx: Tx, session: Session) -> None:
    if session.last_seen_at > now() - TOUCH:
        return
    until = min(now() + IDLE, session.created_at + AT_MOST)
    await tx.exec(
        update(Session)
        .where(col(Session.id) == session.id, col(Session.revoked_at).is_(None))
        .values(last_seen_at=now(), expires_at=until)
    )


def _person(session: Session, account: Account, organization: Organization) -> Person:
    return Person(
        account_id=account.id,
        session_id=session.id,
        email=account.email,
        name=account.name,
        role=role_named(account.role),
        organization_id=organization.id,
        organization_name=organization.name,
        verified=account.verified_at is not None,
        reauthenticated_at=session.reauthenticated_at,
        time_zone=account.time_zone,
    )


def _remember(mark: str, person: Person | None) -> None:
    """Keep what was read for a moment. Nobody is not kept: strangers could fill the memory with made-up cookies."""
    if person is None:
        forget(mark)
        return
    if len(_known) >= MOST_REMEMBERED:
        _known.clear()
    _known[mark] = _Known(person, now() + REMEMBERED)


def _live() -> tuple[ColumnElement[bool], ...]:
    return (col(Session.revoked_at).is_(None), col(Session.expires_at) > now())
