"""News by mail: the only way in which marketing leaves the house (policy 2.5, 6.5).

    reach(tx, staff) -> int                         how many would get it now
    try_out(tx, staff, written)                     a copy to whoever writes it, and to nobody else
    send(tx, staff, written) -> str                 to everyone who asked for news; returns its handle
    sent(tx, staff) -> tuple[Sent, …]               what went out, the newest first

Whether somebody may get it is asked twice: when their copy is written, and again by `mail.deliver` in the moment before
it is handed to the mail server (`opting_out` stands guard there). Everything else that we mail is about the account.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import jobs, mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.ids import handle
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy import promises
from assisters_app.privacy.choices import consents, opting_out, suppressions
from assisters_app.privacy.choices.tables import Consent, News, NewsCopy
from assisters_app.privacy.erasing.tables import Erasure

DELIVERED_WITHIN = timedelta(days=1)
AT_ONCE = 200  # copies written in one transaction
ONLY_YOU = "This copy went to you alone. Those to others say why they come, and end with a link to unsubscribe."
WHY = "You get this because you asked for news in your settings. One click ends it: the link is below."


class Written(BaseModel):
    """What one message of news says; an empty line in `text` begins another paragraph."""

    subject: str = Field(default="", max_length=150)
    text: str = Field(default="", max_length=10_000)

    def message(self) -> mail.Message:
        """Return it as a mail, to nobody yet; raise Refused when there is nothing in it."""
        subject = " ".join(self.subject.split())
        paragraphs = tuple(" ".join(part.split()) for part in self.text.replace("\r", "").split("\n\n") if part.strip())
        if not subject or not subject.isprintable():
            raise Refused("Give it a subject.", code="no_subject", field="subject")
        if not paragraphs:
            raise Refused("Write something.", code="no_text", field="text")
        return mail.Message(subject, paragraphs)

    def to(self, email: str) -> mail.Message:
        """Return the copy for one address: it says why it comes, and how to end it."""
        said = self.message()
        address = opting_out.unsubscribe_address(email)
        return mail.Message(said.subject, (*said.paragraphs, WHY), unsubscribe=address)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of news that went out, or is on its way (`done_at` None). `copies` were written so far."""

    handle: str
    subject: str
    at: datetime
    copies: int
    done_at: datetime | None


async def reach(tx: Tx, staff: Person) -> int:
    """Return how many would get news that is sent now."""
    require(staff, "news")
    emails = [account.email for account in await tx.exec(_asking())]
    return len(emails) - len(await suppressions.among(tx, emails))


async def try_out(tx: Tx, staff: Person, written: Written) -> None:
    """Mail a copy to `staff`, who asked for it: it needs no consent, and has no link that would end anything."""
    require(staff, "news")
    said = written.message()
    await mail.send(
        tx, staff.email, replace(said, paragraphs=(*said.paragraphs, ONLY_YOU)), account_id=staff.account_id
    )


async def send(tx: Tx, staff: Person, written: Written) -> str:
    """Send it to everyone who asked for news; raise Refused (`reauthenticate`) long after staff proved who they are."""
    require(staff, "news")
    require_recent(staff)
    news = News(handle=handle("news"), subject=written.message().subject, text=written.text)
    tx.add(news)
    trail.write(tx, "news:sent", account_id=None, actor_id=staff.account_id, news=news.handle)
    await jobs.enqueue(tx, "news.send", news_id=str(news.id))
    return news.handle


async def sent(tx: Tx, staff: Person) -> tuple[Sent, ...]:
    """Return the last 100 messages of news."""
    require(staff, "news")
    found = await tx.exec(select(News).order_by(col(News.created_at).desc()).limit(100))
    return tuple(Sent(one.handle, one.subject, one.created_at, one.copies, one.done_at) for one in found)


@jobs.job("news.send")
async def write_copies(news_id: str) -> None:
    """Write a copy for each who wants one, some at a time. Interrupted, it goes on where it was; nobody gets two."""
    while await _write_some(UUID(news_id)):
        pass


async def _write_some(news_id: UUID) -> bool:
    async with transaction() as tx:
        news = await tx.get(News, news_id, with_for_update=True)
        if news is None or news.done_at:
            return False
        has_one = select(NewsCopy.id).where(NewsCopy.news_id == news_id, NewsCopy.account_id == Account.id).exists()
        accounts = (await tx.exec(_asking().where(~has_one).order_by(col(Account.id)).limit(AT_ONCE))).all()
        suppressed = await suppressions.among(tx, [account.email for account in accounts])
        for account in accounts:
            tx.add(NewsCopy(news_id=news_id, account_id=account.id))
            if account.email not in suppressed:
                copy = Written(subject=news.subject, text=news.text).to(account.email)
                await mail.send(tx, account.email, copy, account_id=account.id)
        news.copies += len(accounts) - len(suppressed)
        news.done_at = None if accounts else now()
        tx.add(news)
        return bool(accounts)


@promises.check("2.5", says="Mail about accounts is delivered; marketing leaves only if its addressee wants it.")
async def mail_is_of_two_kinds(tx: Tx) -> str:
    """Look for mail that waits too long, and for a way out of the house past the guard."""
    if opting_out.may_mail_marketing not in mail.guards():
        raise promises.Broken("Marketing could leave although nobody is asked whether it is wanted.")
    count, oldest = (await tx.exec(select(func.count(), func.min(OutgoingMail.created_at)))).one()
    if oldest and now() - oldest > DELIVERED_WITHIN:
        raise promises.Broken("A mail has waited for more than a day to be delivered.")
    return f"{count} mails wait to be delivered."


def _asking() -> SelectOfScalar[Account]:
    """Return who asked for news: consent is in force, the address is proven, the account is neither shut nor going."""
    consent = select(Consent.id).where(Consent.account_id == Account.id, consents.in_force("marketing")).exists()
    going = (
        select(Erasure.id)
        .where(
            Erasure.account_id == Account.id,
            col(Erasure.withdrawn_at).is_(None),
            col(Erasure.carried_out_at).is_(None),
        )
        .exists()
    )
    able = (col(Account.verified_at).is_not(None), col(Account.suspended_at).is_(None))
    return select(Account).where(consent, *able, ~going)
