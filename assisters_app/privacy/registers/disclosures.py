"""The log of disclosures (policy 3.6): which authority demanded what, whom it named, what we gave, and who was told.

    enter(tx, staff, NewDisclosure) -> DisclosureRow      a demand; whom it names is told, unless an order forbids it
    answer(tx, staff, handle, outcome, what)              what was handed over, or why nothing was
    tell(tx, staff, handle)                               ends the secrecy before its day
    listed(tx, staff), mine(tx, who)                      frozen, the newest first
    years(tx) -> tuple[Year, …]                           the counts of every year, for everyone

The log itself names nobody; whom a demand names is kept for 24 months, where they can read it once they are told.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import func, or_, update
from sqlmodel import col, select

from assisters_app.accounts import emails, reauthentication
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account
from assisters_app.base import contact, jobs, mail, trail
from assisters_app.base.clock import months_later, now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import handle
from assisters_app.base.settings import settings
from assisters_app.base.tables import TrailEntry
from assisters_app.privacy import promises
from assisters_app.privacy.registers.holds import LONGEST
from assisters_app.privacy.registers.tables import DisclosedAccount, Disclosure

Kind = Literal["subpoena", "order", "warrant", "emergency", "other"]
Outcome = Literal["full", "part", "none"]
KINDS: dict[Kind, str] = {
    "subpoena": "Subpoena",
    "order": "Court order",
    "warrant": "Search warrant",
    "emergency": "Emergency request",
    "other": "Other demand",
}
OUTCOMES: dict[str, str] = {
    "open": "not answered yet",
    "full": "all that was asked for",
    "part": "a part of it",
    "none": "nothing",
}
SINCE = 2026  # the first year of the public counts
LATE = timedelta(hours=2)  # the job that tells runs every hour


@dataclass(frozen=True, slots=True)
class DisclosureRow:
    """One demand, as staff see it. `told` and `untold` count the accounts that it names."""

    handle: str
    authority: str
    kind: str
    received_at: datetime
    scope: str
    accounts: int
    told: int
    untold: int
    why_untold: str
    secret_until: datetime | None
    outcome: str  # open, full, part, none
    answer: str
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One demand for one's own data, once one may know of it."""

    handle: str
    authority: str
    asked: str
    disclosed: str
    received_at: datetime
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Year:
    """What authorities demanded in one year (UTC), and what became of it. It names nobody."""

    year: int
    demands: int
    accounts: int
    full: int
    part: int
    none: int
    open: int
    told: int  # accounts whose owner has been told
    untold: int  # accounts whose owner has not been, because an order forbids it


class NewDisclosure(BaseModel):
    """What staff fills in. `scope` names nobody; `addresses` are those of the accounts that the demand names."""

    authority: str = Field(max_length=200)
    kind: Kind
    received_at: datetime
    scope: str = Field(max_length=500)
    addresses: tuple[str, ...] = Field(default=(), max_length=200)
    not_told_why: str = Field(default="", max_length=500)
    secret_until: datetime | None = None


async def enter(tx: Tx, staff: Person, new: NewDisclosure) -> DisclosureRow:
    """Enter a demand. Raises Refused: no_authority, no_scope, names_somebody, bad_date, no_order, not_found."""
    require(staff, "disclosures")
    reauthentication.require_recent(staff)
    authority, scope, why = (" ".join(text.split()) for text in (new.authority, new.scope, new.not_told_why))
    _require(authority, "Name the authority.", "authority")
    _require(scope, "Say what was asked for.", "scope")
    if "@" in scope + authority:
        raise Refused("Name nobody here: this log is kept for good.", code="names_somebody", field="scope")
    if new.received_at > now():
        raise Refused("A demand cannot have arrived in the future.", code="bad_date", field="received_at")
    _require_order(why, new.secret_until)
    named = [await _account_of(tx, address) for address in dict.fromkeys(map(emails.normalized, new.addresses))]
    disclosure = Disclosure(
        handle=handle("dis"),
        authority=authority,
        kind=new.kind,
        received_at=new.received_at,
        scope=scope,
        accounts=len(named),
    )
    tx.add(disclosure)
    trail.write(tx, "disclosure:entered", account_id=None, actor_id=staff.account_id, accounts=len(named))
    for account in named:
        tx.add(
            DisclosedAccount(
                disclosure=disclosure.handle,
                account_id=account.id,
                authority=authority,
                asked=scope,
                told_at=None if why else now(),
                not_told_why=why,
                secret_until=new.secret_until,
            )
        )
        whose = None if why else account.id
        trail.write(tx, "data:demanded", account_id=whose, actor_id=staff.account_id, disclosure=disclosure.handle)
        if not why:
            await mail.send(tx, account.email, _demanded(disclosure), account_id=account.id)
    await tx.flush()
    return await _row(tx, disclosure)


