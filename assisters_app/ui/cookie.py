"""The session's cookie: its name, and how it is read, set and cleared. No other code touches it."""

from starlette.responses import Response

from assisters_app.accounts.sessions import AT_MOST
from assisters_app.base.secrets import Secret
from assisters_app.base.settings import settings


def cookie_name() -> str:
    """Return `__Host-session` (https: this host only, Secure, whole site) or, over plain http, `session`."""
    return "__Host-session" if settings().https else "session"


def read_cookie(headers: list[tuple[bytes, bytes]], name: str | None = None) -> str:
    """Return the value of our cookie in raw ASGI `headers`, "" when there is none."""
    wanted = name or cookie_name()
    for key, value in headers:
        if key == b"cookie":
            for part in value.decode("latin-1").split(";"):
                found, _, content = part.strip().partition("=")
                if found == wanted:
                    return content
    return ""


def set_cookie(response: Response, session: Secret) -> None:
    """Let the browser that gets `response` be signed in as `session`."""
    response.set_cookie(
        cookie_name(),
        session.reveal(),
        max_age=int(AT_MOST.total_seconds()),
        path="/",
        secure=settings().https,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response) -> None:
    """Take the cookie away again."""
    response.delete_cookie(cookie_name(), path="/", secure=settings().https, httponly=True, samesite="lax")
