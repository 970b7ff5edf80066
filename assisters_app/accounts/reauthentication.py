"""Proving again who one is, before what cannot be undone or would let somebody else in.

    require_recent(person)                                raises Refused(code="reauthenticate", status=403)
    reauthenticate(tx, person, password, client)          raises Refused: bad_password, too_many, no_password

Whoever signs in elsewhere only (no password here) proves it there: oauth.begin with intent="reauthenticate".
"""

from datetime import timedelta

from sqlmodel import col, update

from assisters_app.accounts import sessions
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, Session
from assisters_app.accounts.throttling import Limit, attempt, forgive
from assisters_app.base import trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused

RECENT = timedelta(minutes=10)
TRIES = Limit("reauthenticate", 10, timedelta(minutes=15))


def require_recent(person: Person) -> None:
    """Raise Refused when `person` has not proven who they are within the last ten minutes."""
    if person.reauthenticated_at < now() - RECENT:
        raise Refused("Confirm that it is you, then try again.", code="reauthenticate", status=403)


async def reauthenticate(tx: Tx, person: Person, password: str, client: Client) -> None:
    """Let `person` prove who they are with their password."""
    await attempt(TRIES, str(person.account_id))
    account = await tx.get_one(Account, person.account_id)
    if not await identity().has_password(tx, account):
        raise Refused("This account has no password. Confirm with your sign-in provider.", code="no_password")
    if not await identity().matches(tx, account, password):
        raise Refused("That is not your password.", code="bad_password", status=403, field="password")
    await forgive(TRIES, str(person.account_id))
    await mark_recent(tx, person, client)


async def mark_recent(tx: Tx, person: Person, client: Client) -> None:
    """Note that `person` has just proven who they are, in this session only."""
    await tx.exec(update(Session).where(col(Session.id) == person.session_id).values(reauthenticated_at=now()))
    await sessions.changed(tx, person.account_id)
    trail.write(
        tx,
        "session:reauthenticated",
        account_id=person.account_id,
        actor_id=person.account_id,
        ip=client.ip,
        session=str(person.session_id),
    )
