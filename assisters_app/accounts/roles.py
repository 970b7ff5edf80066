"""Who is staff, with which role; giving one and taking it (policy 5.5).

    team(tx, staff) -> tuple[Colleague, …]        everyone of staff, and who gave them their role
    changes(tx, staff) -> tuple[Change, …]        the newest changes of roles
    give(tx, staff, email, role)     raises NotFound; Refused: reauthenticate, own_role, unproven, same_role
    put(tx, account, role, actor)                 the act itself: written down, told, in force at the next click
    take_turn(tx, staff)                          before an admin takes what another admin needs; raises NotFound

Nobody changes their own role or suspends themselves, and admins take turns: so there is always one, whoever acted last.
Every other admin is mailed.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts import emails, sessions
from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import STAFF, TITLES, Role, holders, require, role_named
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import contact, lasting, mail, trail
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.settings import settings
from assisters_app.base.tables import TrailEntry

SHOWN = 20  # changes, the newest
GIVEN = "role:given"


@dataclass(frozen=True, slots=True)
class Colleague:
    """One member of staff."""

    account_id: UUID
    email: str
    name: str
    role: Role
    since: datetime
    suspended: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a role. `whose` and `by` are addresses; "" once that account is gone, `by` too for the software."""

    at: datetime
    whose: str
    before: str
    after: str
    by: str
    by_command: bool


async def team(tx: Tx, staff: Person) -> tuple[Colleague, ...]:
    """Return everyone of staff, admins first."""
    require(staff, "desk")
    found = (
        await tx.exec(select(Account).where(col(Account.role).in_(STAFF)).order_by(Account.role, col(Account.id)))
    ).all()
    since = {one.account_id: one.created_at for one in reversed(await _entries(tx, {one.id for one in found}))}
    return tuple(
        Colleague(
            one.id,
            one.email,
            one.name,
            role_named(one.role),
            since.get(one.id, one.created_at),
            one.suspended_at is not None,
        )
        for one in found
    )


async def changes(tx: Tx, staff: Person) -> tuple[Change, ...]:
    """Return the newest changes of roles, for everyone of staff to see."""
    require(staff, "desk")
    entries = await _entries(tx)
    named = {one for entry in entries for one in (entry.account_id, entry.actor_id) if one}
    found = (await tx.exec(select(Account.id, Account.email).where(col(Account.id).in_(named)))).all()
    addresses = dict(found)
    return tuple(
        Change(
            at=entry.created_at,
            whose=addresses.get(entry.account_id, "") if entry.account_id else "",
            before=str(entry.details.get("before", "")),
            after=str(entry.details.get("after", "")),
            by=addresses.get(entry.actor_id, "") if entry.actor_id else "",
            by_command=entry.actor_id is None,
        )
        for entry in entries[:SHOWN]
    )


async def give(tx: Tx, staff: Person, email: str, role: Role) -> None:
    """Give the account of this address a role; 'member' takes one away. Its owner and every other admin are told."""
    require(staff, "roles")
    require_recent(staff)
    await take_turn(tx, staff)
    address = emails.normalized(email)
    account = (await tx.exec(select(Account).where(Account.email == address).with_for_update(key_share=True))).first()
    if account is None:
        raise NotFound("account")
    if account.id == staff.account_id:
        raise Refused("Nobody changes their own role: another admin does.", code="own_role", field="email")
    if account.verified_at is None:
        raise Refused("That address was never confirmed by its owner.", code="unproven", field="email")
    if account.role == role:
        raise Refused("That is their role already.", code="same_role", field="role")
    await put(tx, account, role, staff.account_id)


async def put(tx: Tx, account: Account, role: Role, actor_id: UUID | None) -> None:
    """Change a role (`actor_id` None: from the command line), and tell those who are to know."""
    before, account.role = account.role, role
    tx.add(account)
    await sessions.changed(tx, account.id)
    await lasting.changed(tx, "account", account_id=account.id)  # a role that was taken does not come with a backup
    trail.write(tx, GIVEN, account_id=account.id, actor_id=actor_id, before=before, after=role)
    await mail.send(tx, account.email, _to_them(role), account_id=account.id)
    for admin in await holders(tx, "roles"):
        if admin.id not in (account.id, actor_id):
            await mail.send(tx, admin.email, _to_admins(account.email, before, role), account_id=admin.id)


async def take_turn(tx: Tx, staff: Person) -> None:
    """Act as an admin while no other does: of two who take each other's role or account at once, one is too late.

    Raises NotFound for whoever is no admin any more, or is suspended. Held before any other account, in one order.
    """
    admins = select(Account.id).where(Account.role == "admin", col(Account.suspended_at).is_(None))
    if staff.account_id not in (await tx.exec(admins.order_by(col(Account.id)).with_for_update(key_share=True))).all():
        raise NotFound("page")


async def _entries(tx: Tx, only: set[UUID] | None = None) -> list[TrailEntry]:
    wanted = select(TrailEntry).where(TrailEntry.action == GIVEN)
    if only is not None:
        wanted = wanted.where(col(TrailEntry.account_id).in_(only))
    return list((await tx.exec(wanted.order_by(col(TrailEntry.id).desc()).limit(200))).all())


def _to_them(role: Role) -> mail.Message:
    says = (
        f"Your Assisters account now has the role {TITLES[role].lower()}."
        if role in STAFF
        else "Your Assisters account is no longer one of our staff."
    )
    return mail.Message("Your role was changed", (says, f"If you did not expect this, write to {contact.EMAIL}."))


def _to_admins(email: str, before: str, after: Role) -> mail.Message:
    return mail.Message(
        "A role was changed",
        (
            f"{email} was {TITLES[role_named(before)].lower()} and is {TITLES[after].lower()} now.",
            "You get this because you are an admin. If it should not have been done, take the role away at once.",
        ),
        ("Staff and roles", f"{settings().public_url}/staff/roles"),
    )
