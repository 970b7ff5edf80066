"""A stand-in for Supabase Auth: its public HTTP API, its state, its errors, and its failures on request.

    with served() as supabase:       # in a thread, on a free port
        supabase.url, supabase.publishable_key, supabase.secret_key
        supabase.letters             # what it would have mailed, newest last
        supabase.users               # by id
        supabase.fail("POST /token", status=503, times=2)

It covers what an account with e-mail and password goes through: sign-up, sign-in, refresh with rotation, the user
itself, recovery, verification, sign-out and the admin's users. Access tokens are ES256, verifiable from its JWKS.
"""

import asyncio
import hashlib
import re
import secrets
import socket
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from granian.constants import Interfaces
from granian.server.embed import Server
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from assisters_app.base.clock import now

API_VERSION = "2024-01-01"  # from which errors carry their code as `code`
TOKEN_LIFE = timedelta(hours=1)
LINK_LIFE = timedelta(hours=1)
SHORTEST, LONGEST = 6, 72  # of a password: the service's own default, and what bcrypt can hold
START = 10.0  # seconds for the server to answer


class ApiError(Exception):
    """An answer that is an error, as the service words it."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:  # noqa: ANN401 (JSON)
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more


@dataclass
class User:
    """One user; `password` is salted and hashed, None when there is none."""

    email: str
    password: bytes | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    confirmed_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    banned_until: datetime | None = None
    new_email: str | None = None
    user_metadata: dict[str, Any] = field(default_factory=dict)
    app_metadata: dict[str, Any] = field(default_factory=lambda: {"provider": "email", "providers": ["email"]})


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail it would have sent: `kind` is signup, recovery or email_change; either token proves the address."""

    to: str
    kind: str
    token_hash: str
    otp: str
    user_id: str
    sent_at: datetime


@dataclass
class Fault:
    """What goes wrong next: the answer `status` for so many requests."""

    status: int
    times: int
    body: dict[str, Any]


@dataclass
class SupabaseAuth:
    """The service's state. `autoconfirm` is its setting "Confirm email" turned off."""

    url: str = ""
    publishable_key: str = field(default_factory=lambda: "sb_publishable_" + secrets.token_urlsafe(16))
    secret_key: str = field(default_factory=lambda: "sb_secret_" + secrets.token_urlsafe(16))
    autoconfirm: bool = False
    users: dict[str, User] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)  # session id → user id
    refresh_tokens: dict[str, str] = field(default_factory=dict)  # unused → session id
    used_tokens: dict[str, str] = field(default_factory=dict)  # used → session id
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # "METHOD /path" of each request, oldest first
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True))

    def fail(self, route: str, status: int = 503, times: int = 1, **body: Any) -> None:  # noqa: ANN401 (JSON)
        """Answer the next `times` requests to `route` ("POST /token") with `status`."""
        self.faults[route] = Fault(status, times, body or {"message": "The service is not available."})

    def user_of(self, email: str) -> User | None:
        """Return the user with this address."""
        return next((user for user in self.users.values() if user.email == email.lower()), None)


def application(service: SupabaseAuth) -> Starlette:
    """Return the service's API under /auth/v1."""

    def route(path: str, method: str, act: Callable[[SupabaseAuth, Request], Awaitable[Response]]) -> Route:
        async def endpoint(request: Request) -> Response:
            service.asked.append(f"{method} {path}")
            failed = _failed(service, f"{method} {path}")
            if failed:
                return failed
            try:
                _require_key(service, request, admin=path.startswith("/admin"))
                return await act(service, request)
            except ApiError as error:
                return _refused(request, error)

        return Route(path, endpoint, methods=[method])

    routes = [
        Route("/.well-known/jwks.json", lambda _: JSONResponse({"keys": [service.key.as_dict(private=False)]})),
        route("/signup", "POST", _sign_up),
        route("/token", "POST", _token),
        route("/user", "GET", _get_user),
        route("/user", "PUT", _put_user),
        route("/recover", "POST", _recover),
        route("/resend", "POST", _resend),
        route("/verify", "POST", _verify),
        route("/logout", "POST", _log_out),
        route("/admin/users", "GET", _admin_list),
        route("/admin/users", "POST", _admin_create),
        route("/admin/users/{id}", "GET", _admin_get),
        route("/admin/users/{id}", "PUT", _admin_update),
        route("/admin/users/{id}", "DELETE", _admin_delete),
    ]
    return Starlette(routes=[Mount("/auth/v1", routes=routes)])


