"""What people corrected about themselves, and who else was told (policy 6.2, GDPR Art. 16 and 19).

write(tx, account_id, what, before, after)        in the transaction that corrects; nothing for no change
told(tx, account_id, processor, how)              a processor has the present values by now
history(tx, who) -> tuple[Corrected, …]           for the person, the newest first
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import col, select

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Correction
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.settings import settings

What = Literal["name", "time zone", "e-mail address", "organization"]
TOLD_TO: dict[What, tuple[str, ...]] = {"e-mail address": ("supabase", "stripe"), "organization": ("stripe",)}
NOTHING_THERE = "knows nothing of you"


@dataclass(frozen=True, slots=True)
class Corrected:
    """One correction. `told` has for each processor its id, and when it was told ("" while it is being told)."""

    what: str
    before: str
    after: str
    at: datetime
    told: tuple[tuple[str, str], ...]


async def write(tx: Tx, account_id: UUID, what: What, before: str, after: str) -> None:
    """Write one correction down, with the processors that are still to be told."""
    if before == after:
        return
    processors = [one for one in TOLD_TO.get(what, ()) if one != "supabase" or settings().supabase_url]
    tx.add(Correction(account_id=account_id, what=what, before=before, after=after, told=dict.fromkeys(processors)))
    await tx.flush()  # who is told in this transaction must find it


async def told(tx: Tx, account_id: UUID, processor: str, how: str = "") -> None:
    """Note that a processor has what is true now: every correction that waited for it is passed on."""
    waiting = select(Correction).where(
        Correction.account_id == account_id, col(Correction.told).contains({processor: None})
    )
    for correction in await tx.exec(waiting.with_for_update()):
        correction.told = {**correction.told, processor: how or now().isoformat()}
        flag_modified(correction, "told")
        tx.add(correction)


async def history(tx: Tx, who: Person) -> tuple[Corrected, ...]:
    """Return what `who` corrected."""
    found = await tx.exec(
        select(Correction).where(Correction.account_id == who.account_id).order_by(col(Correction.id).desc())
    )
    return tuple(Corrected(one.what, one.before, one.after, one.created_at, _told(one)) for one in found)


async def waiting_since(tx: Tx, older_than: timedelta) -> int:
    """Return how many corrections have waited longer than this for a processor to be told."""
    untold = [col(Correction.told).contains({processor: None}) for processor in ("stripe", "supabase")]
    late = select(func.count()).select_from(Correction).where(col(Correction.created_at) < now() - older_than)
    return (await tx.exec(late.where(untold[0] | untold[1]))).one()


def _told(correction: Correction) -> tuple[tuple[str, str], ...]:
    return tuple((processor, when or "") for processor, when in sorted(correction.told.items()))
