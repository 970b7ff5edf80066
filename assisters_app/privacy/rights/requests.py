"""The register of privacy requests: one queue for dashboard and mail, two statutory clocks, kept 24 months.

    record(tx, kind, channel, …) -> PrivacyRequest      every access, export, deletion … writes one
    ask(tx, who, kind, words) -> RequestRow             what the dashboard cannot do by itself; acknowledged at once
    confirm_identity(tx, who, handle)                   the person answers, having just proven who they are
    meet(tx, account_id, handles, outcome)              the person did it by the link that we mailed (`by_mail`)
    mine(tx, who)                                       frozen, the newest first

    queue(tx, staff), view(tx, staff, handle)           the most urgent first; whose request it is can read who looked
    enter(tx, staff, kind, email, received_at)          a request by mail, with its true date; acknowledged at once
    acknowledge, assign, ask_identity, identity_confirmed, extend, answer (tx, staff, handle, …)

Staff's verbs raise NotFound, and Refused with the field at fault. The states of a request: open, then done, refused or
withdrawn; while open it may be acknowledged, assigned, asked for identity once and extended once.

Dates, per regulation: GDPR Art. 12(3) one month (month-end safe), two more with reasons told within the first; it
stands still between asking who somebody is and their answer (EDPB 01/2022, 157-159). CCPA 11 CCR 7021: confirmed within
10 business days, answered within 45 calendar days however long that takes, 90 with a notice. The rights are the same
for everyone, so the earlier date counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import and_, case, func, or_
from sqlmodel import col, select, update

from assisters_app.accounts import reauthentication
from assisters_app.accounts.rights import holders, require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base import mail, trail
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import promises
from assisters_app.privacy.choices import suppressions
from assisters_app.privacy.rights import desk, letters
from assisters_app.privacy.rights.tables import PrivacyRequest

Kind = Literal[
    "access", "export", "correction", "deletion", "opt-out", "restriction", "objection", "appeal", "question"
]
Asked = Literal["correction", "restriction", "objection", "appeal", "question"]
Channel = Literal["dashboard", "email"]
Answer = Literal["done", "refused"]

GDPR_ANSWER_MONTHS = 1
GDPR_EXTENDED_MONTHS = 3
CCPA_ANSWER = timedelta(days=45)
CCPA_EXTENDED = timedelta(days=90)
CCPA_CONFIRM_BUSINESS_DAYS = 10
SATURDAY = 5
OFTEN = Limit("privacy-request", 10, timedelta(days=1))
BEGUN = timedelta(hours=1)  # an erasure begins at its deadline at the latest, and is carried out within the hour
LONGEST = 2000  # characters of what a person writes


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
    known: bool  # who asked has an account
    kind: str
    channel: str
    state: str  # open, done, refused, withdrawn
    email: str
    words: str  # what they wrote, where they wrote anything
    received_at: datetime
    confirm_by: datetime
    acknowledged_at: datetime | None
    gdpr_due: datetime  # as of now: later by each moment while it stands still
    ccpa_due: datetime
    due: datetime  # the earlier of the two
    overdue: bool
    paused: bool  # the GDPR's clock stands still: we have asked who they are
    identity_asked_at: datetime | None
    identity_answered_at: datetime | None
    extended_at: datetime | None
    extension_reason: str
    assigned: str  # for staff alone: whose it is to answer, "" for nobody's
    answered_at: datetime | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done with a request, for staff."""

    at: datetime
    action: str  # `noun:verb`
    by: str  # the address of a member of staff, "" for the person or the software


def deadlines(received_at: datetime) -> Deadlines:
    """Return when a request received then must be confirmed and answered."""
    return Deadlines(
        _business_days_later(received_at, CCPA_CONFIRM_BUSINESS_DAYS),
        months_later(received_at, GDPR_ANSWER_MONTHS),
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
    words: str = "",
    acknowledged: bool = True,
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
        acknowledged_at=now() if acknowledged else None,
        answered_at=now() if done else None,
        outcome=done or "",
        words=words,
    )
    tx.add(request)
    await tx.flush()  # its number is needed by whoever asked
    return request


async def ask(tx: Tx, who: Person, kind: Asked, words: str) -> RequestRow:
    """Ask for what the dashboard cannot do by itself. Raises Refused: no_words, too_many."""
    words = words.replace("\x00", "").strip()[:LONGEST]
    if not words:
        raise Refused("Say what you ask for.", code="no_words", field="words")
    await attempt(OFTEN, str(who.account_id))
    request = await record(tx, kind, "dashboard", account_id=who.account_id, words=words)
    trail.write(
        tx, "request:made", account_id=who.account_id, actor_id=who.account_id, request=request.handle, kind=kind
    )
    await mail.send(tx, who.email, letters.received(request, _clocks(request).earliest), account_id=who.account_id)
    return _row(request, who.email)


