"""The pulse: a number that only grows, in the database and then outside it, so that time turned back is seen.

    beat() -> bool              counts on; False, and the doors shut, when the database has gone back
    gone_back(tx) -> bool       whether the database knows less than was written down outside it
    run_forever(end)            a beat every fifteen seconds: what the worker does beside its work

A fingerprint shows a restored dump and a server that was taken back to a point in time. It does not show a disk that
was put back under it, nor a service that was never stopped for it. The number does: it is written outside the database
only once it is committed inside, so that a database that is behind it has forgotten something, and nothing else makes
it so. It is counted on, too, before anything is written into the erasure ledger.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from pathlib import Path

from sqlmodel import update

from assisters_app.base.db import Tx, transaction
from assisters_app.privacy.erasing import ledger, stamp
from assisters_app.privacy.erasing.tables import HouseStamp

EVERY = 15.0  # seconds: with the doors' five, a database that was put back is shut within half a minute

logger = logging.getLogger(__name__)


async def beat() -> bool:
    """Count on, inside and then outside; return False, and shut the doors, when the database has gone back."""
    async with transaction() as tx:
        found = await stamp.read(tx, alone=True)
        if found is None or not found.fingerprint:  # never held against a ledger, or about to be
            return True
        if await gone_back(tx):
            logger.warning("The database has gone back in time: it is held against the erasure ledger.")
            await stamp.doubt(tx)
            return False
        number = max(found.beat, await asyncio.to_thread(_outside, found.ledger)) + 1
        await tx.exec(update(HouseStamp).values(beat=number))
    await asyncio.to_thread(_write, found.ledger, number)
    return True


async def gone_back(tx: Tx) -> bool:
    """Return whether the database has forgotten something that it had committed.

    Outside is looked at first: what another worker writes there meanwhile was committed before it was.
    """
    ledger_name, number = await asyncio.to_thread(_read)
    found = await stamp.read(tx)
    return found is not None and found.ledger == ledger_name and found.beat < number


async def catch_up(tx: Tx) -> None:
    """Have a database that was brought up to the ledger count on from where it had been."""
    found = await stamp.read(tx)
    if found is not None:
        number = max(found.beat, await asyncio.to_thread(_outside, found.ledger))
        await tx.exec(update(HouseStamp).values(beat=number))


async def run_forever(end: asyncio.Event) -> None:
    """Beat until `end` is set; a database that does not answer is asked again."""
    while not end.is_set():
        try:
            await beat()
        except Exception:  # noqa: BLE001 (whatever keeps it from answering, the next beat sees what became of it)
            logger.warning("The pulse of the database could not be felt.")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), EVERY)


def written() -> bool:
    """Return whether a number was ever written down here."""
    return _path().exists()


def _outside(ledger_name: str) -> int:
    """Return the number outside, 0 where there is none for this ledger."""
    name, number = _read()
    return number if name == ledger_name else 0


def _read() -> tuple[str, int]:
    try:
        name, _, number = _path().read_text().partition(" ")
    except FileNotFoundError:
        return "", 0
    return name, int(number) if number.strip().isdigit() else 0


def _write(ledger_name: str, number: int) -> None:
    """Write a greater number in place of a smaller, whole or not at all: several workers share the file."""
    where = _path()
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(where.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _outside(ledger_name) >= number:
            return
        half = where.with_suffix(".half")
        half.write_text(f"{ledger_name} {number}\n")
        half.rename(where)
    finally:
        os.close(lock)


def _path() -> Path:
    return ledger.path().with_name("erasures.pulse")
