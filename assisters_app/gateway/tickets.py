"""Tickets: how a signed-in person's own browser calls the API with a key of theirs, whose secret nobody has any more.

    issue(tx, who, mark, handle) -> Secret       raises NotFound; asked by a page of ours, which throttles
    looks_like(presented) -> bool
    opened(presented) -> Ticket | None           None unless it was issued here, not long ago, in a session still live

A ticket is sealed under the pepper and names a key and a session. It opens nothing that the key would not, and of that
only the models: the gate looks at the key as at any other, and the call is counted, limited, charged and recorded.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts import sessions
from assisters_app.accounts.sessions import Person
from assisters_app.base import crypto
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.base.secrets import Secret
from assisters_app.keys.tables import ApiKey
from assisters_app.keys.terms import Scope

LASTS = timedelta(minutes=1)  # it is looked at when a call begins; one that has begun goes on
SCOPES: frozenset[Scope] = frozenset({"chat"})  # of the key's own, all that a page needs
PREFIX = "tkt_"
_PURPOSE = "ticket"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an opened ticket stands for: a key, by its public id, of the organization that its session acts for."""

    public_id: str
    organization_id: UUID


async def issue(tx: Tx, who: Person, mark: str, handle: str) -> Secret:
    """Return a ticket for the live key `handle` of `who`, whose session has the fingerprint `mark`.

    Raises NotFound when it is not a key of theirs, or has been revoked.
    """
    theirs = select(ApiKey.public_id).where(ApiKey.handle == handle, ApiKey.organization_id == who.organization_id)
    public_id = (await tx.exec(theirs.where(col(ApiKey.revoked_at).is_(None)))).first()
    if public_id is None:
        raise NotFound("key")
    until = (now() + LASTS).isoformat()
    sealed = crypto.seal(_PURPOSE, f"{public_id}|{until}|{mark}")
    return Secret(PREFIX + base64.urlsafe_b64encode(sealed).decode())


def looks_like(presented: str) -> bool:
    """Say whether somebody presents a ticket where a key is expected."""
    return presented.startswith(PREFIX)


async def opened(presented: str) -> Ticket | None:
    """Return what a ticket stands for now, None for one that is made up, too old, or of a session that has ended."""
    try:
        sealed = base64.urlsafe_b64decode(presented.removeprefix(PREFIX))
        public_id, until, mark = crypto.unseal(_PURPOSE, sealed).split("|")
    except (binascii.Error, ValueError):
        return None
    who = await sessions.resolve_fingerprint(mark) if datetime.fromisoformat(until) > now() else None
    return Ticket(public_id, who.organization_id) if who else None
