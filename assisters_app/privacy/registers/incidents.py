"""The register of security incidents (policy 5.6; GDPR Art. 33 and 34): 72 hours by the clock, notices already drafted.

    enter(tx, staff, NewIncident) -> IncidentRow     the clock starts when we became aware; a notice is drafted for each
                                                     account that it touches
    told_authority(tx, staff, handle, told_at, why)  when the authority was told, or why it need not be
    send_notices(tx, staff, handle, words)           each account gets its notice, and reads it in its copy
    close(tx, staff, handle, measures)
    listed(tx, staff)                                frozen, open ones first
    to_authority(row), to_people(row)                the drafts

Art. 33(1): within 72 hours of becoming aware, or with the reasons for the delay; not when a risk is unlikely.
Art. 33(3): what a notification holds. Art. 33(5): each is documented. Art. 34: people are told of a high risk.
The register names nobody; whom an incident touched is kept for 24 months, where they can read it once they are told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, and_, func, text
from sqlmodel import col, select

from assisters_app.accounts import emails, reauthentication
from assisters_app.accounts.rights import holders, require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import contact, jobs, mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.base.settings import settings
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.registers.tables import Incident, IncidentNotice

Risk = Literal["none", "risk", "high"]
RISKS: dict[str, str] = {
    "risk": "a risk to people",
    "high": "a high risk to people",
    "none": "unlikely to put anybody at risk",
}
WITHIN = timedelta(hours=72)  # GDPR Art. 33(1)
WARNING = timedelta(hours=24)  # before the end of it, staff is told by mail
DRAFT = text(
    """
    INSERT INTO incident_notice (id, incident, account_id, text, created_at)
    SELECT gen_random_uuid(), :incident, id, :text, :at FROM account WHERE :everyone OR id = ANY(:touched)
    """
)
AT_ONCE = 200  # notices in one transaction


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident, as staff see it. `notices` and `sent` count accounts."""

    handle: str
    title: str
    what: str
    categories: tuple[str, ...]
    consequences: str
    measures: str
    risk: str
    aware_at: datetime
    tell_by: datetime
    overdue: bool
    told_at: datetime | None
    why: str
    notices: int
    sent: int
    closed_at: datetime | None


class NewIncident(BaseModel):
    """What staff fills in. Its texts name nobody; `everyone` or `addresses` say whose accounts it touches."""

    title: str = Field(max_length=200)
    what: str = Field(max_length=2_000)
    consequences: str = Field(max_length=2_000)
    measures: str = Field(default="", max_length=2_000)
    categories: tuple[str, ...] = Field(default=(), max_length=50)
    risk: Risk
    aware_at: datetime
    everyone: bool = False
    addresses: tuple[str, ...] = Field(default=(), max_length=500)


async def enter(tx: Tx, staff: Person, new: NewIncident) -> IncidentRow:
    """Enter an incident. Raises Refused: incomplete, names_somebody, bad_date, bad_category, not_found."""
    require(staff, "incidents")
    reauthentication.require_recent(staff)
    _require_complete(new)
    known = {mark.category for _, mark in inventory.marked_columns() if mark.category}
    if strange := set(new.categories) - known:
        raise Refused(f"We hold no {', '.join(sorted(strange))}.", code="bad_category", field="categories")
    if new.aware_at > now():
        raise Refused("We cannot have become aware in the future.", code="bad_date", field="aware_at")
    incident = Incident(
        handle=handle("inc"),
        title=new.title.strip(),
        what=new.what.strip(),
        consequences=new.consequences.strip(),
        measures=new.measures.strip(),
        categories=" ".join(sorted(new.categories)),
        risk=new.risk,
        aware_at=new.aware_at,
        tell_by=new.aware_at + WITHIN,
    )
    tx.add(incident)
    await tx.flush()  # its notices name it
    touched = await _draft(tx, incident, new)
    trail.write(
        tx, "incident:entered", account_id=None, actor_id=staff.account_id, incident=incident.handle, accounts=touched
    )
    return await _row(tx, incident)


def _require_complete(new: NewIncident) -> None:
    for name in ("title", "what", "consequences"):
        if not getattr(new, name).strip():
            raise Refused("Say what happened, and what may come of it.", code="incomplete", field=name)
    if "@" in new.title + new.what + new.consequences + new.measures:
        raise Refused("Name nobody here: this register is kept for good.", code="names_somebody", field="what")


async def _draft(tx: Tx, incident: Incident, new: NewIncident) -> int:
    """Draft a notice for each account that the incident touches; return how many there are."""
    touched = [] if new.everyone else await _known(tx, new.addresses)
    drafted = {
        "incident": incident.handle,
        "text": to_people(incident),
        "at": now(),
        "everyone": new.everyone,
        "touched": touched,
    }
    return (await tx.sql(DRAFT, drafted)).rowcount