async def answer(tx: Tx, staff: Person, disclosure_handle: str, outcome: Outcome, what: str) -> None:
    """Note, once, what was handed over, or why nothing was; those who may know read it. Names nobody either."""
    disclosure = await _found(tx, staff, disclosure_handle)
    if disclosure.outcome != "open":
        raise Refused("That demand has been answered already.", code="answered", status=409)
    what = " ".join(what.split())[:500]
    _require(what, "Say what was handed over, or why nothing was.", "what")
    if "@" in what:
        raise Refused("Name nobody here: this log is kept for good.", code="names_somebody", field="what")
    disclosure.outcome, disclosure.answer, disclosure.answered_at = outcome, what, now()
    tx.add(disclosure)
    here = col(DisclosedAccount.disclosure) == disclosure_handle
    await tx.exec(update(DisclosedAccount).where(here).values(disclosed=f"{OUTCOMES[outcome].capitalize()}: {what}"))
    for one in (await tx.exec(select(DisclosedAccount).where(here))).all():
        whose = one.account_id if one.told_at else None
        trail.write(
            tx, "data:disclosed", account_id=whose, actor_id=staff.account_id,
            disclosure=disclosure_handle, outcome=outcome,
        )  # fmt: skip
        account = await tx.get(Account, one.account_id)
        if account and one.told_at:
            await mail.send(tx, account.email, _answered(disclosure), account_id=account.id)


async def tell(tx: Tx, staff: Person, disclosure_handle: str) -> None:
    """Tell each person whom a demand names, for the order that forbade it has ended."""
    await _found(tx, staff, disclosure_handle)
    here = col(DisclosedAccount.disclosure) == disclosure_handle
    untold = select(DisclosedAccount).where(here, col(DisclosedAccount.told_at).is_(None)).with_for_update()
    found = (await tx.exec(untold)).all()
    if not found:
        raise Refused("Everyone whom it names has been told already.", code="told", status=409)
    for one in found:
        await _tell(tx, one, staff.account_id)


@jobs.job("privacy.tell-of-disclosures", every="38 * * * *")
async def tell_when_secrecy_ends() -> None:
    """Tell each person whose order of secrecy has run out: no order is taken to last longer than it says."""
    async with transaction() as tx:
        over = col(DisclosedAccount.secret_until) <= now()
        untold = select(DisclosedAccount).where(over, col(DisclosedAccount.told_at).is_(None)).with_for_update()
        for one in (await tx.exec(untold)).all():
            await _tell(tx, one, None)


async def listed(tx: Tx, staff: Person) -> tuple[DisclosureRow, ...]:
    """Return every demand for staff, the newest first. It names nobody, so nobody is looked at."""
    require(staff, "disclosures")
    found = await tx.exec(select(Disclosure).order_by(col(Disclosure.received_at).desc()).limit(500))
    return tuple([await _row(tx, disclosure) for disclosure in found.all()])


async def mine(tx: Tx, who: Person) -> tuple[OwnRow, ...]:
    """Return the demands for the data of `who` of which they may be told, the newest first."""
    found = await tx.exec(
        select(DisclosedAccount, Disclosure.received_at)
        .join(Disclosure, col(Disclosure.handle) == DisclosedAccount.disclosure)
        .where(col(DisclosedAccount.account_id) == who.account_id, col(DisclosedAccount.told_at).is_not(None))
        .order_by(col(DisclosedAccount.created_at).desc())
    )
    return tuple(
        OwnRow(one.disclosure, one.authority, one.asked, one.disclosed, received_at, one.told_at)
        for one, received_at in found
        if one.told_at
    )


async def years(tx: Tx) -> tuple[Year, ...]:
    """Return the counts of every year since the first, the newest first; a year without a demand counts too."""
    counted = col(Disclosure.received_at) >= datetime(SINCE, 1, 1, tzinfo=UTC)
    found = (await tx.exec(select(Disclosure).where(counted))).all()
    silent = (
        select(DisclosedAccount.disclosure, func.count())
        .where(col(DisclosedAccount.told_at).is_(None))
        .group_by(DisclosedAccount.disclosure)
    )
    untold = dict((await tx.exec(silent)).all())
    return tuple(_year(year, [one for one in found if one.received_at.year == year], untold)
                 for year in range(now().year, SINCE - 1, -1))  # fmt: skip


@promises.check("3.6", says="Whoever's data an authority demanded was told, or the order that forbids it is named.")
async def told_or_why_not(tx: Tx) -> str:
    """Look for accounts that nobody told, without an order, or beyond its end."""
    silent = select(func.count()).where(
        col(DisclosedAccount.told_at).is_(None),
        or_(
            col(DisclosedAccount.not_told_why) == "",
            col(DisclosedAccount.secret_until).is_(None),
            col(DisclosedAccount.secret_until) < now() - LATE,
        ),
    )
    if count := (await tx.exec(silent)).one():
        raise promises.Broken(f"{count} accounts whose data was demanded have not been told, and no order forbids it.")
    demands = (await tx.exec(select(func.count()).select_from(Disclosure))).one()
    return f"{demands} demands of authorities so far; everyone was told, or an order that has not ended is named."