async def confirm_identity(tx: Tx, who: Person, request_handle: str) -> None:
    """Answer that it is `who` who asked; signing in again proves it, and no papers are wanted (CCPA 7061)."""
    reauthentication.require_recent(who)
    request = await desk.in_turn(tx, request_handle)
    if request is None or request.account_id != who.account_id or not _asked_who(request):
        raise NotFound("request")
    _resume(request)
    tx.add(request)
    trail.write(tx, "request:identified", account_id=who.account_id, actor_id=who.account_id, request=request.handle)


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
    require(staff, "requests")
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
    names = await members(tx, staff)
    rows = [_row(request, email or request.email or "", names) for request, email in found]
    return tuple(sorted(rows, key=lambda row: row.due))  # a clock that stands still moves its request down


async def view(tx: Tx, staff: Person, request_handle: str) -> tuple[RequestRow, tuple[Step, ...]]:
    """Return one request and what was done with it, the oldest first; its person can read that it was seen."""
    require(staff, "requests")
    found = await tx.exec(select(PrivacyRequest).where(PrivacyRequest.handle == request_handle))
    request = found.first()
    if request is None:
        raise NotFound("request")
    names = await members(tx, staff)
    steps = await tx.exec(
        select(TrailEntry)
        .where(col(TrailEntry.details)["request"].astext == request.handle, TrailEntry.action != "request:viewed")
        .order_by(col(TrailEntry.id))
        .limit(200)
    )
    done = tuple(Step(one.created_at, one.action, names.get(one.actor_id, "") if one.actor_id else "") for one in steps)
    desk.note(tx, staff, "request:viewed", request)
    return _row(request, await _address(tx, request), names), done


async def members(tx: Tx, staff: Person) -> dict[UUID, str]:
    """Return the address of whoever may answer requests, by their id: to whom one may be assigned."""
    require(staff, "requests")
    return {account.id: account.email for account in await holders(tx, "requests")}


async def enter(tx: Tx, staff: Person, kind: Kind, email: str, received_at: datetime) -> RequestRow:
    """Enter a request that came by mail on `received_at`, which may be past but not to come, and acknowledge it."""
    require(staff, "requests")
    if received_at > now():
        raise Refused("A request cannot have arrived in the future.", code="bad_date", field="received_at")
    address = email.strip().lower()
    known = (await tx.exec(select(Account.id).where(col(Account.email) == address))).first()
    request = await record(
        tx,
        kind,
        "email",
        account_id=known,
        email=None if known else address,
        received_at=received_at,
    )
    desk.note(tx, staff, "request:entered", request, kind=kind)
    await mail.send(tx, address, letters.received(request, _clocks(request).earliest), account_id=known)
    return _row(request, address, await members(tx, staff))


async def acknowledge(tx: Tx, staff: Person, request_handle: str) -> None:
    """Confirm the receipt of a request that was entered without that, by mail."""
    request = await desk.open_request(tx, staff, request_handle)
    if request.acknowledged_at:
        raise Refused("That request has been acknowledged already.", code="acknowledged", status=409)
    request.acknowledged_at = now()
    tx.add(request)
    desk.note(tx, staff, "request:acknowledged", request)
    await mail.send(
        tx,
        await _address(tx, request),
        letters.received(request, _clocks(request).earliest),
        account_id=request.account_id,
    )


async def assign(tx: Tx, staff: Person, request_handle: str, email: str) -> None:
    """Give a request to a member of staff, or ("") to nobody. An appeal goes to another than who decided before."""
    request = await desk.open_request(tx, staff, request_handle)
    chosen = next((id_ for id_, address in (await members(tx, staff)).items() if address == email), None)
    if email and chosen is None:
        raise Refused("Choose a member of staff.", code="bad_member", field="assigned")
    if chosen:
        await _require_another(tx, chosen, request)
    request.assigned_to = chosen
    tx.add(request)
    desk.note(tx, staff, "request:assigned", request)


async def ask_identity(tx: Tx, staff: Person, request_handle: str, what: str) -> None:
    """Ask, once, who somebody is, where there is reasonable doubt (GDPR Art. 12(6)); `what` is what makes us doubt.

    The GDPR's clock stands still until the answer; the CCPA's never does.
    """
    request = await desk.open_request(tx, staff, request_handle)
    if request.identity_asked_at:
        raise Refused("We have asked already.", code="asked", status=409)
    if not what.strip():
        raise Refused("Say what makes you doubt; the person reads it.", code="no_reason", field="what")
    if now() > _clocks(request).earliest:
        raise Refused("It is too late to ask: the answer is due.", code="late", status=409)
    request.identity_asked_at = now()
    tx.add(request)
    desk.note(tx, staff, "request:identity-asked", request)
    said = letters.who_are_you(request, " ".join(what.split())[:500])
    await mail.send(tx, await _address(tx, request), said, account_id=request.account_id)


