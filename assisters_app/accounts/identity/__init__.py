"""Who holds the passwords: our own database, or Supabase Auth. Two adapters, one set of promises.

Everything else about an account (mail, links, sessions, roles) is ours in both cases.
"""

from typing import Protocol

from assisters_app.accounts.identity import local
from assisters_app.accounts.tables import Account
from assisters_app.base.db import Tx
from assisters_app.base.settings import settings


class Identity(Protocol):
    """What an adapter promises; `tests/accounts/test_identity.py` holds both to it."""

    async def enroll(self, tx: Tx, account: Account, password: str, /) -> bool:
        """Keep a new account's password; return False, changing nothing, when this address already has one there."""

    async def matches(self, tx: Tx, account: Account | None, password: str, /) -> bool:
        """Return whether `password` is the account's; for nobody or an account without one, take as long."""

    async def has_password(self, tx: Tx, account: Account, /) -> bool:
        """Return whether the account can be signed in to with a password at all."""

    async def set_password(self, tx: Tx, account: Account, password: str, /) -> None:
        """Replace the password of an account whose owner has just proven the address."""

    async def confirm(self, tx: Tx, account: Account, /) -> None:
        """Note that the address of `account` has been proven."""

    async def change_email(self, tx: Tx, account: Account, email: str, /) -> None:
        """Move the password to an address that has been proven."""

    async def remove(self, tx: Tx, account: Account, /) -> None:
        """Forget the password and all that is kept with it; nothing happens when there is none."""

    async def held_elsewhere(self, tx: Tx, account: Account, /) -> str:
        """Return what the account is called where its password is kept, "" where that is our own database."""

    async def forget(self, name: str, /) -> None:
        """Have what `held_elsewhere` named removed there; nothing happens when it is gone. Raises Refused."""


def identity() -> Identity:
    """Return the adapter of this run: Supabase Auth when SUPABASE_URL is set, else our own database."""
    if settings().supabase_url:
        from assisters_app.accounts.identity import supabase_auth  # a second to import, only where it is used

        return supabase_auth
    return local