async def _known(tx: Tx, addresses: tuple[str, ...]) -> list[UUID]:
    asked = list(dict.fromkeys(map(emails.normalized, addresses)))
    found = (await tx.exec(select(Account.email, Account.id).where(col(Account.email).in_(asked)))).all()
    if missing := [address for address in asked if address not in {email for email, _ in found}]:
        raise Refused(f"{missing[0]} has no account here.", code="not_found", field="addresses")
    return [account_id for _, account_id in found]


async def told_authority(tx: Tx, staff: Person, incident_handle: str, told_at: datetime | None, why: str) -> None:
    """Write down when the authority was told, or (None) why it need not be; late is said with its reason (Art. 33(1)).

    Raises Refused: bad_date, reason_missing, told.
    """
    require(staff, "incidents")
    reauthentication.require_recent(staff)
    incident = await _locked(tx, incident_handle)
    reason = why.strip()
    if incident.told_at or incident.why:
        raise Refused("That stands in the register already.", code="told", status=409)
    if told_at is not None and not incident.aware_at <= told_at <= now():
        raise Refused("That was before we knew, or is still to come.", code="bad_date", field="told_at")
    if told_at is None and (not reason or incident.risk != "none"):
        raise Refused(
            "Only what is unlikely to put anybody at risk may be left untold, with the reason.",
            code="reason_missing",
            field="why",
        )
    if told_at is not None and told_at > incident.tell_by and not reason:
        raise Refused("It was told late: say why (GDPR Art. 33(1)).", code="reason_missing", field="why")
    incident.told_at, incident.why = told_at, reason[:500]
    tx.add(incident)
    trail.write(tx, "incident:told", account_id=None, actor_id=staff.account_id, incident=incident.handle)


async def send_notices(tx: Tx, staff: Person, incident_handle: str, words: str) -> int:
    """Send the notice, as staff has edited it, to every account that it was drafted for; return to how many."""
    require(staff, "incidents")
    reauthentication.require_recent(staff)
    incident = await _locked(tx, incident_handle)
    if not words.strip():
        raise Refused("Say what happened.", code="incomplete", field="text")
    waiting = IncidentNotice.__table__.update().where(  # type: ignore[attr-defined]
        col(IncidentNotice.incident) == incident.handle, col(IncidentNotice.sent_at).is_(None)
    )
    changed = (await tx.sql(waiting.values(text=words.strip()[:4_000], released=True))).rowcount
    trail.write(
        tx, "incident:notified", account_id=None, actor_id=staff.account_id, incident=incident.handle, accounts=changed
    )
    await jobs.enqueue(tx, "incidents.notify", once=f"incidents.notify:{incident.handle}", incident=incident.handle)
    return changed


@jobs.job("incidents.notify")
async def notify(incident: str) -> None:
    """Send the notices that were released, some at a time; what was sent is not sent again."""
    while True:
        async with transaction() as tx:
            waiting = (
                select(IncidentNotice, Account.email)
                .join(Account, col(Account.id) == IncidentNotice.account_id)
                .where(col(IncidentNotice.incident) == incident, col(IncidentNotice.released))
                .where(col(IncidentNotice.sent_at).is_(None))
                .limit(AT_ONCE)
                .with_for_update(of=IncidentNotice)
            )
            found = (await tx.exec(waiting)).all()
            for notice, address in found:
                await _send(tx, notice, address)
        if len(found) < AT_ONCE:
            return


async def _send(tx: Tx, notice: IncidentNotice, address: str) -> None:
    notice.sent_at = now()
    tx.add(notice)
    trail.write(tx, "incident:notice-sent", account_id=notice.account_id, incident=notice.incident)
    paragraphs = tuple(part.strip() for part in notice.text.split("\n\n") if part.strip())
    message = mail.Message(
        "A security incident touched your data",
        paragraphs,
        ("Your privacy page", f"{settings().public_url}/dashboard/privacy"),
    )
    await mail.send(tx, address, message, account_id=notice.account_id)


async def close(tx: Tx, staff: Person, incident_handle: str, measures: str) -> None:
    """End an incident: it was told, or need not be, and what was done about it is written down."""
    require(staff, "incidents")
    incident = await _locked(tx, incident_handle)
    if not (incident.told_at or incident.why):
        raise Refused("First the authority is told, or it is written down why not.", code="untold", status=409)
    if not measures.strip():
        raise Refused("Say what was done about it (GDPR Art. 33(5)).", code="incomplete", field="measures")
    incident.measures, incident.closed_at = measures.strip()[:2_000], now()
    tx.add(incident)
    trail.write(tx, "incident:closed", account_id=None, actor_id=staff.account_id, incident=incident.handle)


