"""A merger, acquisition or sale (policy 3.7): announced to everybody first, and nothing passes on before the day named.

announce(tx, staff, acquirer, contact, transfers_on) -> Announced
withdraw(tx, staff, handle)                     it does not take place, and everybody is told no more
listed(tx) -> tuple[Announced, …]
require_due(tx, handle)                         raises Refused before the day: what hands data over asks it first
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlmodel import col, select

from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.base import ids, jobs, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.privacy.policies.tables import Transfer
from assisters_app.privacy.policies.versions import AHEAD


@dataclass(frozen=True, slots=True)
class Announced:
    """One transfer that everybody is, or was, told of."""

    handle: str
    acquirer: str
    contact: str
    announced_at: datetime
    transfers_at: datetime
    withdrawn_at: datetime | None


async def announce(tx: Tx, staff: Person, acquirer: str, contact: str, transfers_on: date) -> Announced:
    """Tell everybody, by mail and in the dashboard, that their data would pass to `acquirer` on a day to come (UTC).

    Raises Refused with code forbidden, reauthenticate, no_name, no_contact, or too_soon.
    """
    require(staff, "policy")
    require_recent(staff)
    acquirer, contact = " ".join(acquirer.split())[:200], " ".join(contact.split())[:200]
    if not acquirer:
        raise Refused("Say who would receive the data.", code="no_name", field="acquirer")
    if not contact:
        raise Refused("Say where people can ask them.", code="no_contact", field="contact")
    transfers_at = datetime.combine(transfers_on, time(), UTC)
    if transfers_at < now() + AHEAD:
        raise Refused(
            "Everybody has 30 days to export their data and leave: name a day after that.",
            code="too_soon",
            field="transfers_on",
        )
    transfer = Transfer(
        handle=ids.handle("tra"), acquirer=acquirer, contact=contact, announced_at=now(), transfers_at=transfers_at
    )
    tx.add(transfer)
    trail.write(tx, "transfer:announced", account_id=None, actor_id=staff.account_id, transfer=transfer.handle)
    await jobs.enqueue(tx, "policy.tell", once="policy.tell")
    return _announced(transfer)


async def withdraw(tx: Tx, staff: Person, handle: str) -> None:
    """Call a transfer off before its day; raise NotFound when there is none of that handle to call off."""
    require(staff, "policy")
    require_recent(staff)
    transfer = await tx.get(Transfer, handle, with_for_update=True)
    if transfer is None or transfer.withdrawn_at is not None or transfer.transfers_at <= now():
        raise NotFound("transfer")
    transfer.withdrawn_at = now()
    tx.add(transfer)
    trail.write(tx, "transfer:withdrawn", account_id=None, actor_id=staff.account_id, transfer=handle)


async def listed(tx: Tx) -> tuple[Announced, ...]:
    """Return every transfer ever announced, the latest first."""
    found = await tx.exec(select(Transfer).order_by(col(Transfer.announced_at).desc()))
    return tuple(map(_announced, found))


async def require_due(tx: Tx, handle: str) -> None:
    """Raise NotFound for a transfer that was not announced or was called off, Refused (too_early) before its day."""
    transfer = await tx.get(Transfer, handle)
    if transfer is None or transfer.withdrawn_at is not None:
        raise NotFound("transfer")
    if now() < transfer.transfers_at:
        raise Refused(
            f"Nothing may pass on before {transfer.transfers_at:%-d %B %Y}: until then everybody can export and leave.",
            code="too_early",
        )


def _announced(row: Transfer) -> Announced:
    return Announced(row.handle, row.acquirer, row.contact, row.announced_at, row.transfers_at, row.withdrawn_at)
