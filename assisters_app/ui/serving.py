"""The built front end, served from memory: page gate, hashed content policy, cache headers, the real address.

ASGI, outermost. What it does not hold (the socket, `/auth/…`) goes to the app behind it; every answer gets the security
headers. Built files: `.web/build/client`, with `.br` and `.gz` beside them.
"""

import base64
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assisters_app.accounts import sessions
from assisters_app.accounts.rights import is_staff, may
from assisters_app.base.settings import ROOT, settings
from assisters_app.privacy.choices.cookies import LINK_LIFE
from assisters_app.ui import signals
from assisters_app.ui.cookie import LINK, read_cookie, written
from assisters_app.ui.pages import Page, by_route
from assisters_app.ui.words import BASE

BUILD = ROOT / ".web" / "build" / "client"
HOME = "/dashboard"  # where one lands after signing in
ROLES = "/staff/roles"  # what says which role may see which page
LINK_PAGES = frozenset({"/verify", "/reset", "/confirm-email", "/new-mailbox", "/keep-mailbox", "/rights"})

Headers = list[tuple[bytes, bytes]]

_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_TEXTS = frozenset({".html", ".js", ".txt", ".xml"})
_PARTS_OF_PAGES = frozenset({".js", ".css"})
_ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"))
_IMMUTABLE, _REVALIDATE, _AN_HOUR = b"public, max-age=31536000, immutable", b"no-cache", b"public, max-age=3600"


@dataclass(frozen=True, slots=True)
class File:
    """One built file: its headers, its bytes, and the same bytes compressed, by encoding."""

    etag: bytes
    headers: Headers
    body: bytes
    packed: dict[bytes, bytes] = field(default_factory=dict)


class Serving:
    """ASGI: pages and files from memory, in front of everything else."""

    def __init__(self, app: ASGIApp, build: Path = BUILD) -> None:
        self.app = app
        self.files = load(build)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a page or a file, or hand the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, _with_headers(send))
            return
        path = scope["path"].rstrip("/") or "/"
        if path in LINK_PAGES and await _took_link(scope, path, send):
            return
        page = by_route(path)
        if page is not None:
            await self._page(page, path, scope, send)
        elif scope["path"] in self.files and not scope["path"].startswith("/__spa-fallback"):
            await _send_file(self.files[scope["path"]], scope, send)
        elif _ours(path):
            await self.app(scope, receive, _with_headers(send))
        else:
            await self._missing(scope, send)

    async def _page(self, page: Page, path: str, scope: Scope, send: Send) -> None:
        elsewhere = await _gate(page, path, scope)
        if elsewhere:
            await _redirect(elsewhere, send)
            return
        html = self.files.get(path) or self.files.get("/__spa-fallback")
        if html is None:
            await _say(503, b"The front end has not been built yet.", send)
            return
        await _send_file(html, scope, send)

    async def _missing(self, scope: Scope, send: Send) -> None:
        page = self.files.get("/404")
        if page is None:
            await _say(404, b"There is no such page.", send)
            return
        await _send_file(page, scope, send, status=404)


def load(build: Path) -> dict[str, File]:
    """Read a whole build into memory, by URL path; an absent build is an empty one."""
    return {
        _url(path.relative_to(build)): _read(path)
        for path in sorted(build.rglob("*"))
        if path.is_file() and path.suffix not in (".br", ".gz", ".zst") and ".vite" not in path.parts
    }


def policy(html: bytes) -> bytes:
    """Return the Content-Security-Policy of a page: its own inline scripts by hash, ours by origin, nothing else.

    Styles stay inline: React and Emotion write them. Stripe's page is where a top-up form leads.
    """
    hashes = sorted({base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _SCRIPT.findall(html)})
    scripts = " ".join(f"'sha256-{one}'" for one in hashes)
    stripe = settings().stripe_api_base or "https://checkout.stripe.com https://billing.stripe.com"
    return (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; "
        f"form-action 'self' {stripe}"
    ).encode()


def security_headers(*, document: bool = True) -> Headers:
    """Return what every answer of the web face carries; those of documents mean nothing on a script or a style sheet."""
    headers = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin")]
    if document:
        headers += [
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), browsing-topics=()"),
        ]
    if settings().https:
        headers.append((b"strict-transport-security", b"max-age=63072000; includeSubDomains"))
    return headers


