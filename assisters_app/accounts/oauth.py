"""Signing in with GitHub, Google or any OpenID Connect issuer; linking them to an account; proving oneself there.

    offered() -> tuple[OAuthClient, ...]                  the buttons: each has `name` and `title`
    begin(name, intent, person=None, return_to="/") -> Start
        Start.url is where the browser goes; Start.cookie goes with it (HttpOnly, SameSite=Lax, Max-Age LASTING)
    prove(name, answer, browser) -> Proof                 `answer`: the callback's query; `browser`: that cookie's value
    finish(tx, proof, client, person=None) -> Finished    Finished.cookie is a new session's, or None
    methods(tx, person) -> list[Method]                   for the settings page
    unlink(tx, person, name)

`prove` talks to the provider, so it is called before the transaction is opened. The callback's address is
`PUBLIC_URL/auth/oauth/NAME/callback`. Raises Refused with code
    oauth_cancelled, oauth_state, provider_answer, provider_unavailable, no_email, link_first, linked_elsewhere,
    wrong_person, last_sign_in, reauthenticate, suspended; NotFound for a provider that is not configured.

An account is never linked because a provider names its address: providers differ in what "verified" means, and one that
is careless, or an issuer under somebody's control, would open any account. Whoever has an account links from inside,
after proving who they are. Only an account whose address was never proven, and which therefore nobody has ever used,
is handed to the one whose provider proves it; the password somebody typed for it is forgotten.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlmodel import col, select

from assisters_app.accounts import emails, links, sessions, signing_in, signing_up, verifying
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.oauth_providers import GITHUB, Claimed, Ticket, authorization_url, identify
from assisters_app.accounts.reauthentication import mark_recent, require_recent
from assisters_app.accounts.rights import is_staff
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, ExternalIdentity
from assisters_app.base import contact, crypto, lasting, mail, trail
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.secrets import Secret, random_token
from assisters_app.base.settings import OAuthClient, settings
from assisters_app.base.valkey import valkey

Intent = Literal["sign-in", "link", "reauthenticate"]

LASTING = timedelta(minutes=10)  # from leaving for the provider to coming back


@dataclass(frozen=True, slots=True)
class Start:
    """Where to send the browser, and the cookie that it is recognised by when it comes back."""

    url: str
    cookie: Secret


@dataclass(frozen=True, slots=True)
class Proof:
    """Who the provider says came back, and what they came for."""

    provider: str
    claimed: Claimed
    intent: Intent
    session_id: str  # of the one who began it; "" when nobody was signed in
    return_to: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Where the person goes on, and their new session's cookie, if one was opened."""

    return_to: str
    cookie: Secret | None


@dataclass(frozen=True, slots=True)
class Method:
    """One provider on the settings page."""

    name: str
    title: str
    linked: bool


@dataclass(frozen=True, slots=True)
class _Trip:
    provider: str
    ticket: Ticket
    browser: str  # fingerprint of the cookie
    intent: Intent
    session_id: str
    return_to: str


def offered() -> tuple[OAuthClient, ...]:
    """Return the providers that are configured."""
    return settings().oauth_clients


async def begin(
    name: str, intent: Intent = "sign-in", person: Person | None = None, return_to: str = "/dashboard"
) -> Start:
    """Prepare a trip to a provider and back; `person` is needed to link and to prove oneself again."""
    provider = _provider(name)
    if intent == "link" and person is not None:
        require_recent(person)
    ticket = Ticket(
        redirect_uri=f"{settings().public_url}/auth/oauth/{provider.name}/callback",
        state=random_token().reveal(),
        nonce=random_token().reveal(),
        verifier=secrets.token_urlsafe(48),
        anew=intent == "reauthenticate",
    )
    url = await authorization_url(provider, ticket)
    cookie = random_token()
    session_id = str(person.session_id) if person else ""
    await _keep(_Trip(name, ticket, crypto.fingerprint(cookie.reveal()), intent, session_id, _inside(return_to)))
    return Start(url, cookie)


async def prove(name: str, answer: Mapping[str, str], browser: str) -> Proof:
    """Return who came back, in the browser that left, once; a second time the same answer is worth nothing."""
    provider = _provider(name)
    trip = await _take(answer.get("state", ""))
    if trip is None or trip.provider != name or trip.browser != crypto.fingerprint(browser):
        raise Refused("This sign-in is over, or was begun in another browser. Start again.", code="oauth_state")
    if "code" not in answer:
        raise Refused("Signing in was cancelled at the provider.", code="oauth_cancelled")
    claimed = await identify(provider, trip.ticket, answer)
    return Proof(name, claimed, trip.intent, trip.session_id, trip.return_to)


async def finish(tx: Tx, proof: Proof, client: Client, person: Person | None = None) -> Finished:
    """Do what the person left for: sign in (or up), link, or prove who they are."""
    owner = await _owner(tx, proof.claimed)
    if proof.intent == "sign-in":
        account = owner or await _newcomer(tx, proof, client)
        signing_in.require_open(account)
        return Finished(proof.return_to, await sessions.open_session(tx, account, client))
    if person is None or str(person.session_id) != proof.session_id:
        raise Refused("You are no longer signed in as the one who began this. Start again.", code="oauth_state")
    if proof.intent == "link":
        await _link(tx, proof, person, owner, client)
    else:
        await _recognise(tx, person, owner, client)
    return Finished(proof.return_to, None)