async def listed(tx: Tx, staff: Person) -> tuple[IncidentRow, ...]:
    """Return every incident, those that are open first, the most urgent before the others."""
    require(staff, "incidents")
    order = (col(Incident.closed_at).is_not(None), col(Incident.tell_by))
    return tuple([await _row(tx, one) for one in await tx.exec(select(Incident).order_by(*order))])


@jobs.job("incidents.remind", every="25 * * * *")
async def remind() -> None:
    """Mail staff, once, about an incident whose 72 hours are nearly over."""
    async with transaction() as tx:
        near = select(Incident).where(_untold(), col(Incident.reminded_at).is_(None)).with_for_update()
        due = [one for one in await tx.exec(near) if one.tell_by - now() <= WARNING]
        if not due:
            return
        staff = await holders(tx, "incidents")
        for incident in due:
            incident.reminded_at = now()
            tx.add(incident)
            message = mail.Message(
                f"{incident.handle}: the authority must be told by {incident.tell_by:%d %B, %H:%M} UTC",
                ("The 72 hours of GDPR Art. 33 end then. The notification is drafted on the page of incidents.",),
                ("Incidents", f"{settings().public_url}/staff/incidents"),
            )
            for one in staff:
                await mail.send(tx, one.email, message, account_id=one.id)


@promises.check(
    "5.6", says="The authority was told of each security incident within 72 hours, or it is written down why not."
)
async def incidents_are_told_in_time(tx: Tx) -> str:
    """Look for incidents whose time is over and of which nothing was told or written down."""
    late = select(func.count()).where(_untold(), col(Incident.tell_by) < now())
    if count := (await tx.exec(late)).one():
        raise promises.Broken(f"{count} incidents were not told to the authority within 72 hours, and nobody says why.")
    total = (await tx.exec(select(func.count()).select_from(Incident))).one()
    still_open = (await tx.exec(select(func.count()).where(col(Incident.closed_at).is_(None)))).one()
    return f"{total} incidents in the register, {still_open} of them open; none is overdue."


def to_authority(row: "IncidentRow | Incident", accounts: int) -> str:
    """Return the notification to the authority, with all that Art. 33(3) lists."""
    kinds = ", ".join(row.categories if isinstance(row.categories, tuple) else row.categories.split())
    late = row.told_at is None and now() > row.tell_by
    return "\n\n".join(
        filter(
            None,
            (
                f"Notification of a personal data breach (GDPR Art. 33), our reference {row.handle}",
                f"Controller: {contact.ON_ONE_LINE}. Contact for more information: {contact.EMAIL}.",
                f"We became aware on {row.aware_at:%d %B %Y at %H:%M} UTC.",
                f"What happened: {row.what}",
                f"Whom it concerns: about {accounts:,} customers with as many accounts.",
                f"Kinds of data: {kinds or 'none'}.",
                f"Likely consequences: {row.consequences}",
                f"Measures taken or proposed: {row.measures or 'to be completed'}",
                "This notification comes later than 72 hours, because: …" if late else "",
            ),
        )
    )


def to_people(row: "IncidentRow | Incident") -> str:
    """Return the notice to those whose data it touches, in plain words (Art. 34(2))."""
    return "\n\n".join(
        (
            f"On {row.aware_at:%d %B %Y} we became aware of a security incident that touched your data ({row.title}).",
            f"What happened: {row.what}",
            f"What may come of it: {row.consequences}",
            f"What we did and do: {row.measures or 'we are working on it, and will tell you more'}",
            f"You can ask us anything about it: {contact.EMAIL}.",
        )
    )


def _untold() -> ColumnElement[bool]:
    return and_(col(Incident.told_at).is_(None), col(Incident.why) == "")


async def _locked(tx: Tx, incident_handle: str) -> Incident:
    found = (await tx.exec(select(Incident).where(Incident.handle == incident_handle).with_for_update())).first()
    if found is None:
        raise NotFound("incident")
    return found


async def _row(tx: Tx, incident: Incident) -> IncidentRow:
    count = select(func.count(), func.count(col(IncidentNotice.sent_at))).where(
        IncidentNotice.incident == incident.handle
    )
    notices, sent = (await tx.exec(count)).one()
    return IncidentRow(
        handle=incident.handle,
        title=incident.title,
        what=incident.what,
        categories=tuple(incident.categories.split()),
        consequences=incident.consequences,
        measures=incident.measures,
        risk=incident.risk,
        aware_at=incident.aware_at,
        tell_by=incident.tell_by,
        overdue=not (incident.told_at or incident.why) and now() > incident.tell_by,
        told_at=incident.told_at,
        why=incident.why,
        notices=notices,
        sent=sent,
        closed_at=incident.closed_at,
    )
