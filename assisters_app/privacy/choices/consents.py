"""Choices that are the person's alone: given, withdrawn as easily, and provable. Nothing is ever assumed from silence.

PURPOSES                                       what may be asked, with the exact words
choices(tx, who) -> tuple[Choice, …]           the state of each purpose
choose(tx, who, purpose_id, given, source)     append one choice; raises NotFound for an unknown purpose
renew(tx, who, purpose_id)                     say once more what would soon end by itself; raises NotFound, Refused
history(tx, who) -> tuple[Record, …]           every choice ever made, with the words that were seen
given(tx, account_id, purpose_id) -> bool      the one question that others ask
given_since(tx, account_id, purpose_id)        since when without a break, or None

Consent is in force while nobody has withdrawn it, its time has not run out, and the question still has the words that
were read: other words are another question. All three are looked at whenever somebody asks, not only when a job runs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, true
from sqlmodel import col, select, update

from assisters_app.accounts.sessions import Person
from assisters_app.base import jobs, trail
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.privacy import promises
from assisters_app.privacy.choices import suppressions
from assisters_app.privacy.choices.tables import Consent
from assisters_app.privacy.policies import versions

AT_ONCE = 1000  # consents ended in one transaction
RENEWABLE = timedelta(days=60)  # how long before its end consent can be given once more
PERSONS_OWN = ("settings", "renewal")  # how consent is given: by the person, in their settings, and in no other way


@dataclass(frozen=True, slots=True)
class Purpose:
    """One thing consent may be given for. `text` is what the person reads beside the switch, and is kept.

    Consent ends after `months` (the law names no number; EDPB Guidelines 05/2020, 111, want it refreshed at intervals).
    `category` (fideslang) is what is processed for it.
    """

    id: str
    title: str
    text: str
    months: int
    category: str


PURPOSES = (
    Purpose(
        "marketing",
        "News and offers by e-mail",
        "Assisters may send me e-mail about new features, prices and events. I can unsubscribe with one click in every "
        "message, or here.",
        24,
        "user.contact.email",
    ),
    Purpose(
        "training",
        "Use of my API content to train models",
        "Assisters may use the content of my API requests, from now on, to train its models. This is separate from "
        "everything else, off by default, and can be withdrawn here at any time.",
        12,
        "user.content",
    ),
)
SALE = Purpose(  # nobody is asked: we do neither, and a browser's signal says no to both
    "sale-or-sharing",
    "Sale or sharing of personal data",
    "Do not sell or share my personal data (said by the browser: Global Privacy Control).",
    0,
    "user",
)
TITLES = {purpose.id: purpose.title for purpose in (*PURPOSES, SALE)}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is in force for one purpose. `since` is None when the person has never chosen: then nothing is given.

    `until` is when consent ends by itself, None when none is in force; `renewable` when that is near.
    """

    purpose: Purpose
    given: bool
    since: datetime | None
    until: datetime | None = None
    renewable: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One choice as it was made."""

    id: UUID
    purpose_id: str
    given: bool
    text: str
    policy_version: str
    source: str
    at: datetime
    expires_at: datetime | None
    ended_at: datetime | None


async def choices(tx: Tx, who: Person) -> tuple[Choice, ...]:
    """Return the state of every purpose for `who`."""
    found = await tx.exec(select(Consent).where(*_unended(who.account_id)))
    unended = {consent.purpose: consent for consent in found}
    return tuple(_choice(purpose, unended.get(purpose.id)) for purpose in PURPOSES)


async def choose(tx: Tx, who: Person, purpose_id: str, *, given: bool, source: str = "settings") -> None:
    """Write down that `who` gives or withdraws consent; the same choice twice is written once."""
    purpose = _purpose(purpose_id)
    changed = await _append(tx, who.account_id, purpose, given=given, source=source)
    if purpose.id == "marketing":
        await (suppressions.forget(tx, who.email) if given else suppressions.suppress(tx, who.email))
    if changed:
        _note(tx, who.account_id, purpose.id, given=given)


async def renew(tx: Tx, who: Person, purpose_id: str) -> None:
    """Write down that `who` gives consent once more, from today; raise Refused when none is in force."""
    purpose = _purpose(purpose_id)
    if not await given(tx, who.account_id, purpose.id):
        raise Refused("There is no consent in force that could be renewed.", code="not_given", status=409)
    await _append(tx, who.account_id, purpose, given=True, source="renewal")
    trail.write(tx, "consent:renewed", account_id=who.account_id, actor_id=who.account_id, purpose=purpose.id)


async def history(tx: Tx, who: Person) -> tuple[Record, ...]:
    """Return every choice of `who`, the newest first."""
    found = await tx.exec(
        select(Consent).where(col(Consent.account_id) == who.account_id).order_by(col(Consent.created_at).desc())
    )
    return tuple(
        Record(c.id, c.purpose, c.given, c.text, c.policy_version, c.source, c.created_at, c.expires_at, c.ended_at)
        for c in found
    )


async def given(tx: Tx, account_id: UUID, purpose_id: str) -> bool:
    """Return whether consent for a purpose is in force; without a choice it is not."""
    found = await tx.exec(select(Consent.id).where(col(Consent.account_id) == account_id, in_force(purpose_id)))
    return found.first() is not None


async def given_since(tx: Tx, account_id: UUID, purpose_id: str) -> datetime | None:
    """Return since when consent has been in force without a break (a renewal is none); None when none is in force."""
    if not await given(tx, account_id, purpose_id):
        return None
    theirs = (col(Consent.account_id) == account_id, col(Consent.purpose) == purpose_id)
    other_words = or_(col(Consent.given).is_(False), col(Consent.text) != _purpose(purpose_id).text)
    last_break = (await tx.exec(select(func.max(Consent.created_at)).where(*theirs, other_words))).one()
    unbroken = select(func.min(Consent.created_at)).where(*theirs)
    if last_break:
        unbroken = unbroken.where(col(Consent.created_at) > last_break)
    return (await tx.exec(unbroken)).one()


def in_force(purpose_id: str) -> ColumnElement[bool]:
    """Return the condition that a row is consent in force: what a question about many accounts joins with."""
    return (
        (col(Consent.purpose) == purpose_id)
        & col(Consent.given)
        & col(Consent.ended_at).is_(None)
        & (col(Consent.expires_at) > now())
        & (col(Consent.text) == _purpose(purpose_id).text)
    )


async def withdraw(tx: Tx, account_id: UUID, purpose_id: str, source: str) -> None:
    """Withdraw consent for somebody who is not signed in (one click in a mail); nothing happens if none is given."""
    if await given(tx, account_id, purpose_id):
        await _append(tx, account_id, _purpose(purpose_id), given=False, source=source)
        _note(tx, account_id, purpose_id, given=False)


async def heed_signal(tx: Tx, who: Person) -> bool:
    """Write down that a browser of `who` opts out of sale and sharing (11 CCR §7025(c)(1)); False when it stands.

    It holds for the account, in every browser, and does not end when a browser without the signal comes along.
    """
    stands = await tx.exec(select(Consent.id).where(*_unended(who.account_id), col(Consent.purpose) == SALE.id))
    if stands.first():
        return False
    await _append(tx, who.account_id, SALE, given=False, source="gpc")
    trail.write(tx, "signal:heeded", account_id=who.account_id, actor_id=who.account_id, purpose=SALE.id)
    return True


@jobs.job("consents.expire", every="7 * * * *")
async def expire() -> None:
    """Write the end of what has run out into the record. It has not been in force since the moment it ran out."""
    async with transaction() as tx:
        await _end(tx, "expiry", col(Consent.expires_at) <= now())


async def forget_after_restore() -> int:
    """End every consent there is, and return how many: a restored database does not know who has withdrawn since.

    A thousand in each transaction, each in the same few statements: nobody is let in before the last. One that a
    request from before holds is waited for.
    """
    count = 0
    while True:
        async with transaction() as tx:
            ended = await _end(tx, "restore", true(), skip_locked=False)
        count += ended
        if ended < AT_ONCE:
            return count


async def _end(tx: Tx, source: str, which: ColumnElement[bool], *, skip_locked: bool = True) -> int:
    asked = [purpose.id for purpose in PURPOSES]  # what is asked no longer is acted on no longer
    given = (col(Consent.ended_at).is_(None), col(Consent.given), col(Consent.purpose).in_(asked))
    some = select(Consent).where(*given, which).with_for_update(skip_locked=skip_locked).limit(AT_ONCE)
    found = (await tx.exec(some)).all()
    if not found:
        return 0
    version = (await versions.in_force(tx)).version
    await tx.exec(update(Consent).where(col(Consent.id).in_([one.id for one in found])).values(ended_at=now()))
    for consent in found:
        tx.add(_choice_of(consent.account_id, _purpose(consent.purpose), given=False, source=source, version=version))
        trail.write(tx, "consent:expired", account_id=consent.account_id, purpose=consent.purpose)
    await tx.flush()  # the next question in this transaction must see it
    return len(found)


@promises.check(
    "1.10", says="Consent to training was switched on by the person themselves, and by nobody and nothing else."
)
async def training_is_opted_into(tx: Tx) -> str:
    """Look for consent that was assumed: written by anything but the person's own switch, or without its end."""
    standing = (col(Consent.purpose) == "training", col(Consent.given), col(Consent.ended_at).is_(None))
    assumed = or_(col(Consent.source).not_in(PERSONS_OWN), col(Consent.expires_at).is_(None))
    count = select(func.count()).select_from(Consent).where(*standing)
    if wrong := (await tx.exec(count.where(assumed))).one():
        raise promises.Broken(f"{wrong} consents to training were not given by their person.")
    return f"{(await tx.exec(count)).one()} accounts have opted in; every other one has not."


