"""The stamp in a database: which erasure ledger it was held against, and that it is still the database it was.

    is_open(tx) -> bool         whether people may be let in: False in a restored database until it was held against it
    require_open(tx)            before a command takes people's data out; raises Refused in a restored database
    known(tx) -> entries        the ledger, once it is sure that it is the one this database knows; raises LedgerError
    behind(tx, entries) -> bool whether the ledger has gone on without it: a snapshot of the disk was put back
    unknown_to(tx, entries)     those written since: what a restored database has to be told
    doubt(tx)                   shuts the doors until it was held against the ledger
    write(tx, entries)          it has just been held against the ledger
    fingerprint(tx) -> str      of this very database; a restored, copied or rewound one has another

A restore takes the stamp back with everything else, but it cannot take back the fingerprint: the cluster, its timeline
(which moves on when one goes back to a point in time), the database and the table itself, each by the number that
PostgreSQL gave it. So every process sees by itself that a dump was restored, or that time was turned back. A snapshot
of the whole disk has the same fingerprint: the worker sees within seconds that its pulse has gone back (`pulse`).
"""

import asyncio

from sqlalchemy import and_, or_, text
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlmodel import col, select, update

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.privacy.erasing import ledger
from assisters_app.privacy.erasing.ledger import Entry, LedgerError
from assisters_app.privacy.erasing.tables import HouseStamp

REMEDY = "Put it back from a copy. If it is lost for good, `begin-ledger` begins another and says what that means."
FINGERPRINT = text(
    "SELECT concat_ws('.', (pg_control_system()).system_identifier, (pg_control_checkpoint()).timeline_id, "
    "(SELECT oid FROM pg_database WHERE datname = current_database()), 'house_stamp'::regclass::oid)"
)


async def is_open(tx: Tx) -> bool:
    """Return whether people may be let in."""
    found = await read(tx)
    if found is None:  # no erasure was ever written down for this database; if one was here, it is another database
        return not ledger.exists()
    return found.fingerprint == await fingerprint(tx)


async def require_open(tx: Tx) -> None:
    """Raise Refused where whoever was erased since a backup may be there again: nothing of theirs leaves the house."""
    if not await is_open(tx):
        raise Refused(
            "This database was restored, and has not been held against the erasure ledger yet: start the worker first.",
            code="reopening",
            status=503,
        )


async def read(tx: Tx, *, alone: bool = False) -> HouseStamp | None:
    """Return the stamp, None in a database that never had one; `alone` keeps others from it until `tx` ends."""
    found = select(HouseStamp).execution_options(populate_existing=True)
    return (await tx.exec(found.with_for_update() if alone else found)).first()


async def known(tx: Tx) -> tuple[Entry, ...]:
    """Return the ledger's lines; raise LedgerError when it is not, or no longer, the one that this database knows."""
    entries, found = await asyncio.to_thread(ledger.read), await read(tx)
    if found is None:
        return entries
    if not entries or ledger.identity(entries) != found.ledger:
        raise LedgerError(f"The erasure ledger that this database knows is not at {ledger.path()}. {REMEDY}")
    if len(entries) < found.number or entries[found.number - 1].link != found.head:
        raise LedgerError(f"Lines are missing at the end of the erasure ledger {ledger.path()}. {REMEDY}")
    return entries


async def behind(tx: Tx, entries: tuple[Entry, ...]) -> bool:
    """Return whether lines were written that this database does not know of, though it is stamped.

    So it is in a database of which a snapshot was put back, but also where a worker was killed between a line and the
    stamp. Only while nothing is known of its pulse is that taken for a snapshot.
    """
    found = await read(tx)
    return found is not None and found.number < len(entries)


async def unknown_to(tx: Tx, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return the lines that were written after this database, as it is now, last knew the ledger's end."""
    found = await read(tx)
    return entries[found.number :] if found else entries


async def doubt(tx: Tx) -> None:
    """Take the fingerprint away: every process shuts its doors, also should this one die before they are opened."""
    await tx.exec(update(HouseStamp).values(fingerprint=""))


async def write(tx: Tx, entries: tuple[Entry, ...], *, while_open: bool = False) -> None:
    """Note that this database has been held against the ledger up to its last line; who is late takes nothing back.

    With `while_open` doors that were shut meanwhile stay shut, and what it has yet to be told stays unknown to it.
    """
    last = entries[-1]
    values = {
        "ledger": ledger.identity(entries),
        "number": last.number,
        "head": last.link,
        "fingerprint": await fingerprint(tx),
        "created_at": now(),
    }
    stamped = insert_or_leave(HouseStamp).values(id=1, beat=0, **values)
    newer = or_(col(HouseStamp.ledger) != values["ledger"], col(HouseStamp.number) <= last.number)
    may = and_(newer, col(HouseStamp.fingerprint) == values["fingerprint"]) if while_open else newer
    await tx.sql(stamped.on_conflict_do_update(index_elements=["id"], set_=values, where=may))


async def fingerprint(tx: Tx) -> str:
    """Return what tells this very database from any that was made of its backups."""
    return str((await tx.sql(FINGERPRINT)).scalar_one())
