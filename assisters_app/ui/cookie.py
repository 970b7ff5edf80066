"""Our three cookies: how they are read, written and cleared. No other code touches one.

Each is for this host alone, out of reach of scripts, and over TLS only where the product is (`Settings.cookie_name`).
"""

from datetime import timedelta

from starlette.responses import Response

from assisters_app.base.secrets import Secret
from assisters_app.base.settings import settings

SESSION = "session"  # who is signed in
LINK = "link"  # the token of a mailed link, for the minutes between following it and pressing its button
OAUTH = "oauth"  # recognises the browser that left for a provider


def read_cookie(headers: list[tuple[bytes, bytes]], what: str = SESSION) -> str:
    """Return the value of one of our cookies in raw ASGI `headers`, "" when it is not there."""
    wanted = settings().cookie_name(what)
    for key, value in headers:
        if key == b"cookie":
            for part in value.decode("latin-1").split(";"):
                found, _, content = part.strip().partition("=")
                if found == wanted:
                    return content
    return ""


def written(what: str, value: str, lasts: timedelta) -> str:
    """Return the `Set-Cookie` header that has a browser keep `value` for so long."""
    secure = "; Secure" if settings().https else ""
    name, seconds = settings().cookie_name(what), int(lasts.total_seconds())
    return f"{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}"


def set_cookie(response: Response, what: str, secret: Secret, lasts: timedelta) -> None:
    """Have the browser that gets `response` keep `secret` for so long."""
    response.headers.append("set-cookie", written(what, secret.reveal(), lasts))


def clear_cookie(response: Response, what: str = SESSION) -> None:
    """Take a cookie away again."""
    response.headers.append("set-cookie", written(what, "", timedelta()))
