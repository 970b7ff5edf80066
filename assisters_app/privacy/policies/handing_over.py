"""What passes to another company in a transfer (policy 3.7): each person's export, not before the day they were told.

    hand_over(handle, directory) -> int     how many exports there are now; raises what `transfers.require_due` raises,
                                        and Refused in a restored database that may hold who was erased

Who closed or erased their account does not pass on. Each export handed over is in that person's trail. A run that broke
off is taken up by the next: an export that is there whole is not made again, and that of somebody who has left since
is deleted.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts.tables import Account
from assisters_app.base import trail
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.privacy.erasing import stamp
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.policies import transfers
from assisters_app.privacy.rights import export
from assisters_app.privacy.rights.export import Export


async def hand_over(handle: str, directory: Path) -> int:
    """Write every person's export into `directory`, readable by its owner alone."""
    people = await _people(handle)
    await asyncio.to_thread(directory.mkdir, mode=0o700, parents=True, exist_ok=True)
    await asyncio.to_thread(_delete_who_left, directory, set(people))
    for account_id in people:
        whole = directory / f"{account_id}.zip"
        if not whole.exists():
            await _write(account_id, whole)
            async with transaction() as tx:
                trail.write(tx, "transfer:handed-over", account_id=account_id, transfer=handle)
    return len(people)


async def _people(handle: str) -> Sequence[UUID]:
    """Return whose data pass on, once it may: everybody but those who are leaving."""
    async with transaction() as tx:
        await stamp.require_open(tx)
        await transfers.require_due(tx, handle)
        leaving = select(Erasure.account_id).where(
            col(Erasure.withdrawn_at).is_(None), col(Erasure.carried_out_at).is_(None)
        )
        staying = select(Account.id).where(col(Account.id).not_in(leaving)).order_by(col(Account.id))
        return (await tx.exec(staying)).all()


def _delete_who_left(directory: Path, staying: set[UUID]) -> None:
    """Delete what a run before this one wrote of people who have closed or erased their account since."""
    for file in (*directory.glob("*.zip"), *directory.glob("*.part")):
        with suppress(ValueError):  # a name that is no account's is no file of ours
            if UUID(file.stem) not in staying:
                file.unlink()


async def _write(account_id: UUID, whole: Path) -> None:
    part = whole.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with part.open("wb") as file:
        async for piece in export.stream(Export(account_id, now(), whole.name, by_us=True)):
            file.write(piece)
    part.rename(whole)
