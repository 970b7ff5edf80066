"""The register of privacy requests: one queue for dashboard and mail, two statutory clocks, kept 24 months.

    record(tx, kind, channel, …) -> PrivacyRequest      every access, export, deletion … writes one
    enter(tx, staff, kind, email, received_at)          a request by mail, with its true date
    answer(tx, staff, handle, state, outcome)           raises NotFound, Refused
    mine(tx, who), queue(tx, staff)                     frozen, the most urgent first
    deadlines(received_at) -> Deadlines

Dates, per regulation: GDPR Art. 12(3) one month (month-end safe); CCPA 11 CCR §7021 receipt confirmed within 10
business days, answered within 45 calendar days. The rights are the same for everyone, so the earlier date counts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select, update

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import trail
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.privacy.rights.tables import PrivacyRequest

Kind = Literal["access", "export", "correction", "deletion", "opt-out"]
Channel = Literal["dashboard", "email"]
Answer = Literal["done", "refused"]

CCPA_ANSWER = timedelta(days=45)
CCPA_CONFIRM_BUSINESS_DAYS = 10
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What the law allows, counted from receipt."""

    confirm_by: datetime
    gdpr_due: datetime
    ccpa_due: datetime

    @property
    def earliest(self) -> datetime:
        """The date that is worked towards."""
        return min(self.gdpr_due, self.ccpa_due)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request, as its person or staff see it. `email` is who asked, "" once that person was erased."""

    handle: str
    kind: str
    channel: str
    state: str  # open, done, refused, withdrawn
    email: str
    received_at: datetime
    confirm_by: datetime
    gdpr_due: datetime
    ccpa_due: datetime
    due: datetime  # the earlier of the two
    overdue: bool
    answered_at: datetime | None
    outcome: str


def deadlines(received_at: datetime) -> Deadlines:
    """Return when a request received then must be confirmed and answered."""
    return Deadlines(
        _business_days_later(received_at, CCPA_CONFIRM_BUSINESS_DAYS),
        months_later(received_at, 1),
        received_at + CCPA_ANSWER,
    )


async def record(  # noqa: PLR0913 (each says one thing about the request)
    tx: Tx,
    kind: Kind,
    channel: Channel,
    *,
    account_id: UUID | None = None,
    email: str | None = None,
    received_at: datetime | None = None,
    done: str | None = None,
) -> PrivacyRequest:
    """Write a request down; with `done` (the outcome) it was met on the spot."""
    received = received_at or now()
    due = deadlines(received)
    request = PrivacyRequest(
        handle=handle("req"),
        account_id=account_id,
        email=email,
        kind=kind,
        channel=channel,
        state="done" if done else "open",
        received_at=received,
        gdpr_due_at=due.gdpr_due,
        ccpa_due_at=due.ccpa_due,
        answered_at=now() if done else None,
        outcome=done or "",
    )
    tx.add(request)
    await tx.flush()  # its number is needed by whoever asked
    return request


async def enter(tx: Tx, staff: Person, kind: Kind, email: str, received_at: datetime) -> RequestRow:
    """Enter a request that came by mail on `received_at`, which may be past but not to come."""
    _require_staff(staff)
    if received_at > now():
        raise Refused("A request cannot have arrived in the future.", code="bad_date", field="received_at")
    address = email.strip().lower()
    known = (await tx.exec(select(Account.id).where(col(Account.email) == address))).first()
    request = await record(
        tx, kind, "email", account_id=known, email=None if known else address, received_at=received_at
    )
    trail.write(tx, "request:entered", account_id=known, actor_id=staff.account_id, request=request.handle, kind=kind)
    return _row(request, address)


async def answer(tx: Tx, staff: Person, request_handle: str, state: Answer, outcome: str) -> None:
    """Close an open request. A refusal needs its reason: the person reads it, with how to complain (Art. 12(4))."""
    _require_staff(staff)
    found = await tx.exec(select(PrivacyRequest).where(PrivacyRequest.handle == request_handle).with_for_update())
    request = found.first()
    if request is None:
        raise NotFound("request")
    if request.state != "open":
        raise Refused("That request has been answered already.", code="answered", status=409)
    if not outcome.strip():
        raise Refused("Say what was done, or why it was refused.", code="outcome_missing", field="outcome")
    request.state, request.outcome, request.answered_at = state, outcome.strip(), now()
    tx.add(request)
    trail.write(
        tx,
        "request:answered",
        account_id=request.account_id,
        actor_id=staff.account_id,
        request=request.handle,
        state=state,
    )


async def mine(tx: Tx, who: Person) -> tuple[RequestRow, ...]:
    """Return the requests of `who`, the newest first."""
    found = await tx.exec(
        select(PrivacyRequest)
        .where(col(PrivacyRequest.account_id) == who.account_id)
        .order_by(col(PrivacyRequest.received_at).desc())
    )
    return tuple(_row(request, who.email) for request in found)


async def queue(tx: Tx, staff: Person, *, only_open: bool = True, most: int = 200) -> tuple[RequestRow, ...]:
    """Return everyone's requests for staff, the most urgent first; each whose it is can read that it was seen."""
    _require_staff(staff)
    asked = (
        select(PrivacyRequest, Account.email)
        .join(Account, col(Account.id) == PrivacyRequest.account_id, isouter=True)
        .order_by(func.least(PrivacyRequest.gdpr_due_at, PrivacyRequest.ccpa_due_at))
        .limit(most)
    )
    if only_open:
        asked = asked.where(col(PrivacyRequest.state) == "open")
    found = (await tx.exec(asked)).all()
    for account_id in {request.account_id for request, _ in found if request.account_id} - {staff.account_id}:
        trail.write(tx, "request:viewed", account_id=account_id, actor_id=staff.account_id)
    return tuple(_row(request, email or request.email or "") for request, email in found)