async def _sign_up(service: SupabaseAuth, request: Request) -> Response:
    """Create a user; an address that is taken is told apart by nobody unless addresses need no confirmation."""
    body = await _body(request)
    email, known = _email(body), service.user_of(_email(body))
    _require_password(body.get("password", ""))
    if known and (known.confirmed_at or service.autoconfirm):
        if service.autoconfirm:
            raise ApiError(422, "user_already_exists", "User already registered")
        return JSONResponse({**_shown(User(email)), "identities": []})
    user = known or User(email, user_metadata=body.get("data") or {})
    user.password = _hashed(body["password"])
    service.users[user.id] = user
    if service.autoconfirm:
        user.confirmed_at = now()
        return _session(service, user, "password")
    _mail(service, user, "signup")
    return JSONResponse({**_shown(user), "confirmation_sent_at": _iso(now())})


async def _token(service: SupabaseAuth, request: Request) -> Response:
    grant = request.query_params.get("grant_type")
    body = await _body(request)
    if grant == "password":
        return _by_password(service, body)
    if grant == "refresh_token":
        return _by_refresh_token(service, str(body.get("refresh_token", "")))
    raise ApiError(400, "validation_failed", f"unsupported_grant_type: {grant}")


def _by_password(service: SupabaseAuth, body: Mapping[str, Any]) -> Response:
    """Open a session. A wrong password and an unknown address look the same; the rest is told to the right password."""
    user = service.user_of(_email(body))
    if user is None or not _matches(user.password, str(body.get("password", ""))):
        raise ApiError(400, "invalid_credentials", "Invalid login credentials")
    if user.banned_until and user.banned_until > now():
        raise ApiError(400, "user_banned", "User is banned")
    if user.confirmed_at is None:
        raise ApiError(400, "email_not_confirmed", "Email not confirmed")
    return _session(service, user, "password")


def _by_refresh_token(service: SupabaseAuth, token: str) -> Response:
    """Rotate a refresh token; one that is used twice was stolen from somebody, so its session ends."""
    if token in service.used_tokens:
        service.sessions.pop(service.used_tokens[token], None)
        raise ApiError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
    session_id = service.refresh_tokens.pop(token, None)
    user = service.users.get(service.sessions.get(session_id or "", ""))
    if session_id is None or user is None:
        raise ApiError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
    service.used_tokens[token] = session_id
    return _session(service, user, "token_refresh", session_id)


async def _get_user(service: SupabaseAuth, request: Request) -> Response:
    user, _ = _bearer(service, request)
    return JSONResponse(_shown(user))


async def _put_user(service: SupabaseAuth, request: Request) -> Response:
    """Change one's own user; a new address counts once it is verified."""
    user, _ = _bearer(service, request)
    body = await _body(request)
    if body.get("password"):
        _require_password(body["password"])
        if _matches(user.password, body["password"]):
            raise ApiError(422, "same_password", "New password should be different from the old password.")
        user.password = _hashed(body["password"])
    if body.get("email") and _email(body) != user.email:
        if service.user_of(_email(body)):
            raise ApiError(422, "email_exists", "A user with this email address has already been registered")
        user.new_email = _email(body)
        _mail(service, user, "email_change")
    user.user_metadata |= body.get("data") or {}
    user.updated_at = now()
    return JSONResponse(_shown(user))


async def _recover(service: SupabaseAuth, request: Request) -> Response:
    """Mail a recovery link, if there is a user; the answer is the same."""
    user = service.user_of(_email(await _body(request)))
    if user:
        _mail(service, user, "recovery")
    return JSONResponse({})


async def _resend(service: SupabaseAuth, request: Request) -> Response:
    body = await _body(request)
    user = service.user_of(_email(body))
    if user and body.get("type") == "signup" and user.confirmed_at is None:
        _mail(service, user, "signup")
    return JSONResponse({})


async def _verify(service: SupabaseAuth, request: Request) -> Response:
    """Use up what a letter held, and open a session for whoever read it."""
    body = await _body(request)
    letter = next((one for one in service.letters if _opens(one, body)), None)
    user = service.users.get(letter.user_id) if letter else None
    if letter is None or user is None or letter.sent_at + LINK_LIFE < now():
        raise ApiError(403, "otp_expired", "Token has expired or is invalid")
    service.letters.remove(letter)
    user.confirmed_at = user.confirmed_at or now()
    if letter.kind == "email_change" and user.new_email:
        user.email, user.new_email = user.new_email, None
    return _session(service, user, "otp")


def _opens(letter: Letter, body: Mapping[str, Any]) -> bool:
    kinds = {"email": {"signup", "recovery"}}.get(body.get("type", ""), {body.get("type")})
    by_hash = letter.token_hash == body.get("token_hash")
    by_code = letter.otp == body.get("token") and letter.to == str(body.get("email", "")).lower()
    return letter.kind in kinds and (by_hash or by_code)


