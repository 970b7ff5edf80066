"""Speaking OAuth 2 and OpenID Connect to the providers of `settings().oauth_clients`.

`authorization_url` sends a browser there; `identify` turns the code it comes back with into who that is, by their word.
What protects the way back (state, nonce, PKCE, the browser's cookie) is made and checked in `oauth`.
"""

import urllib.parse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from assisters_app.accounts import outside
from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.settings import OAuthClient

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")  # never a shared secret, never "none"
CLOCKS_APART = 60  # seconds a provider's clock may differ from ours
FRESH = timedelta(minutes=5)  # how long ago a provider may have seen the person, when they are to prove themselves anew
GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one round trip is held together by; the provider sees the state, the nonce and a hash of the verifier."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str
    anew: bool  # the person is to prove who they are, even where the provider remembers them


@dataclass(frozen=True, slots=True)
class Claimed:
    """Who the provider says it is. `email` is None unless the provider says that it is proven."""

    issuer: str
    subject: str
    email: str | None
    name: str


async def authorization_url(provider: OAuthClient, ticket: Ticket) -> str:
    """Return the provider's address that the browser is to open."""
    where, extra = await _authorization(provider, ticket)
    url: str = prepare_grant_uri(
        where,
        client_id=provider.client_id,
        response_type="code",
        redirect_uri=ticket.redirect_uri,
        state=ticket.state,
        code_challenge=create_s256_code_challenge(ticket.verifier),
        code_challenge_method="S256",
        **extra,
    )
    return url


async def identify(provider: OAuthClient, ticket: Ticket, answer: Mapping[str, str]) -> Claimed:
    """Return who the provider says it is; raise Refused when its answer is not to be trusted or does not come."""
    async with _http() as http:
        if provider.issuer == "github":
            return await _github(http, provider, ticket, answer)
        return await _openid(http, provider, ticket, answer)


async def _authorization(provider: OAuthClient, ticket: Ticket) -> tuple[str, dict[str, str]]:
    if provider.issuer == "github":
        return f"{GITHUB}/login/oauth/authorize", {"scope": "read:user user:email"}
    async with _http() as http:
        known = await _discover(http, provider.issuer)
    extra = {"scope": "openid email profile", "nonce": ticket.nonce}
    if ticket.anew:
        extra |= {"prompt": "login", "max_age": "0"}
    return known["authorization_endpoint"], extra


async def _openid(http: httpx.AsyncClient, provider: OAuthClient, ticket: Ticket, answer: Mapping[str, str]) -> Claimed:
    known = await _discover(http, provider.issuer)
    if answer.get("iss", known["issuer"]) != known["issuer"]:  # RFC 9207: the answer of another provider
        raise _untrusted()
    posts = "client_secret_basic" not in known.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    tokens = await _exchange(http, known["token_endpoint"], provider, ticket, answer["code"], posts=posts)
    keys = await _json(http, known["jwks_uri"])
    claims = _verified(tokens.get("id_token"), keys, known["issuer"], provider, ticket)
    if "email" not in claims and "userinfo_endpoint" in known:
        more = await _json(http, known["userinfo_endpoint"], tokens.get("access_token"))
        if more.get("sub") == claims["sub"]:
            claims = {**more, **claims}
    proven = claims.get("email_verified") in (True, "true")
    return Claimed(
        provider.issuer, str(claims["sub"]), claims.get("email") if proven else None, str(claims.get("name") or "")
    )


def _verified(
    id_token: str | None,
    keys: Any,  # noqa: ANN401 (JSON)
    issuer: str,
    provider: OAuthClient,
    ticket: Ticket,
) -> dict[str, Any]:
    """Return the claims of an ID token after OpenID Connect Core 3.1.3.7."""
    try:
        claims = jwt.decode(id_token or "", KeySet.import_key_set(keys), algorithms=ALGORITHMS).claims
        jwt.JWTClaimsRegistry(
            now=int(now().timestamp()),
            leeway=CLOCKS_APART,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": ticket.nonce},
        ).validate(claims)
    except (JoseError, ValueError, KeyError):
        raise _untrusted() from None
    if claims.get("azp", provider.client_id) != provider.client_id or not _recent(claims, ticket):
        raise _untrusted()
    return claims