async def identity_confirmed(tx: Tx, staff: Person, request_handle: str) -> None:
    """Note that the answer to who they are came by mail: the GDPR's clock goes on."""
    request = await desk.open_request(tx, staff, request_handle)
    if not _asked_who(request):
        raise Refused("Nobody has been asked who they are.", code="not_asked", status=409)
    _resume(request)
    tx.add(request)
    desk.note(tx, staff, "request:identified", request)


async def extend(tx: Tx, staff: Person, request_handle: str, reason: str) -> None:
    """Take the time that the law gives for what is complex, once, told with the reason before the first dates."""
    request = await desk.open_request(tx, staff, request_handle)
    if request.extended_at:
        raise Refused("That request has been extended already.", code="extended", status=409)
    if not reason.strip():
        raise Refused("Give the reason; the person is mailed it.", code="no_reason", field="reason")
    if now() > _clocks(request).earliest:
        raise Refused("It is too late to extend: that is told before the first date.", code="late", status=409)
    request.extended_at, request.extension_reason = now(), " ".join(reason.split())[:500]
    request.gdpr_due_at = months_later(request.received_at, GDPR_EXTENDED_MONTHS) + (
        request.gdpr_due_at - months_later(request.received_at, GDPR_ANSWER_MONTHS)
    )
    request.ccpa_due_at = request.received_at + CCPA_EXTENDED
    tx.add(request)
    desk.note(tx, staff, "request:extended", request)
    await mail.send(
        tx,
        await _address(tx, request),
        letters.extended(request, _clocks(request).earliest),
        account_id=request.account_id,
    )


async def answer(tx: Tx, staff: Person, request_handle: str, state: Answer, outcome: str) -> None:
    """Close an open request, and mail the answer: a refusal with its reason and how to appeal (Art. 12(4))."""
    request = await desk.open_request(tx, staff, request_handle)
    if not outcome.strip():
        raise Refused("Say what was done, or why it was refused.", code="outcome_missing", field="outcome")
    await _require_another(tx, staff.account_id, request)
    if state == "done":
        await _require_done(tx, request)
    request.state, request.outcome, request.answered_at = state, outcome.strip(), now()
    tx.add(request)
    desk.note(tx, staff, "request:answered", request, state=state)
    await mail.send(tx, await _address(tx, request), letters.answered(request), account_id=request.account_id)


async def meet(tx: Tx, account_id: UUID, handles: Sequence[str], outcome: str) -> None:
    """Close those of these requests that are open: their person, who holds their account, did it themselves."""
    met = update(PrivacyRequest).where(
        col(PrivacyRequest.account_id) == account_id,
        col(PrivacyRequest.state) == "open",
        col(PrivacyRequest.handle).in_(handles),
    )
    closed = met.values(state="done", outcome=outcome, answered_at=now()).returning(col(PrivacyRequest.handle))
    for handle_ in (await tx.exec(closed)).scalars().all():
        trail.write(tx, "request:met", account_id=account_id, actor_id=account_id, request=handle_)


async def deletions_under_way(tx: Tx, account_id: UUID) -> tuple[PrivacyRequest, ...]:
    """Return what was asked for by mail or here about the erasure of an account, and has not been answered."""
    found = await tx.exec(
        select(PrivacyRequest).where(
            col(PrivacyRequest.account_id) == account_id,
            col(PrivacyRequest.state) == "open",
            col(PrivacyRequest.kind) == "deletion",
        )
    )
    return tuple(found.all())


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


@promises.check("6.6", says="No request is past its earlier date, and each was confirmed within ten business days.")
async def requests_in_time(tx: Tx) -> str:
    """Look for open requests past a date that the law sets, as `RequestRow.overdue` counts it."""
    asked = and_(col(PrivacyRequest.identity_asked_at).is_not(None), col(PrivacyRequest.identity_answered_at).is_(None))
    at = case((col(PrivacyRequest.kind) == "deletion", now() - BEGUN), else_=now())
    gdpr_at = case((asked, col(PrivacyRequest.identity_asked_at)), else_=at)
    late = or_(col(PrivacyRequest.gdpr_due_at) < gdpr_at, col(PrivacyRequest.ccpa_due_at) < at)
    is_open = col(PrivacyRequest.state) == "open"
    if count := (await tx.exec(select(func.count()).where(is_open, late))).one():
        raise promises.Broken(f"{count} requests are past the date by which they had to be answered.")
    silent = select(PrivacyRequest.received_at).where(is_open, col(PrivacyRequest.acknowledged_at).is_(None))
    if any(deadlines(received_at).confirm_by < now() for received_at in (await tx.exec(silent)).all()):
        raise promises.Broken("A request was not confirmed within ten business days.")
    waiting = (await tx.exec(select(func.count()).where(is_open))).one()
    return f"{waiting} requests are open; each was confirmed, and each is within its dates."


