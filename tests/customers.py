"""People who already have an account, made without the ceremonies that other tests are about."""

from uuid import UUID

from cast import ADA, GRACE
from sqlmodel import select

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.signing_up import open_account
from assisters_app.accounts.tables import Membership
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.keys import keys


async def customer(email: str = ADA) -> Person:
    """Open an account and return its owner, as if signed in."""
    async with transaction() as tx:
        account = await open_account(tx, email, role="admin" if email == GRACE else "member")
        assert account is not None
        account.verified_at = now()
        membership = (await tx.exec(select(Membership).where(Membership.account_id == account.id))).one()
        return Person(
            account_id=account.id,
            session_id=new_id(),
            email=email,
            name="",
            role="admin" if email == GRACE else "member",
            organization_id=membership.organization_id,
            organization_name="Personal",
            verified=True,
            reauthenticated_at=now(),
            time_zone="UTC",
        )


async def key_of(person: Person, mode: str = "live", name: str = "Main") -> tuple[UUID, str, str]:
    """Issue a key and return its id, its handle and the key itself."""
    async with transaction() as tx:
        issued = await keys.issue(tx, person, keys.NewKey(name=name, mode=mode))
    return issued.key.id, issued.key.handle, issued.secret.reveal()
