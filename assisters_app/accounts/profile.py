"""What a person says about themselves, and its correction (policy 6.2). Their address changes in `accounts.moving`.

view(tx, person) -> ProfileView
correct(tx, person, name, time_zone)                      raises Refused: bad_name, bad_time_zone
"""

import zoneinfo
from dataclasses import dataclass
from datetime import datetime

from assisters_app.accounts import corrections, sessions
from assisters_app.accounts.identity import identity
from assisters_app.accounts.organizations import one_line
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import trail
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused


@dataclass(frozen=True, slots=True)
class ProfileView:
    """What a person has told us. Their other ways to sign in are told by `oauth.methods`."""

    email: str
    name: str
    time_zone: str
    organization_name: str
    has_password: bool
    member_since: datetime


async def view(tx: Tx, person: Person) -> ProfileView:
    """Return what `person` has told us."""
    account = await tx.get_one(Account, person.account_id)
    return ProfileView(
        email=account.email,
        name=account.name,
        time_zone=account.time_zone,
        organization_name=person.organization_name,
        has_password=await identity().has_password(tx, account),
        member_since=account.created_at,
    )


async def correct(tx: Tx, person: Person, name: str, time_zone: str) -> None:
    """Correct the name (it may be empty) and the time zone (an IANA name such as Europe/Paris) of `person`."""
    account = await tx.get_one(Account, person.account_id)
    before = (account.name, account.time_zone)
    account.name, account.time_zone = one_line(name, "name", empty=True), _zone(time_zone)
    if (account.name, account.time_zone) == before:
        return
    tx.add(account)
    await corrections.write(tx, account.id, "name", before[0], account.name)
    await corrections.write(tx, account.id, "time zone", before[1], account.time_zone)
    await sessions.changed(tx, account.id)
    trail.write(
        tx,
        "account:corrected",
        account_id=account.id,
        actor_id=account.id,
        name=account.name != before[0],
        time_zone=account.time_zone != before[1],
    )


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise Refused("Choose a time zone from the list.", code="bad_time_zone", field="time_zone")
    return name