async def _address(tx: Tx, request: PrivacyRequest) -> str:
    account = await tx.get(Account, request.account_id) if request.account_id else None
    return account.email if account else request.email or ""


async def _require_another(tx: Tx, member: UUID, request: PrivacyRequest) -> None:
    """Raise Refused when `member` would judge what they decided themselves: they suspended, or refused, this person."""
    if request.kind != "appeal":
        return
    refused = select(PrivacyRequest.handle).where(
        PrivacyRequest.state == "refused",
        or_(
            and_(col(PrivacyRequest.account_id).is_not(None), col(PrivacyRequest.account_id) == request.account_id),
            and_(col(PrivacyRequest.email).is_not(None), col(PrivacyRequest.email) == request.email),
        ),
    )
    decided = select(TrailEntry.id).where(
        TrailEntry.actor_id == member,
        or_(
            and_(col(TrailEntry.action) == "account:suspended", col(TrailEntry.account_id) == request.account_id),
            and_(col(TrailEntry.action) == "request:answered", col(TrailEntry.details)["request"].astext.in_(refused)),
        ),
    )
    if (await tx.exec(decided.limit(1))).first():
        raise Refused("Another person must decide this appeal.", code="own_decision", field="outcome", status=409)


async def _require_done(tx: Tx, request: PrivacyRequest) -> None:
    """Raise Refused when the register would say that something was done which was not."""
    account = await tx.get(Account, request.account_id) if request.account_id else None
    if request.kind == "deletion" and account:
        raise Refused(
            "The account is still there. Send the link by which its owner erases it, or say why you refuse.",
            code="not_done",
            field="outcome",
            status=409,
        )
    if request.kind == "opt-out" and not await suppressions.suppressed(tx, await _address(tx, request)):
        raise Refused(
            "They would still get news. Unsubscribe them first.", code="not_done", field="outcome", status=409
        )


def _asked_who(request: PrivacyRequest) -> bool:
    return bool(request.state == "open" and request.identity_asked_at and not request.identity_answered_at)


def _resume(request: PrivacyRequest) -> None:
    assert request.identity_asked_at is not None  # both callers have looked
    request.identity_answered_at = now()
    request.gdpr_due_at += request.identity_answered_at - request.identity_asked_at


def _clocks(request: PrivacyRequest) -> Deadlines:
    """Return the dates as they stand now: while who they are is asked, the GDPR's moves on with time."""
    waiting = now() - request.identity_asked_at if _asked_who(request) and request.identity_asked_at else timedelta()
    confirm_by = deadlines(request.received_at).confirm_by
    return Deadlines(confirm_by, request.gdpr_due_at + waiting, request.ccpa_due_at)


def due(request: PrivacyRequest) -> datetime:
    """Return by when a request must be answered, as its clocks stand now."""
    return _clocks(request).earliest


def _row(request: PrivacyRequest, email: str, names: dict[UUID, str] | None = None) -> RequestRow:
    due = _clocks(request)
    return RequestRow(
        handle=request.handle,
        known=request.account_id is not None and bool(email),
        kind=request.kind,
        channel=request.channel,
        state=request.state,
        email=email,
        words=request.words,
        received_at=request.received_at,
        confirm_by=due.confirm_by,
        acknowledged_at=request.acknowledged_at,
        gdpr_due=due.gdpr_due,
        ccpa_due=due.ccpa_due,
        due=due.earliest,
        overdue=request.state == "open"
        and now() > due.earliest + (BEGUN if request.kind == "deletion" else timedelta()),
        paused=_asked_who(request),
        identity_asked_at=request.identity_asked_at,
        identity_answered_at=request.identity_answered_at,
        extended_at=request.extended_at,
        extension_reason=request.extension_reason,
        assigned=(names or {}).get(request.assigned_to, "") if request.assigned_to else "",
        answered_at=request.answered_at,
        outcome=request.outcome,
    )


def _business_days_later(at: datetime, days: int) -> datetime:
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < SATURDAY
    return at