def _year(year: int, demands: list[Disclosure], untold: dict[str, int]) -> Year:
    outcomes = [one.outcome for one in demands]
    accounts = sum(one.accounts for one in demands)
    silent = sum(untold.get(one.handle, 0) for one in demands)
    return Year(
        year=year,
        demands=len(demands),
        accounts=accounts,
        full=outcomes.count("full"),
        part=outcomes.count("part"),
        none=outcomes.count("none"),
        open=outcomes.count("open"),
        told=accounts - silent,
        untold=silent,
    )


async def _row(tx: Tx, disclosure: Disclosure) -> DisclosureRow:
    here = col(DisclosedAccount.disclosure) == disclosure.handle
    untold = (await tx.exec(select(DisclosedAccount).where(here, col(DisclosedAccount.told_at).is_(None)))).all()
    return DisclosureRow(
        handle=disclosure.handle,
        authority=disclosure.authority,
        kind=disclosure.kind,
        received_at=disclosure.received_at,
        scope=disclosure.scope,
        accounts=disclosure.accounts,
        told=disclosure.accounts - len(untold),
        untold=len(untold),
        why_untold=untold[0].not_told_why if untold else "",
        secret_until=untold[0].secret_until if untold else None,
        outcome=disclosure.outcome,
        answer=disclosure.answer,
        answered_at=disclosure.answered_at,
    )


async def _found(tx: Tx, staff: Person, disclosure_handle: str) -> Disclosure:
    require(staff, "disclosures")
    reauthentication.require_recent(staff)
    asked = select(Disclosure).where(Disclosure.handle == disclosure_handle).with_for_update()
    disclosure = (await tx.exec(asked)).first()
    if disclosure is None:
        raise NotFound("disclosure")
    return disclosure


async def _tell(tx: Tx, one: DisclosedAccount, actor_id: UUID | None) -> None:
    one.told_at = now()
    tx.add(one)
    trail.write(tx, "data:demand-told", account_id=one.account_id, actor_id=actor_id, disclosure=one.disclosure)
    named = (await tx.exec(select(Disclosure).where(Disclosure.handle == one.disclosure))).one()
    if named.accounts == 1:  # of several, the trail cannot say later which entry was about whom
        await tx.sql(
            update(TrailEntry)
            .where(col(TrailEntry.details)["disclosure"].astext == one.disclosure, col(TrailEntry.account_id).is_(None))
            .values(account_id=one.account_id)
        )
    account = await tx.get(Account, one.account_id)
    if account:
        await mail.send(tx, account.email, _answered(named) if named.answered_at else _demanded(named))


async def _account_of(tx: Tx, email: str) -> Account:
    account = (await tx.exec(select(Account).where(Account.email == email))).first()
    if account is None:
        raise Refused(f"There is no account with the address {email}.", code="not_found", field="addresses")
    return account


def _require(text: str, sentence: str, field: str) -> None:
    if not text:
        raise Refused(sentence, code=f"no_{field}", field=field)


def _require_order(why: str, secret_until: datetime | None) -> None:
    if bool(why) != bool(secret_until):
        raise Refused("Silence needs the order that demands it, and its end.", code="no_order", field="not_told_why")
    if secret_until and not now() < secret_until <= months_later(now(), LONGEST):
        raise Refused("Choose a day within the next twelve months.", code="bad_date", field="secret_until")


def _demanded(disclosure: Disclosure) -> mail.Message:
    return mail.Message(
        "An authority has asked for your data",
        (
            f"{disclosure.authority} has asked us for data of your account: {disclosure.scope}",
            f"This reached us on {disclosure.received_at:%d %B %Y}; its number with us is {disclosure.handle}.",
            f"You may want to speak to a lawyer. Write to {contact.EMAIL} if you want to object before we answer.",
            "We hand over what the law demands and nothing else, and tell you what that was.",
        ),
        _see(),
    )


def _answered(disclosure: Disclosure) -> mail.Message:
    return mail.Message(
        "What an authority was given of your data",
        (
            f"{disclosure.authority} asked us for data of your account: {disclosure.scope}",
            f"What we handed over: {OUTCOMES[disclosure.outcome]}. {disclosure.answer}",
            f"Its number with us is {disclosure.handle}.",
        ),
        _see(),
    )


def _see() -> tuple[str, str]:
    return ("See it in your dashboard", f"{settings().public_url}/dashboard/privacy/requests")