async def _log_out(service: SupabaseAuth, request: Request) -> Response:
    """End this session, the others, or all of them. The access token stays good until it expires."""
    user, session_id = _bearer(service, request)
    scope = request.query_params.get("scope", "global")
    theirs = {one for one, owner in service.sessions.items() if owner == user.id}
    ended = {"local": theirs & {session_id}, "others": theirs - {session_id}, "global": theirs}[scope]
    for one in ended:
        del service.sessions[one]
    return Response(status_code=204)


async def _admin_list(service: SupabaseAuth, request: Request) -> Response:
    page, size = (int(request.query_params.get(name) or usual) for name, usual in (("page", 1), ("per_page", 50)))
    users = list(service.users.values())
    shown = [_shown(user) for user in users[(page - 1) * size : page * size]]
    return JSONResponse({"users": shown, "aud": "authenticated"}, headers={"x-total-count": str(len(users))})


async def _admin_create(service: SupabaseAuth, request: Request) -> Response:
    body = await _body(request)
    user = User(_email(body), id=str(body.get("id") or uuid.uuid4()))
    if service.user_of(user.email):
        raise ApiError(422, "email_exists", "A user with this email address has already been registered")
    _administer(service, user, {**body, "email": None})
    service.users[user.id] = user
    return JSONResponse(_shown(user))


async def _admin_get(service: SupabaseAuth, request: Request) -> Response:
    return JSONResponse(_shown(_named(service, request)))


async def _admin_update(service: SupabaseAuth, request: Request) -> Response:
    user = _named(service, request)
    _administer(service, user, await _body(request))
    return JSONResponse(_shown(user))


async def _admin_delete(service: SupabaseAuth, request: Request) -> Response:
    user = _named(service, request)
    del service.users[user.id]
    service.sessions = {one: owner for one, owner in service.sessions.items() if owner != user.id}
    return JSONResponse({})


def _administer(service: SupabaseAuth, user: User, body: Mapping[str, Any]) -> None:
    """Set what an administrator may set, at once and without mail."""
    if body.get("email"):
        taken = service.user_of(_email(body))
        if taken and taken is not user:
            raise ApiError(422, "email_exists", "A user with this email address has already been registered")
        user.email = _email(body)
    if body.get("password"):
        _require_password(body["password"])
        user.password = _hashed(body["password"])
    if body.get("email_confirm"):
        user.confirmed_at = user.confirmed_at or now()
    if "ban_duration" in body:
        hours = re.fullmatch(r"(\d+)h", body["ban_duration"])
        user.banned_until = now() + timedelta(hours=int(hours[1])) if hours else None
    user.user_metadata |= body.get("user_metadata") or {}
    user.app_metadata |= body.get("app_metadata") or {}
    user.updated_at = now()


def _session(service: SupabaseAuth, user: User, method: str, session_id: str | None = None) -> Response:
    session_id = session_id or str(uuid.uuid4())
    service.sessions[session_id] = user.id
    refresh_token = secrets.token_urlsafe(12)
    service.refresh_tokens[refresh_token] = session_id
    user.last_sign_in_at = now()
    expires = int((now() + TOKEN_LIFE).timestamp())
    claims = {
        "iss": f"{service.url}/auth/v1",
        "sub": user.id,
        "aud": "authenticated",
        "iat": int(now().timestamp()),
        "exp": expires,
        "email": user.email,
        "phone": "",
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": method, "timestamp": int(now().timestamp())}],
        "session_id": session_id,
        "is_anonymous": False,
        "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata,
    }
    return JSONResponse(
        {
            "access_token": jwt.encode({"alg": "ES256", "kid": service.key.kid}, claims, service.key),
            "token_type": "bearer",
            "expires_in": int(TOKEN_LIFE.total_seconds()),
            "expires_at": expires,
            "refresh_token": refresh_token,
            "user": _shown(user),
        }
    )


