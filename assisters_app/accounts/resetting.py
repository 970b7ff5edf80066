"""A forgotten password, replaced by the one who reads the account's mail.

    request_reset(tx, email, client)               raises Refused: bad_email, too_many; answers the same for everybody
    reset(tx, token, password, client) -> str      the address; raises Refused: bad_link, weak_password
    change_password(tx, person, password, client)  raises Refused: reauthenticate, weak_password

A reset proves the address too, ends every session, and signs nobody in.
"""

from datetime import timedelta
from uuid import UUID

from assisters_app.accounts import emails, links, passwords, recovering, sessions, signing_up, verifying
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit, attempt, within
from assisters_app.base import contact, ids, jobs, mail, trail
from assisters_app.base.db import Tx, transaction

BY_PLACE = Limit("reset", 20, timedelta(hours=1))


async def request_reset(tx: Tx, email: str, client: Client) -> None:
    """Send a link to choose a new password, if `email` has an account."""
    email = emails.normalized(email)
    await attempt(BY_PLACE, client.place)
    allowed = await within(signing_up.MAILS, email)
    account = await signing_up.find(tx, email)
    await jobs.enqueue(tx, "accounts.reset", account_id=str(account.id if account and allowed else ids.new_id()))


@jobs.job("accounts.reset")
async def _send_reset(account_id: str) -> None:
    """Send the link; for an id that nobody has, do nothing: the request took the same steps for everybody.

    None goes to an account that nobody may sign in to. Where it is being erased, a new password would make a user at
    Supabase anew.
    """
    async with transaction() as tx:
        account = await tx.get(Account, UUID(account_id))
        if account is None or account.suspended_at is not None:
            return
        message = mail.Message(
            "Choose a new password",
            (
                "Somebody, hopefully you, asked to choose a new password for your Assisters account.",
                "The link works once, for an hour. If it was not you, do nothing: your password stays as it is.",
            ),
            action=("Choose a new password", await links.link(tx, account.id, "reset")),
        )
        await mail.send(tx, account.email, message, account_id=account.id)


async def reset(tx: Tx, token: str, password: str, client: Client) -> str:
    """Replace the password of the account that the link was sent to; every session of it ends."""
    followed = await links.follow(tx, token, "reset")
    account = await tx.get_one(Account, followed.account_id)
    await passwords.require_strong(password, account.email)
    await identity().set_password(tx, account, password)
    await verifying.mark_verified(tx, account)
    await sessions.end_all(tx, account.id, actor_id=account.id)
    await recovering.end(tx, account.id, account.id)  # the mailbox is not lost: the link came there
    await _tell(tx, account, client, "password:reset")
    return account.email


async def change_password(tx: Tx, person: Person, password: str, client: Client) -> None:
    """Replace the password of `person`, who has just proven who they are; their other sessions end."""
    require_recent(person)
    await passwords.require_strong(password, person.email)
    account = await tx.get_one(Account, person.account_id)
    await identity().set_password(tx, account, password)
    await sessions.end_all(tx, account.id, actor_id=account.id, but=person.session_id)
    await _tell(tx, account, client, "password:changed")


async def _tell(tx: Tx, account: Account, client: Client, action: str) -> None:
    """Record the change, void what could undo it, and tell the owner, who may not be the one who did it."""
    await links.void(tx, account.id, *links.OWN)
    trail.write(tx, action, account_id=account.id, actor_id=account.id, ip=client.ip)
    message = mail.Message(
        "Your password was changed",
        (
            "The password of your Assisters account was changed, and other sign-ins were ended.",
            f"If it was not you, choose a new one at once with “Forgot password”, and write to {contact.EMAIL}.",
        ),
    )
    await mail.send(tx, account.email, message, account_id=account.id)
