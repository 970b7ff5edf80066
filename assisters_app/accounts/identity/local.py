"""Passwords in our own database, as Argon2id hashes."""

from assisters_app.accounts import passwords
from assisters_app.accounts.tables import Account
from assisters_app.base import lasting
from assisters_app.base.db import Tx


async def enroll(tx: Tx, account: Account, password: str) -> bool:
    """Keep a new account's password."""
    account.password_hash = await passwords.hashed(password)
    tx.add(account)
    return True


async def matches(tx: Tx, account: Account | None, password: str) -> bool:
    """Return whether `password` is the account's; raise its cost to today's when it is."""
    stored = account.password_hash if account else None
    right = await passwords.verified(stored, password)
    if right and account and stored and passwords.outdated(stored):
        await set_password(tx, account, password)
    return right


async def has_password(_tx: Tx, account: Account) -> bool:
    """Return whether a hash is stored."""
    return account.password_hash is not None


async def set_password(tx: Tx, account: Account, password: str) -> None:
    """Store the hash of `password` in place of any other."""
    account.password_hash = await passwords.hashed(password)
    tx.add(account)
    await lasting.changed(tx, "account", account_id=account.id)  # a backup must not let the one before open it again


async def confirm(_tx: Tx, _account: Account) -> None:
    """Do nothing: `Account.verified_at` says it already."""


async def change_email(_tx: Tx, _account: Account, _email: str) -> None:
    """Do nothing: the hash is found by account, not by address."""


async def held_elsewhere(_tx: Tx, _account: Account) -> str:
    """Return nothing: the hash goes with the account."""
    return ""


async def forget(_name: str) -> None:
    """Do nothing: nobody else has anything."""


async def remove(tx: Tx, account: Account) -> None:
    """Forget the hash."""
    account.password_hash = None
    tx.add(account)