async def _gate(page: Page, path: str, scope: Scope) -> str:
    """Return where to send the browser instead of showing `page`, "" when it may be shown."""
    if page.access == "public" and not page.alone:
        return ""
    who = await sessions.resolve(read_cookie(scope["headers"]))
    if page.alone:
        return HOME if who else ""
    if who is None:
        query = scope["query_string"].decode("latin-1")
        return f"/sign-in?next={quote(path + ('?' + query if query else ''), safe='/')}"
    await signals.heed(scope["headers"], who)
    if page.right is None or may(who, page.right):
        return ""
    return ROLES if is_staff(who.role) else HOME


async def _took_link(scope: Scope, path: str, send: Send) -> bool:
    """Move the token of a mailed link from the address into a cookie that scripts cannot read.

    So it stays out of the page's State, of the browser's history and of what the page could hand on.
    """
    token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
    if not re.fullmatch(r"[A-Za-z0-9_-]{20,200}", token):
        return False
    await _redirect(path, send, (b"set-cookie", written(LINK, token, LINK_LIFE).encode()))
    return True


def _ours(path: str) -> bool:
    return path == "/rights" or path.startswith(
        ("/_event", "/_upload", "/_health", "/ping", "/auth/", "/download/", "/unsubscribe/", "/.well-known/")
    )


def _url(path: Path) -> str:
    url = "/" + path.as_posix()
    return url.removesuffix(".html").removesuffix("/index") or "/" if path.suffix == ".html" else url


def _read(path: Path) -> File:
    body = path.read_bytes()
    addressed = _addressed(path, body)
    page = path.suffix == ".html"
    if page and settings().development:
        addressed = addressed.replace(b"<html", b'<html data-environment="development"', 1)
    guards = security_headers(document=path.suffix not in _PARTS_OF_PAGES)
    headers = [(b"content-type", _type(path)), (b"vary", b"accept-encoding"), *guards]
    headers.append((b"cache-control", _caching(path, changed=addressed != body)))
    if page:
        headers.append((b"content-security-policy", policy(addressed)))
    etag = b'"' + hashlib.sha256(addressed).hexdigest()[:16].encode() + b'"'
    packed = _packed(path) if addressed == body else {b"gzip": gzip.compress(addressed, mtime=0)}
    return File(etag, [*headers, (b"etag", etag)], addressed, packed)


def _addressed(path: Path, body: bytes) -> bytes:
    """Put our address wherever the build names the one it was made for."""
    if path.suffix not in _TEXTS or BASE.partition("://")[2].encode() not in body:
        return body
    ours, built = settings().public_url, BASE
    socket = (built.replace("http", "ws", 1).encode(), ours.replace("http", "ws", 1).encode())
    return body.replace(built.encode(), ours.encode()).replace(*socket)


def _packed(path: Path) -> dict[bytes, bytes]:
    beside = {encoding: path.with_name(path.name + suffix) for encoding, suffix in _ENCODINGS}
    return {encoding: packed.read_bytes() for encoding, packed in beside.items() if packed.is_file()}


def _type(path: Path) -> bytes:
    kind = "text/javascript" if path.suffix in (".js", ".mjs") else mimetypes.guess_type(path.name)[0]
    kind = kind or "application/octet-stream"
    return (kind + ("; charset=utf-8" if kind.startswith("text/") else "")).encode()


def _caching(path: Path, *, changed: bool) -> bytes:
    if path.suffix == ".html" or changed:
        return _REVALIDATE
    return _IMMUTABLE if path.parent.name == "assets" else _AN_HOUR


async def _send_file(file: File, scope: Scope, send: Send, *, status: int = 200) -> None:
    asked = dict(scope["headers"])
    if status == 200 and asked.get(b"if-none-match") == file.etag:  # noqa: PLR2004 (HTTP's own number)
        await send({"type": "http.response.start", "status": 304, "headers": file.headers})
        await send({"type": "http.response.body"})
        return
    accepted = _accepted(asked.get(b"accept-encoding", b""))
    encoding = next((name for name in file.packed if name in accepted), b"")
    body = file.packed[encoding] if encoding else file.body
    headers = [*file.headers, (b"content-length", str(len(body)).encode())]
    if encoding:
        headers.append((b"content-encoding", encoding))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _accepted(header: bytes) -> set[bytes]:
    offers = (offer.partition(b";") for offer in header.replace(b" ", b"").split(b","))
    return {name for name, _, quality in offers if quality not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")}


async def _redirect(to: str, send: Send, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"location", to.encode()), (b"cache-control", b"no-store"), *security_headers(), *more]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body"})


async def _say(status: int, text: bytes, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), *security_headers()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _with_headers(send: Send) -> Send:
    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            more = [pair for pair in security_headers() if pair[0] not in given]
            message = {**message, "headers": [pair for pair in message["headers"] if pair[0] != b"server"] + more}
        await send(message)

    return added