async def end_with_account(tx: Tx, account_id: UUID, receipt: str) -> None:
    """Close what is open when an account is erased: the deletion is done, anything else has no one left to answer."""
    for state, outcome, kinds in (
        ("done", f"Erased; receipt {receipt}", col(PrivacyRequest.kind) == "deletion"),
        (
            "withdrawn",
            f"Ended by the erasure of the account; receipt {receipt}",
            col(PrivacyRequest.kind) != "deletion",
        ),
    ):
        await tx.exec(
            update(PrivacyRequest)
            .where(col(PrivacyRequest.account_id) == account_id, col(PrivacyRequest.state) == "open", kinds)
            .values(state=state, outcome=outcome, answered_at=now())
        )


async def answer_as_far_as_allowed(tx: Tx, account_id: UUID, receipt: str) -> None:
    """Answer a deletion of which a part must wait: the same words whether or not the person may know what for."""
    await tx.exec(
        update(PrivacyRequest)
        .where(
            col(PrivacyRequest.account_id) == account_id,
            col(PrivacyRequest.state) == "open",
            col(PrivacyRequest.kind) == "deletion",
        )
        .values(
            state="done",
            outcome=f"Erased as far as the law allows now; the rest goes by itself, and receipt {receipt} follows",
            answered_at=now(),
        )
    )


async def withdraw_deletion(tx: Tx, account_id: UUID) -> None:
    """Note that a deletion was taken back by its person."""
    await tx.exec(
        update(PrivacyRequest)
        .where(
            col(PrivacyRequest.account_id) == account_id,
            col(PrivacyRequest.state) == "open",
            col(PrivacyRequest.kind) == "deletion",
        )
        .values(state="withdrawn", outcome="Taken back by the person", answered_at=now())
    )


def _row(request: PrivacyRequest, email: str) -> RequestRow:
    due = deadlines(request.received_at)
    return RequestRow(
        handle=request.handle,
        kind=request.kind,
        channel=request.channel,
        state=request.state,
        email=email,
        received_at=request.received_at,
        confirm_by=due.confirm_by,
        gdpr_due=request.gdpr_due_at,
        ccpa_due=request.ccpa_due_at,
        due=min(request.gdpr_due_at, request.ccpa_due_at),
        overdue=request.state == "open" and now() > min(request.gdpr_due_at, request.ccpa_due_at),
        answered_at=request.answered_at,
        outcome=request.outcome,
    )


def _require_staff(person: Person) -> None:
    if person.role != "staff":
        raise NotFound("page")


def _business_days_later(at: datetime, days: int) -> datetime:
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < SATURDAY
    return at
