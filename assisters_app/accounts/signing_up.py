"""A new account: its person, its organization, and the proof that the address is theirs.

    sign_up(tx, email, password, client)             raises Refused: bad_email, weak_password, too_many
    send_verification_again(tx, email, client)       raises Refused: bad_email, too_many

Both answer the same whether the address has an account or not; what differs is only the mail that its owner gets.
After `sign_up` the page says "Check your mail"; nobody is signed in before the address is proven.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from assisters_app.accounts import emails, links, passwords
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account, Membership, Organization
from assisters_app.accounts.throttling import Limit, attempt, within
from assisters_app.base import ids, jobs, mail, trail
from assisters_app.base.db import Tx, transaction
from assisters_app.base.settings import settings

BY_PLACE = Limit("sign-up", 20, timedelta(hours=1))
MAILS = Limit("mail", 5, timedelta(hours=1))  # to one address: nobody's mailbox is to be filled through us
OWN = "Personal"  # what an organization is called until its owner names it (policy 1.4: where applicable)


async def sign_up(tx: Tx, email: str, password: str, client: Client) -> None:
    """Open an account for `email` and send it a link to prove the address; an account that exists gets another mail."""
    email = emails.normalized(email)
    await attempt(BY_PLACE, client.place)
    await passwords.require_strong(password, email)
    account = await open_account(tx, email)
    if account is None:
        await identity().matches(tx, None, password)  # the work that a new account would have been
        await _tell_the_owner(tx, email)
        return
    trail.write(tx, "account:signed-up", account_id=account.id, actor_id=account.id, ip=client.ip)
    enrolled = await identity().enroll(tx, account, password)
    if await within(MAILS, email):
        await (send_verification(tx, account) if enrolled else send_finishing(tx, account))


async def open_account(tx: Tx, email: str, *, name: str = "", role: str = "member") -> Account | None:
    """Return a new account that owns a new organization; None when the address is taken. No password, not verified."""
    account = Account(email=email, name=name.strip()[:120], role=role)
    row = insert(Account).values(account.model_dump()).on_conflict_do_nothing(index_elements=["email"])
    created = (await tx.exec(row.returning(col(Account.id)))).first()
    if created is None:
        return None
    owned = Organization(handle=ids.handle("org"), owner_id=account.id, name=OWN)
    tx.add(owned)
    await tx.flush()
    tx.add(Membership(organization_id=owned.id, account_id=account.id, role="owner"))
    return await tx.get_one(Account, account.id)


async def send_verification_again(tx: Tx, email: str, client: Client) -> None:
    """Send another verification link, if `email` waits for one."""
    email = emails.normalized(email)
    await attempt(BY_PLACE, client.place)
    allowed = await within(MAILS, email)
    account = await find(tx, email)
    await jobs.enqueue(tx, "accounts.verification", account_id=str(account.id if account and allowed else ids.new_id()))


@jobs.job("accounts.verification")
async def _send_verification(account_id: str) -> None:
    """Send the link; for an id that nobody has, do nothing: the request took the same steps for everybody."""
    async with transaction() as tx:
        account = await tx.get(Account, UUID(account_id))
        if account and account.verified_at is None:
            await send_verification(tx, account)


async def find(tx: Tx, email: str) -> Account | None:
    """Return the account of a normalized address."""
    return (await tx.exec(select(Account).where(Account.email == email))).first()


async def send_verification(tx: Tx, account: Account) -> None:
    """Mail a link that proves the address."""
    message = mail.Message(
        "Confirm your e-mail address",
        (
            "Somebody, hopefully you, signed up for Assisters with this address.",
            "The link works once, for two days. If it was not you, do nothing: without it the account stays closed.",
            "An address that nobody confirms is erased after 30 days.",
        ),
        action=("Confirm this address", await links.link(tx, account.id, "verify")),
    )
    await mail.send(tx, account.email, message, account_id=account.id)


async def send_finishing(tx: Tx, account: Account) -> None:
    """Mail a link that proves the address and lets its owner choose the password, whoever typed one before."""
    message = mail.Message(
        "Finish signing up",
        (
            "Somebody, hopefully you, signed up for Assisters with this address, which was known to us already.",
            "Choose a password to confirm the address and open the account. The link works once, for an hour.",
        ),
        action=("Choose a password", await links.link(tx, account.id, "reset")),
    )
    await mail.send(tx, account.email, message, account_id=account.id)


async def _tell_the_owner(tx: Tx, email: str) -> None:
    account = await find(tx, email)
    if account is None or not await within(MAILS, email):
        return
    if account.verified_at is None:
        await send_finishing(tx, account)
        return
    message = mail.Message(
        "You already have an account",
        (
            "Somebody, hopefully you, tried to sign up for Assisters with this address.",
            "It has an account already, and nothing was changed.",
            f"If you forgot the password, you can choose a new one: {settings().public_url}/forgot",
        ),
        action=("Sign in", f"{settings().public_url}/sign-in"),
    )
    await mail.send(tx, email, message, account_id=account.id)