async def methods(tx: Tx, person: Person) -> list[Method]:
    """Return every provider that is configured, and whether `person` can sign in with it."""
    linked = await tx.exec(select(ExternalIdentity.issuer).where(ExternalIdentity.account_id == person.account_id))
    issuers = set(linked)
    return [Method(one.name, one.title, _issuer(one) in issuers) for one in offered()]


async def unlink(tx: Tx, person: Person, name: str) -> None:
    """Stop `person` from signing in with a provider, unless that is the only way left to them."""
    require_recent(person)
    provider = _provider(name)
    held = select(ExternalIdentity).where(ExternalIdentity.account_id == person.account_id).with_for_update()
    theirs = (await tx.exec(held)).all()
    going = next((one for one in theirs if one.issuer == _issuer(provider)), None)
    if going is None:
        raise NotFound("sign-in")
    account = await tx.get_one(Account, person.account_id)
    if len(theirs) == 1 and not await identity().has_password(tx, account):
        raise Refused("Choose a password first: this is your only way to sign in.", code="last_sign_in")
    await tx.delete(going)
    await lasting.changed(tx, "account", account_id=account.id)
    trail.write(tx, "sign-in:unlinked", account_id=account.id, actor_id=account.id, provider=name)


async def _newcomer(tx: Tx, proof: Proof, client: Client) -> Account:
    """Return a new account for somebody whose provider proves an address that nobody has proven here."""
    if proof.claimed.email is None:
        raise Refused(
            "The provider does not say that your e-mail address is confirmed. Confirm it there, or sign up here.",
            code="no_email",
        )
    email = emails.normalized(proof.claimed.email)
    account = await signing_up.open_account(tx, email, name=proof.claimed.name)
    if account is None:
        account = await _never_used(tx, email)
    tx.add(_identity_of(proof.claimed, account.id))
    trail.write(
        tx, "account:signed-up", account_id=account.id, actor_id=account.id, ip=client.ip, provider=proof.provider
    )
    await verifying.mark_verified(tx, account)
    return account


async def _never_used(tx: Tx, email: str) -> Account:
    account = (await tx.exec(select(Account).where(Account.email == email).with_for_update())).one()
    if account.verified_at is not None or is_staff(account.role):  # staff come in by the link that was made for them
        raise Refused(
            "This address has an account. Sign in with your password, then link this provider in the settings.",
            code="link_first",
            status=409,
        )
    await identity().remove(tx, account)
    await links.void(tx, account.id, *links.OWN)
    return account


async def _link(tx: Tx, proof: Proof, person: Person, owner: Account | None, client: Client) -> None:
    require_recent(person)
    if owner is not None and owner.id != person.account_id:
        raise Refused("That sign-in belongs to another account.", code="linked_elsewhere", status=409)
    if owner is not None:
        return
    tx.add(_identity_of(proof.claimed, person.account_id))
    trail.write(
        tx,
        "sign-in:linked",
        account_id=person.account_id,
        actor_id=person.account_id,
        ip=client.ip,
        provider=proof.provider,
    )
    title = _provider(proof.provider).title
    message = mail.Message(
        "A new way to sign in",
        (
            f"Your Assisters account can now be opened with {title}.",
            f"If it was not you, remove it in your settings, choose a new password, and write to {contact.EMAIL}.",
        ),
    )
    await mail.send(tx, person.email, message, account_id=person.account_id)


async def _recognise(tx: Tx, person: Person, owner: Account | None, client: Client) -> None:
    if owner is None or owner.id != person.account_id:
        raise Refused("That is not a sign-in of this account.", code="wrong_person", status=403)
    await mark_recent(tx, person, client)


async def _owner(tx: Tx, claimed: Claimed) -> Account | None:
    """Return the account that this sign-in was linked to: by issuer and subject, never by address."""
    return (
        await tx.exec(
            select(Account)
            .join(ExternalIdentity, col(ExternalIdentity.account_id) == Account.id)
            .where(ExternalIdentity.issuer == claimed.issuer, ExternalIdentity.subject == claimed.subject)
        )
    ).first()


def _identity_of(claimed: Claimed, account_id: UUID) -> ExternalIdentity:
    return ExternalIdentity(account_id=account_id, issuer=claimed.issuer, subject=claimed.subject)


def _provider(name: str) -> OAuthClient:
    for one in offered():
        if one.name == name:
            return one
    raise NotFound("sign-in provider")


def _issuer(provider: OAuthClient) -> str:
    return GITHUB if provider.issuer == "github" else provider.issuer


def _inside(path: str) -> str:
    r"""Return a path of ours; anything that a browser could read as another host (//, /\) leads to the dashboard."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/dashboard"


async def _keep(trip: _Trip) -> None:
    sealed = base64.b64encode(crypto.seal("oauth", json.dumps(asdict(trip)))).decode()
    await valkey().set(_place(trip.ticket.state), sealed, ex=LASTING)


async def _take(state: str) -> _Trip | None:
    """Return the trip that left with `state`, and forget it."""
    sealed = await valkey().getdel(_place(state))
    if sealed is None:
        return None
    kept = json.loads(crypto.unseal("oauth", base64.b64decode(sealed)))
    return _Trip(**{**kept, "ticket": Ticket(**kept["ticket"])})


def _place(state: str) -> str:
    return f"oauth:{crypto.fingerprint(state)}"