def _bearer(service: SupabaseAuth, request: Request) -> tuple[User, str]:
    """Return the user and the session that the access token speaks for."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, service.key, algorithms=["ES256"]).claims
        jwt.JWTClaimsRegistry(now=int(now().timestamp()), exp={"essential": True}).validate(claims)
    except (JoseError, ValueError):
        raise ApiError(403, "bad_jwt", "invalid JWT: unable to parse or verify signature") from None
    user = service.users.get(claims["sub"])
    if user is None:
        raise ApiError(403, "user_not_found", "User from sub claim in JWT does not exist")
    if claims["session_id"] not in service.sessions:
        raise ApiError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
    return user, claims["session_id"]


def _named(service: SupabaseAuth, request: Request) -> User:
    user = service.users.get(request.path_params["id"])
    if user is None:
        raise ApiError(404, "user_not_found", "User not found")
    return user


def _mail(service: SupabaseAuth, user: User, kind: str) -> None:
    """Write a letter; an earlier one of its kind opens nothing any more."""
    service.letters = [one for one in service.letters if (one.user_id, one.kind) != (user.id, kind)]
    to = user.new_email if kind == "email_change" and user.new_email else user.email
    otp = f"{secrets.randbelow(10**6):06d}"
    token_hash = hashlib.sha224((to + otp).encode()).hexdigest()
    service.letters.append(Letter(to, kind, token_hash, otp, user.id, now()))


def _require_key(service: SupabaseAuth, request: Request, *, admin: bool) -> None:
    key = request.headers.get("apikey", "")
    if key not in {service.publishable_key, service.secret_key}:
        raise ApiError(401, "no_authorization", "No API key found in request")
    if admin and request.headers.get("authorization") != f"Bearer {service.secret_key}":
        raise ApiError(403, "not_admin", "User not allowed")


def _require_password(password: str) -> None:
    if len(password) < SHORTEST:
        message = f"Password should be at least {SHORTEST} characters."
        raise ApiError(422, "weak_password", message, weak_password={"reasons": ["length"]})
    if len(password.encode()) > LONGEST:
        raise ApiError(400, "validation_failed", f"Password cannot be longer than {LONGEST} characters")


def _failed(service: SupabaseAuth, route: str) -> Response | None:
    fault = service.faults.get(route)
    if fault is None or fault.times < 1:
        return None
    fault.times -= 1
    return JSONResponse(fault.body, fault.status, headers={"x-supabase-api-version": API_VERSION})


def _refused(request: Request, error: ApiError) -> Response:
    """Word an error as the API version that was asked for does."""
    if request.headers.get("x-supabase-api-version", "") >= API_VERSION:
        body = {"code": error.code, "message": error.message, **error.more}
        return JSONResponse(body, error.status, headers={"x-supabase-api-version": API_VERSION})
    return JSONResponse(
        {"code": error.status, "error_code": error.code, "msg": error.message, **error.more}, error.status
    )


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "bad_json", "Could not parse request body as JSON")
    return body


def _email(body: Mapping[str, Any]) -> str:
    email = str(body.get("email") or "").lower()
    if "@" not in email:
        raise ApiError(400, "validation_failed", "Unable to validate email address: invalid format")
    return email


def _shown(user: User) -> dict[str, Any]:
    identity = {
        "identity_id": user.id,
        "id": user.id,
        "user_id": user.id,
        "identity_data": {"email": user.email, "email_verified": user.confirmed_at is not None, "sub": user.id},
        "provider": "email",
        "last_sign_in_at": _iso(user.last_sign_in_at),
        "created_at": _iso(user.created_at),
        "updated_at": _iso(user.updated_at),
    }
    return {
        "id": user.id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": user.email,
        "new_email": user.new_email,
        "phone": "",
        "email_confirmed_at": _iso(user.confirmed_at),
        "confirmed_at": _iso(user.confirmed_at),
        "last_sign_in_at": _iso(user.last_sign_in_at),
        "banned_until": _iso(user.banned_until),
        "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata,
        "identities": [identity],
        "created_at": _iso(user.created_at),
        "updated_at": _iso(user.updated_at),
        "is_anonymous": False,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _hashed(password: str, salt: bytes | None = None) -> bytes:
    salt = salt or secrets.token_bytes(16)
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=2**10, r=8, p=1)


def _matches(stored: bytes | None, password: str) -> bool:
    return stored is not None and secrets.compare_digest(stored, _hashed(password, stored[:16]))


@contextmanager
def served(service: SupabaseAuth | None = None) -> Iterator[SupabaseAuth]:
    """Serve a stand-in in a thread on a free loopback port for the length of the block."""
    service = service or SupabaseAuth()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    service.url = f"http://127.0.0.1:{port}"
    server = Server(application(service), port=port, interface=Interfaces.ASGINL, websockets=False, log_enabled=False)
    loop = asyncio.new_event_loop()
    task = loop.create_task(server.serve())
    thread = threading.Thread(target=_run, args=(loop, task), name="supabase-auth-double")
    thread.start()
    try:
        with httpx.Client(trust_env=False, timeout=START, transport=httpx.HTTPTransport(retries=8)) as client:
            client.get(f"{service.url}/auth/v1/.well-known/jwks.json").raise_for_status()
        yield service
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(START)


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    finally:
        loop.close()
