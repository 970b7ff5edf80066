"""Passwords in Supabase Auth. The one module that knows the `supabase` package.

Supabase keeps the address and the password and nothing else: mail, links and sessions are ours, so the session that it
opens when it checks a password is closed again at once. What happens there does not roll back with our transaction;
every step can therefore be met half done and still finds its way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlmodel import select
from supabase import AsyncClient, AsyncClientOptions
from supabase_auth import AsyncGoTrueAdminAPI
from supabase_auth.errors import AuthApiError, AuthRetryableError, AuthUnknownError, AuthWeakPasswordError

from assisters_app.accounts import outside
from assisters_app.accounts.passwords import same_everywhere
from assisters_app.accounts.tables import Account, ExternalIdentity
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings

SOONEST = 0.6  # seconds before any password is judged: Supabase answers sooner for addresses that nobody has
NOBODY = "nobody@assisters.invalid"
PAGE = 1000  # users to a page, when one has to be looked for


async def enroll(tx: Tx, account: Account, password: str) -> bool:
    """Create the user there, its address unproven; return False when the address has one already."""
    return await _create(tx, account, password, proven=False)


async def matches(tx: Tx, account: Account | None, password: str) -> bool:
    """Return whether Supabase takes this pair, and means the user that belongs to the account."""
    kept = await _kept(tx, account) if account else None
    asked = _ask(account if kept else None, kept.subject if kept else "", same_everywhere(password))
    right, _ = await asyncio.gather(asked, asyncio.sleep(SOONEST))
    return right


async def has_password(tx: Tx, account: Account) -> bool:
    """Return whether a user there belongs to the account."""
    return await _kept(tx, account) is not None


async def set_password(tx: Tx, account: Account, password: str) -> None:
    """Set the password of the user there; create it, or take over the one its proven address already has."""
    kept = await _kept(tx, account)
    if kept and await _update(kept.subject, password):
        return
    if kept:  # removed there
        await tx.delete(kept)
        await tx.flush()
    if await _create(tx, account, password, proven=True):
        return
    subject = await _find(account.email)
    await _update(subject, password)
    tx.add(ExternalIdentity(account_id=account.id, issuer=_issuer(), subject=subject))


async def confirm(tx: Tx, account: Account) -> None:
    """Note there that the address has been proven."""
    kept = await _kept(tx, account)
    if kept:
        async with _admin() as there:
            await there.update_user_by_id(kept.subject, {"email_confirm": True})


async def change_email(tx: Tx, account: Account, email: str) -> None:
    """Give the user there its new, proven address; raise Refused when another user has it."""
    kept = await _kept(tx, account)
    if kept is None:
        return
    async with _admin() as there:
        try:
            await there.update_user_by_id(kept.subject, {"email": email, "email_confirm": True})
        except AuthApiError as problem:
            if problem.code != "email_exists":
                raise
            raise Refused("This address has an account already.", code="email_taken", field="email") from None


async def remove(tx: Tx, account: Account) -> None:
    """Delete the user there."""
    kept = await _kept(tx, account)
    if kept is None:
        return
    await forget(kept.subject)
    await tx.delete(kept)
    await tx.flush()


async def held_elsewhere(tx: Tx, account: Account) -> str:
    """Return the id of the user there, "" when there is none."""
    kept = await _kept(tx, account)
    return kept.subject if kept else ""


async def forget(name: str) -> None:
    """Delete the user with this id there."""
    async with _admin() as there:
        try:
            await there.delete_user(name)
        except AuthApiError as problem:
            if problem.code != "user_not_found":
                raise


async def _ask(account: Account | None, subject: str, password: str) -> bool:
    email = account.email if account else NOBODY
    if not password:  # the client would not even ask
        return False
    async with _supabase(settings().supabase_publishable_key) as client:
        try:
            answer = await client.auth.sign_in_with_password({"email": email, "password": password})
        except AuthApiError as problem:
            if problem.code == "email_not_confirmed":  # said only to the right password
                return account is not None and account.verified_at is None
            if problem.code in {"invalid_credentials", "validation_failed", "user_banned"}:
                return False
            raise
        await client.auth.sign_out({"scope": "local"})
        return answer.user is not None and answer.user.id == subject


async def _create(tx: Tx, account: Account, password: str, *, proven: bool) -> bool:
    async with _admin() as there:
        try:
            made = await there.create_user(
                {"email": account.email, "password": same_everywhere(password), "email_confirm": proven}
            )
        except AuthApiError as problem:
            if problem.code != "email_exists":
                raise
            return False
    tx.add(ExternalIdentity(account_id=account.id, issuer=_issuer(), subject=made.user.id))
    await tx.flush()
    return True


async def _update(subject: str, password: str) -> bool:
    async with _admin() as there:
        try:
            await there.update_user_by_id(subject, {"password": same_everywhere(password), "email_confirm": True})
        except AuthApiError as problem:
            if problem.code != "user_not_found":
                raise
            return False
    return True


async def _find(email: str) -> str:
    """Return the id of the user with this address; there is no way to ask for it but to turn the pages."""
    async with _admin() as there:
        page = 1
        while users := await there.list_users(page=page, per_page=PAGE):
            for user in users:
                if user.email == email:
                    return user.id
            page += 1
    raise LookupError("Supabase Auth says that an address has a user, and lists none.")


async def _kept(tx: Tx, account: Account) -> ExternalIdentity | None:
    belonging = select(ExternalIdentity).where(
        ExternalIdentity.account_id == account.id, ExternalIdentity.issuer == _issuer()
    )
    return (await tx.exec(belonging)).first()


def _issuer() -> str:
    return f"{settings().supabase_url}/auth/v1"


@asynccontextmanager
async def _admin() -> AsyncIterator[AsyncGoTrueAdminAPI]:
    async with _supabase(settings().supabase_secret_key) as client:
        yield client.auth.admin


@asynccontextmanager
async def _supabase(key: str | None) -> AsyncIterator[AsyncClient]:
    """Open a client for one errand (it remembers who signed in last), and say its troubles in our words."""
    async with outside.http() as http:
        options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
        try:
            yield AsyncClient(settings().supabase_url or "", key or "", options)
        except AuthWeakPasswordError:
            raise Refused(
                "This password is too easy to guess. Choose another one.", code="weak_password", field="password"
            ) from None
        except (AuthRetryableError, AuthUnknownError):
            raise _later("Signing in is not possible right now. Try again in a minute.", "unavailable", 503) from None
        except AuthApiError as problem:
            if problem.code not in {"over_request_rate_limit", "over_email_send_rate_limit"}:
                raise
            raise _later("Too many attempts. Try again in a minute.", "too_many", 429) from None


def _later(sentence: str, code: str, status: int) -> Refused:
    return Refused(sentence, code=code, status=status, retry_after=60)
