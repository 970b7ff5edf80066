"""People write to support, and support answers.

    begin(tx, who, subject, text) -> str            a new conversation; returns its handle; raises Refused
    write(tx, who, handle, text)                    one more message in it; raises NotFound, Refused
    close(tx, who, handle)                          its person has no further question
    mine(tx, who) -> tuple[Talk, …]                 the newest first, with every message

    waiting(tx, staff) -> tuple[Waiting, …]         for staff, the longest waiting first: nothing of what was written
    read(tx, staff, handle) -> Talk                 that staff read it is entered in the person's trail
    answer(tx, staff, handle, text)                 the person is mailed that there is an answer, not what it says

Messages are with the account: in its copy and its export, and gone with it.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from assisters_app.accounts.people import masked
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base import mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.base.settings import settings
from assisters_app.support.tables import Conversation, SupportMessage

LONGEST = 5_000  # characters of a message
LONGEST_SUBJECT = 120
WRITING = Limit("support", 20, timedelta(hours=1))
PAGE = "/dashboard/support"


@dataclass(frozen=True, slots=True)
class Line:
    """One message. `from_us`: support wrote it; who of us stays unnamed."""

    from_us: bool
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation with all its messages, the oldest first. `email` is for staff only, "" for its person."""

    handle: str
    subject: str
    at: datetime
    waiting_since: datetime | None
    closed_at: datetime | None
    lines: tuple[Line, ...]
    email: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One conversation as the queue shows it. `waiting_since` is None once it is answered."""

    handle: str
    account: str  # masked
    at: datetime
    waiting_since: datetime | None
    closed: bool


async def begin(tx: Tx, who: Person, subject: str, text: str) -> str:
    """Open a conversation with its first message."""
    subject = " ".join(subject.split())
    if not subject or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        raise Refused("Say in a few words what it is about.", code="bad_subject", field="subject")
    text = _text(text)
    await attempt(WRITING, str(who.account_id))
    talk = Conversation(handle=handle("sup"), account_id=who.account_id, subject=subject, waiting_since=now())
    tx.add(talk)
    await tx.flush()  # its message refers to it
    tx.add(SupportMessage(conversation_id=talk.id, account_id=who.account_id, text=text, created_at=now()))
    trail.write(tx, "support:asked", account_id=who.account_id, actor_id=who.account_id, conversation=talk.handle)
    return talk.handle


async def write(tx: Tx, who: Person, conversation: str, text: str) -> None:
    """Add a message; one that was closed is open again."""
    text = _text(text)
    talk = await _theirs(tx, who, conversation)
    await attempt(WRITING, str(who.account_id))
    tx.add(SupportMessage(conversation_id=talk.id, account_id=who.account_id, text=text, created_at=now()))
    talk.waiting_since, talk.closed_at = talk.waiting_since or now(), None
    tx.add(talk)


async def close(tx: Tx, who: Person, conversation: str) -> None:
    """Note that there is nothing more to answer."""
    talk = await _theirs(tx, who, conversation)
    talk.closed_at, talk.waiting_since = talk.closed_at or now(), None
    tx.add(talk)


async def mine(tx: Tx, who: Person) -> tuple[Talk, ...]:
    """Return the conversations of `who`."""
    found = select(Conversation).where(Conversation.account_id == who.account_id).order_by(col(Conversation.id).desc())
    talks = (await tx.exec(found)).all()
    lines: dict[UUID, list[Line]] = defaultdict(list)
    written = select(SupportMessage).where(SupportMessage.account_id == who.account_id).order_by(col(SupportMessage.id))
    for one in await tx.exec(written):
        lines[one.conversation_id].append(Line(one.from_us, one.text, one.created_at))
    return tuple(_talk(talk, lines[talk.id]) for talk in talks)


async def waiting(tx: Tx, staff: Person, *, everything: bool = False, most: int = 200) -> tuple[Waiting, ...]:
    """Return what waits for an answer; with `everything`, what was answered or closed, too."""
    require(staff, "support")
    asked = select(Conversation, Account.email).join(Account, col(Account.id) == Conversation.account_id)
    if not everything:
        asked = asked.where(col(Conversation.waiting_since).is_not(None))
    first = (col(Conversation.waiting_since).asc().nulls_last(), col(Conversation.id).desc())
    return tuple(
        Waiting(talk.handle, masked(email), talk.created_at, talk.waiting_since, talk.closed_at is not None)
        for talk, email in await tx.exec(asked.order_by(*first).limit(most))
    )


async def read(tx: Tx, staff: Person, conversation: str) -> Talk:
    """Return a conversation to staff; its person can read in their trail that somebody did."""
    require(staff, "support")
    talk, account = await _anyones(tx, conversation)
    written = select(SupportMessage).where(SupportMessage.conversation_id == talk.id).order_by(col(SupportMessage.id))
    lines = [Line(one.from_us, one.text, one.created_at) for one in await tx.exec(written)]
    trail.write(tx, "support:read", account_id=account.id, actor_id=staff.account_id, conversation=talk.handle)
    return _talk(talk, lines, account.email)


async def answer(tx: Tx, staff: Person, conversation: str, text: str) -> None:
    """Answer a conversation."""
    require(staff, "support")
    text = _text(text)
    talk, account = await _anyones(tx, conversation)
    tx.add(SupportMessage(conversation_id=talk.id, account_id=account.id, from_us=True, text=text, created_at=now()))
    talk.waiting_since = None
    tx.add(talk)
    trail.write(tx, "support:answered", account_id=account.id, actor_id=staff.account_id, conversation=talk.handle)
    await mail.send(tx, account.email, _answered(), account_id=account.id)


async def longest_wait(tx: Tx) -> tuple[int, datetime | None]:
    """Return how many conversations wait for an answer, and since when the first of them does."""
    found = select(func.count(), func.min(Conversation.waiting_since)).where(
        col(Conversation.waiting_since).is_not(None)
    )
    count, since = (await tx.exec(found)).one()
    return count, since


def _answered() -> mail.Message:
    return mail.Message(
        "We have answered your question",
        ("There is an answer to what you asked us. It is in your dashboard, and not in this mail.",),
        action=("Read it", f"{settings().public_url}{PAGE}"),
    )


def _talk(talk: Conversation, lines: list[Line], email: str = "") -> Talk:
    return Talk(talk.handle, talk.subject, talk.created_at, talk.waiting_since, talk.closed_at, tuple(lines), email)


async def _theirs(tx: Tx, who: Person, conversation: str) -> Conversation:
    theirs = (Conversation.handle == conversation, Conversation.account_id == who.account_id)
    talk = (await tx.exec(select(Conversation).where(*theirs).with_for_update())).first()
    if talk is None:
        raise NotFound("conversation")
    return talk


async def _anyones(tx: Tx, conversation: str) -> tuple[Conversation, Account]:
    talk = (await tx.exec(select(Conversation).where(Conversation.handle == conversation).with_for_update())).first()
    if talk is None:
        raise NotFound("conversation")
    return talk, await tx.get_one(Account, talk.account_id)


def _text(text: str) -> str:
    """Return a message as it is kept; raise Refused when there is none, or too much of it."""
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if not text or len(text) > LONGEST:
        raise Refused(f"Write something, of at most {LONGEST:,} characters.", code="bad_text", field="text")
    return text
