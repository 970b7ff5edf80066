"""What each role of staff may do: one table, asked by the gate, by every handler and by each function behind it.

    require(who, "holds")            raises NotFound: to whoever may not, there is no such thing
    rights_of("support")             the names, for the menu
    holders(tx, "holds")             who has a right, to be told of what needs it

A right that no role has can be used by nobody. It stands in the table so that it can be read there (policy 5.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlmodel import col, select

from assisters_app.accounts.tables import Account
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound

Role = Literal["member", "support", "admin"]
Right = Literal[
    "desk",
    "accounts",
    "support",
    "requests",
    "suspend",
    "recovery",
    "usage",
    "news",
    "holds",
    "disclosures",
    "incidents",
    "retention",
    "policy",
    "audits",
    "trail",
    "models",
    "roles",
    "content",
]
STAFF: tuple[Role, ...] = ("support", "admin")
TITLES: dict[Role, str] = {"member": "Member", "support": "Support", "admin": "Admin"}


class Holder(Protocol):
    """Whoever has a role."""

    @property
    def role(self) -> str:
        """The name of it."""


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing that a role may do. `says` is a sentence for everyone; `roles` is empty where nobody may."""

    right: Right
    title: str
    says: str
    roles: tuple[Role, ...]


DUTIES = (
    Duty("desk", "See who is staff", "With which role, and who gave it.", STAFF),
    Duty("accounts", "Find and open an account", "Address, name, plan, sums, and the trail its owner reads.", STAFF),
    Duty("support", "Answer questions to support", "What a person wrote to us, and nothing else of theirs.", STAFF),
    Duty("requests", "Answer privacy requests", "The queue with its clocks; each look is written down.", STAFF),
    Duty("suspend", "Suspend an account", "With a reason that its owner is told, and a way to appeal.", ("admin",)),
    Duty("recovery", "Replace a lost mailbox", "Two admins, a letter to the old address, seven days.", ("admin",)),
    Duty("usage", "Compare accounts", "Sums side by side, without names.", ("admin",)),
    Duty("news", "Send news", "To those who asked for it.", ("admin",)),
    Duty("holds", "Place and release legal holds", "What an order demands to be kept.", ("admin",)),
    Duty("disclosures", "Answer authorities", "What was demanded, and what was handed over.", ("admin",)),
    Duty("incidents", "Handle security incidents", "With the clock of 72 hours.", ("admin",)),
    Duty("retention", "Watch retention and broken promises", "And be mailed when one breaks.", ("admin",)),
    Duty("policy", "Publish the policy, announce a transfer", "30 days ahead.", ("admin",)),
    Duty("audits", "Enter audits and attestations", "They are public.", ("admin",)),
    Duty("trail", "Read the trail of the whole house", "Each reading is in the trail itself.", ("admin",)),
    Duty("models", "Edit models, publish prices", "Never into the past; each version stays.", ("admin",)),
    Duty("roles", "Give and take roles", "Never one's own; every other admin is told.", ("admin",)),
    Duty("content", "Read what is said in calls", "It is sealed, and opened for its own account alone.", ()),
)


def rights_of(role: str) -> tuple[Right, ...]:
    """Return what a role may do; nothing for a member, and for a role that there is not."""
    return tuple(duty.right for duty in DUTIES if role in duty.roles)


def may(who: Holder, right: Right) -> bool:
    """Return whether `who` has a right."""
    return right in rights_of(who.role)


def is_staff(role: str) -> bool:
    """Return whether a role is one of staff's."""
    return role in STAFF


def require(who: Holder, right: Right) -> None:
    """Raise NotFound for whoever does not have a right: to them there is no such page."""
    if not may(who, right):
        raise NotFound("page")


async def holders(tx: Tx, right: Right) -> Sequence[Account]:
    """Return the accounts that have a right and can use it, the oldest first."""
    roles = [role for role in STAFF if right in rights_of(role)]
    able = select(Account).where(col(Account.role).in_(roles), col(Account.suspended_at).is_(None))
    return (await tx.exec(able.order_by(col(Account.id)))).all()


def role_named(role: str) -> Role:
    """Return a role as it is stored; one that there is not any more counts as no role."""
    return next((one for one in STAFF if one == role), "member")
