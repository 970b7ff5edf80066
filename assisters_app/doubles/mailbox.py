"""A mail server that delivers to a page: what development and tests send is caught here and read in a browser.

It listens on loopback only and keeps the last letters in memory. `/` lists them, `/letters/N` shows one, and
`/letters.json` (with `?to=ADDRESS`) lists them for programs.
"""

import argparse
import asyncio
import email
import email.policy
import html
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from email.message import EmailMessage

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from assisters_app.base.clock import now

KEPT = 500
LINK = re.compile(r"https?://[^\s<>\"']+")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; "
    "base-uri 'self'; frame-ancestors 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid #8884; vertical-align: top }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; padding: 1rem; border: 1px solid #8884;
  border-radius: 8px }
iframe { width: 100%; height: 26rem; border: 1px solid #8884; border-radius: 8px; background: #fff }
.quiet { opacity: .75 }
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """One caught mail. `links` are the addresses in its text, in order."""

    number: int
    at: str  # ISO 8601, UTC
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    links: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]


class Mailbox:
    """Catches mail over SMTP; `letters` holds it, the latest first."""

    def __init__(self) -> None:
        self.letters: deque[Letter] = deque(maxlen=KEPT)
        self._caught = 0

    def to(self, address: str) -> list[Letter]:
        """Return the letters to `address`, the latest first."""
        return [letter for letter in self.letters if address.lower() in letter.to]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take one letter in."""
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, _class=EmailMessage, policy=email.policy.default)
        self._caught += 1
        text = _part(mail, "plain")
        self.letters.appendleft(
            Letter(
                number=self._caught,
                at=now().isoformat(timespec="seconds"),
                sender=str(mail["From"] or envelope.mail_from or ""),
                to=tuple(address.lower() for address in envelope.rcpt_tos),
                subject=str(mail["Subject"] or ""),
                text=text,
                html=_part(mail, "html"),
                links=tuple(LINK.findall(text)),
                headers=tuple((name, str(value)) for name, value in mail.items()),
            )
        )
        return "250 Caught"


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return "" if part is None else str(part.get_content())


@asynccontextmanager
async def opened(smtp_port: int = 0, page_port: int = 0) -> AsyncIterator[tuple[Mailbox, str, str]]:
    """Open a mailbox on loopback; yield it with its smtp:// address and its page's. Port 0: any that is free."""
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, hostname="localhost", loop=loop), "127.0.0.1", smtp_port)
    runner = web.AppRunner(_pages(box), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", page_port)
    await site.start()
    try:
        page = runner.addresses[0][1]
        yield box, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", f"http://127.0.0.1:{page}"
    finally:
        server.close()
        await runner.cleanup()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _loopback_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a name that somebody made point here: his page could read mail through the reader's browser."""
    if request.host.rsplit(":", 1)[0] not in ("127.0.0.1", "localhost"):
        raise web.HTTPMisdirectedRequest(text="The mailbox answers to 127.0.0.1 and localhost only.")
    answer = await handler(request)
    answer.headers.update(HEADERS)
    return answer


def _pages(box: Mailbox) -> web.Application:
    async def listing(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=_list_page(box), content_type="text/html")

    async def as_json(request: web.Request) -> web.StreamResponse:
        to = request.query.get("to")
        letters = box.to(to) if to else list(box.letters)
        return web.json_response([asdict(letter) for letter in letters])

    async def one(request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        letter = next((letter for letter in box.letters if letter.number == number), None)
        if letter is None:
            raise web.HTTPNotFound(text="That letter does not exist.")
        return web.Response(text=_letter_page(letter), content_type="text/html")

    app = web.Application(middlewares=[_loopback_names_only])
    app.add_routes(
        [web.get("/", listing), web.get("/letters.json", as_json), web.get(r"/letters/{number:\d{1,9}}", one)]
    )
    return app


def _list_page(box: Mailbox) -> str:
    rows = "".join(
        f'<tr><td><a href="/letters/{letter.number}">{html.escape(letter.subject) or "(no subject)"}</a></td>'
        f"<td>{html.escape(', '.join(letter.to))}</td><td class=quiet>{html.escape(letter.at)}</td></tr>"
        for letter in box.letters
    )
    table = f"<table><thead><tr><th>Subject<th>To<th>Caught</thead><tbody>{rows}</tbody></table>"
    empty = "<p>Nothing yet. What the product sends appears here by itself.</p>"
    return _page("Mailbox", (table if rows else empty), refresh=True)


def _letter_page(letter: Letter) -> str:
    text = LINK.sub(lambda link: f'<a href="{link[0]}">{link[0]}</a>', html.escape(letter.text, quote=False))
    view = html.escape(f'<base target="_blank">{letter.html}', quote=True)
    sandbox = "allow-popups allow-popups-to-escape-sandbox"  # no scripts, no forms; links open in a new tab
    frame = f'<h2>As HTML</h2><iframe title="The letter as HTML" sandbox="{sandbox}" srcdoc="{view}"></iframe>'
    facts = f"From {html.escape(letter.sender)} to {html.escape(', '.join(letter.to))}, {html.escape(letter.at)}"
    return _page(
        letter.subject,
        f'<p class=quiet>{facts}</p><pre>{text}</pre>{frame if letter.html else ""}<p><a href="/">All letters</a></p>',
    )


def _page(title: str, body: str, *, refresh: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="3">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f'{body}<p class="quiet">Development: nothing here left this machine.</p></body></html>'
    )


async def serve(smtp_port: int, page_port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with opened(smtp_port, page_port):
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m assisters_app.doubles.mailbox", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--page-port", type=int, required=True)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.smtp_port, chosen.page_port))
