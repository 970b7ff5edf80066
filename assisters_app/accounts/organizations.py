"""The organization that keys, usage and money belong to.

view(tx, person) -> OrganizationView
rename(tx, person, name)                raises Refused(code="bad_name", field="name")
cap_spending(tx, person, nano)          nano-USD a calendar month (UTC), None for no cap; raises Refused(code="bad_cap")
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from assisters_app.accounts import corrections, sessions
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Membership, Organization
from assisters_app.base import trail, valkey
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused

LONGEST = 120
MOST_CAPPED = 10**15  # nano-USD: a million dollars


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """An organization as its members see it; `role` is the viewer's own."""

    id: UUID
    handle: str
    name: str
    role: str
    plan: str
    created_at: datetime
    spend_cap_nano: int | None


async def view(tx: Tx, person: Person) -> OrganizationView:
    """Return the organization that `person` is acting for."""
    organization, membership = await _theirs(tx, person)
    return OrganizationView(
        organization.id,
        organization.handle,
        organization.name,
        membership.role,
        organization.plan,
        organization.created_at,
        organization.spend_cap_nano,
    )


async def rename(tx: Tx, person: Person, name: str) -> None:
    """Give the organization of `person` another name, everywhere it is shown."""
    organization, membership = await _theirs(tx, person)
    if membership.role != "owner":
        raise Refused("Only an owner can rename an organization.", code="forbidden", status=403)
    before, organization.name = organization.name, one_line(name, "name")
    tx.add(organization)
    await corrections.write(tx, person.account_id, "organization", before, organization.name)
    await sessions.changed(tx, person.account_id)
    trail.write(
        tx,
        "organization:renamed",
        account_id=person.account_id,
        actor_id=person.account_id,
        organization=organization.handle,
    )


async def cap_spending(tx: Tx, person: Person, nano: int | None) -> None:
    """Refuse whatever could bring a calendar month (UTC) above `nano` nano-USD; None lifts the cap.

    Every worker holds to it within a second. Calls that were let in before are paid all the same.
    """
    organization, membership = await _theirs(tx, person)
    if membership.role != "owner":
        raise Refused("Only an owner can change the spend cap.", code="forbidden", status=403)
    if nano is not None and not 1 <= nano <= MOST_CAPPED:
        raise Refused("A spend cap is an amount above zero, at most $1,000,000.", code="bad_cap", field="cap")
    organization.spend_cap_nano = nano
    tx.add(organization)
    tx.afterwards(partial(valkey.announce, "organization", str(organization.id)))
    trail.write(
        tx,
        "organization:capped" if nano else "organization:uncapped",
        account_id=person.account_id,
        actor_id=person.account_id,
        organization=organization.handle,
    )


def one_line(text: str, field: str, *, empty: bool = False) -> str:
    """Return a name as it is stored; raise Refused when it is empty (unless that is meant), long, or holds controls."""
    text = " ".join(text.split())
    if not text and not empty:
        raise Refused("Give it a name.", code="bad_name", field=field)
    if len(text) > LONGEST or not text.isprintable():
        raise Refused(f"Use at most {LONGEST} plain characters.", code="bad_name", field=field)
    return text


async def _theirs(tx: Tx, person: Person) -> tuple[Organization, Membership]:
    membership = await tx.get(Membership, (person.organization_id, person.account_id))
    if membership is None:
        raise NotFound("organization")
    return await tx.get_one(Organization, person.organization_id), membership
