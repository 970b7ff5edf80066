"""What a restored backup must not undo: keys that were ended, addresses that opted out, holds, who may come in how.

    changed(tx, "key", name)        its state is to be told to the ledger outside the database, once `tx` commits

The change is noted in the transaction that makes it, and the worker tells the ledger within moments
(`privacy.erasing.lasting`, which also knows what of each kind is told): whoever serves pages need not see the ledger.
Only what a person or staff does is noted here, never a request to the API.
"""

from typing import Literal
from uuid import UUID

from assisters_app.base import jobs
from assisters_app.base.db import Tx
from assisters_app.base.tables import LastingChange

Kind = Literal["account", "key", "suppression", "hold"]
TELL = "privacy.make-lasting"  # the work, by its name: it lives floors above


async def changed(tx: Tx, kind: Kind, *names: str, account_id: UUID | None = None) -> None:
    """Note that the state of these things has changed; an account is named by `account_id` alone."""
    for name in names or ([""] if account_id else []):
        tx.add(LastingChange(kind=kind, name=name, account_id=account_id))
    await tx.flush()  # before the job that looks for them
    await jobs.enqueue(tx, TELL, once="make-lasting")
