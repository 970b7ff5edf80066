"""Mail: written in the transaction that causes it, sealed at rest, delivered by a job, and gone once sent."""

import html
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib

from assisters_app.base import contact, crypto, jobs
from assisters_app.base.db import Tx, transaction
from assisters_app.base.settings import settings
from assisters_app.base.tables import OutgoingMail

SIGNATURE = f"{contact.COMPANY} · {', '.join(contact.ADDRESS)} · {contact.EMAIL}"


@dataclass(frozen=True, slots=True)
class Message:
    """What one mail says. `action` is a (label, address) to follow; `unsubscribe` is set on marketing only."""

    subject: str
    paragraphs: tuple[str, ...]
    action: tuple[str, str] | None = None
    unsubscribe: str | None = None  # an address that a single POST to opts out (RFC 8058)


async def send(tx: Tx, to: str, message: Message, *, account_id: UUID | None = None) -> None:
    """Send `message` once `tx` commits."""
    sealed = crypto.seal("mail", json.dumps(asdict(message)))
    mail = OutgoingMail(account_id=account_id, to_email=to, subject=message.subject, sealed=sealed)
    tx.add(mail)
    await jobs.enqueue(tx, "mail.deliver", mail_id=str(mail.id))


Guard = Callable[[Tx, str], Awaitable[bool]]
_guards: list[Guard] = []


def guard_marketing(guard: Guard) -> Guard:
    """Have every mail that can be unsubscribed from ask `guard(tx, address)` in the moment before it leaves."""
    _guards.append(guard)
    return guard


def guards() -> tuple[Guard, ...]:
    """Return who is asked before marketing leaves. Without anybody to ask, none does."""
    return tuple(_guards)


@jobs.job("mail.deliver")
async def deliver(mail_id: str) -> None:
    """Hand one waiting mail to the mail server, then delete it; a mail already gone is done.

    Marketing that its addressee does not want any more is deleted unsent, however long ago it was written.
    """
    async with transaction() as tx:
        mail = await tx.get(OutgoingMail, UUID(mail_id), with_for_update=True)
        if mail is None:
            return
        message = Message(**json.loads(crypto.unseal("mail", mail.sealed)))
        if not message.unsubscribe or await _wanted(tx, mail.to_email):
            await _hand_over(compose(mail.to_email, message))
        await tx.delete(mail)


async def _wanted(tx: Tx, address: str) -> bool:
    return bool(_guards) and all([await guard(tx, address) for guard in _guards])


def compose(to: str, message: Message) -> EmailMessage:
    """Return the mail as it goes out: plain text and HTML saying the same."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = settings().mail_from, to, message.subject
    if message.unsubscribe:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(_as_text(message))
    mail.add_alternative(_as_html(message), subtype="html")
    return mail


def _as_text(message: Message) -> str:
    parts = list(message.paragraphs)
    if message.action:
        parts.append(f"{message.action[0]}:\n{message.action[1]}")
    if message.unsubscribe:
        parts.append(f"Unsubscribe: {message.unsubscribe}")
    return "\n\n".join([*parts, "-- \n" + SIGNATURE]) + "\n"


def _as_html(message: Message) -> str:
    body = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in message.paragraphs)
    if message.action:
        label, address = (html.escape(part, quote=True) for part in message.action)
        style = "background:#18181b;color:#fff;padding:10px 16px;border-radius:8px;text-decoration:none"
        body += f'<p style="margin:24px 0"><a href="{address}" style="{style}">{label}</a></p>'
        body += f'<p style="color:#71717a;font-size:12px">{address}</p>'
    small = html.escape(SIGNATURE)
    if message.unsubscribe:
        small += f' · <a href="{html.escape(message.unsubscribe, quote=True)}">Unsubscribe</a>'
    return (
        '<div style="font:15px/1.5 system-ui,sans-serif;max-width:520px;margin:0 auto;padding:24px;color:#18181b">'
        f'{body}<hr style="border:0;border-top:1px solid #e4e4e7;margin:24px 0">'
        f'<p style="color:#71717a;font-size:12px">{small}</p></div>'
    )


async def _hand_over(mail: EmailMessage) -> None:
    """Speak SMTP: implicit TLS for smtps://; STARTTLS is used whenever the server offers it."""
    url = urlsplit(settings().smtp_url)
    await aiosmtplib.send(
        mail,
        hostname=url.hostname,
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=url.scheme == "smtps",
        tls_context=ssl.create_default_context() if url.scheme == "smtps" else None,
        timeout=20,
    )