async def _append(tx: Tx, account_id: UUID, purpose: Purpose, *, given: bool, source: str) -> bool:
    unended = (*_unended(account_id), col(Consent.purpose) == purpose.id)
    last = (await tx.exec(select(Consent).where(*unended).with_for_update())).first()
    stands = last is not None and last.given == given and last.text == purpose.text and not _over(last)
    if stands and source != "renewal":
        return False
    await tx.exec(update(Consent).where(*unended).values(ended_at=now()))
    version = (await versions.in_force(tx)).version
    tx.add(_choice_of(account_id, purpose, given=given, source=source, version=version))
    await tx.flush()  # the next question in this transaction must see it
    return True


def _choice_of(account_id: UUID, purpose: Purpose, *, given: bool, source: str, version: str) -> Consent:
    return Consent(
        account_id=account_id,
        purpose=purpose.id,
        given=given,
        text=purpose.text,
        policy_version=version,
        source=source,
        created_at=now(),
        expires_at=months_later(now(), purpose.months) if given else None,
    )


def _choice(purpose: Purpose, last: Consent | None) -> Choice:
    if last is None:
        return Choice(purpose, given=False, since=None)
    if not last.given or _over(last) or last.text != purpose.text:
        return Choice(purpose, given=False, since=last.created_at)
    soon = last.expires_at is not None and last.expires_at - RENEWABLE <= now()
    return Choice(purpose, given=True, since=last.created_at, until=last.expires_at, renewable=soon)


def _over(consent: Consent) -> bool:
    return consent.given and (consent.expires_at is None or consent.expires_at <= now())


def _note(tx: Tx, account_id: UUID, purpose_id: str, *, given: bool) -> None:
    action = "consent:given" if given else "consent:withdrawn"
    trail.write(tx, action, account_id=account_id, actor_id=account_id, purpose=purpose_id)


def _purpose(purpose_id: str) -> Purpose:
    purpose = next((one for one in PURPOSES if one.id == purpose_id), None)
    if purpose is None:
        raise NotFound("choice")
    return purpose


def _unended(account_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (col(Consent.account_id) == account_id, col(Consent.ended_at).is_(None))