def _recent(claims: Mapping[str, Any], ticket: Ticket) -> bool:
    """Return False when the provider says that it last saw the person too long ago for what this is."""
    seen = claims.get("auth_time")
    if not ticket.anew or not isinstance(seen, int | float):
        return True
    return now().timestamp() - seen < FRESH.total_seconds()


async def _github(http: httpx.AsyncClient, provider: OAuthClient, ticket: Ticket, answer: Mapping[str, str]) -> Claimed:
    """Ask GitHub, which speaks OAuth 2 but no OpenID Connect, who holds the access token."""
    where = f"{GITHUB}/login/oauth/access_token"
    tokens = await _exchange(http, where, provider, ticket, answer["code"], posts=True)
    user = await _json(http, f"{GITHUB_API}/user", tokens.get("access_token"))
    addresses = await _json(http, f"{GITHUB_API}/user/emails", tokens.get("access_token"))
    proven = [one["email"] for one in addresses if one.get("primary") and one.get("verified")]
    return Claimed(GITHUB, str(user["id"]), proven[0] if proven else None, str(user.get("name") or ""))


async def _discover(http: httpx.AsyncClient, issuer: str) -> dict[str, Any]:
    """Return the provider's own description (OpenID Connect Discovery 4), which must be of this very issuer."""
    known: dict[str, Any] = await _json(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if str(known.get("issuer")).rstrip("/") != issuer.rstrip("/"):  # settings drop the slash that some end with
        raise _untrusted()
    scheme = urllib.parse.urlsplit(issuer).scheme
    for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if urllib.parse.urlsplit(str(known.get(endpoint))).scheme not in {scheme, "https"}:
            raise _untrusted()
    return known


async def _exchange(  # noqa: PLR0913 (one call of a protocol, with its parts)
    http: httpx.AsyncClient, where: str, provider: OAuthClient, ticket: Ticket, code: str, *, posts: bool
) -> dict[str, Any]:
    secret = {"client_id": provider.client_id, "client_secret": provider.client_secret}
    body: str = prepare_token_request(
        "authorization_code",
        redirect_uri=ticket.redirect_uri,
        code=code,
        code_verifier=ticket.verifier,
        **(secret if posts else {}),
    )
    quoted = [urllib.parse.quote_plus(secret[part]) for part in ("client_id", "client_secret")]  # RFC 6749 2.3.1
    answered = await http.post(
        where,
        content=body,
        headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
        auth=httpx.USE_CLIENT_DEFAULT if posts else (quoted[0], quoted[1]),
    )
    if answered.is_server_error:
        answered.raise_for_status()
    tokens = answered.json()
    if not answered.is_success or not isinstance(tokens, dict) or "access_token" not in tokens:
        raise _untrusted()  # GitHub refuses a code with status 200 and an `error`
    return tokens


async def _json(http: httpx.AsyncClient, where: str, token: str | None = None) -> Any:  # noqa: ANN401 (JSON)
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return (await http.get(where, headers=headers)).raise_for_status().json()


@asynccontextmanager
async def _http() -> AsyncIterator[httpx.AsyncClient]:
    """Open a client for one errand; a provider that does not answer, or not in JSON, is said to be out of reach."""
    async with outside.http() as http:
        try:
            yield http
        except (httpx.HTTPError, ValueError):
            raise Refused(
                "The sign-in provider does not answer right now. Try again in a minute, or use another way to sign in.",
                code="provider_unavailable",
                status=503,
                retry_after=60,
            ) from None


def _untrusted() -> Refused:
    return Refused("The sign-in provider's answer could not be trusted. Start again.", code="provider_answer")
