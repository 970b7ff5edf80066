"""Who is told of a change of the policy or a transfer of the business, by mail and in the dashboard, and what they do.

    news(tx, who) -> News | None             what the dashboard tells `who` now; writes down that it did
    viewed(tx, who, id), agreed(tx, who, id) they opened what changes for them; they said they have read it
    personal(tx, who) -> Personal | None     what the next version changes, and how much of theirs each change concerns
    tell_by_the_clock()                      mails everybody who was not told yet

Each is written down once: the first time. The first use of the product while a version is in force is written down too,
with the version's hash (policy 9.3). Nothing here touches a consent: those are given by the person or not at all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel import select as select_rows

from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, Organization, Session
from assisters_app.base import contact, jobs, mail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import NotFound
from assisters_app.base.marks import Rows, mark_of
from assisters_app.base.settings import settings
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy import belonging, inventory, promises
from assisters_app.privacy.policies import policy, versions
from assisters_app.privacy.policies.policy import Change
from assisters_app.privacy.policies.tables import PolicyTold, PolicyVersion, Transfer
from assisters_app.privacy.policies.versions import Edition
from assisters_app.privacy.processors import PROCESSORS
from assisters_app.privacy.promises import Broken

BATCH = 200  # people told in one transaction
AFTERWARDS = timedelta(days=30)  # for how long the dashboard still tells of a version that came into force
BY_NOW = timedelta(hours=1)  # how long after an announcement the last mail must have been written
CHANGES_PAGE = "/dashboard/privacy/changes"

Deed = Literal["notified", "flashed", "viewed", "agreed", "used"]


@dataclass(frozen=True, slots=True)
class News:
    """Something that everybody is told of. `id` is a version of the policy, or the handle of a transfer."""

    id: str
    kind: Literal["policy", "transfer"]
    sha256: str  # of the version; '' for a transfer
    announced_at: datetime
    takes_place_at: datetime
    summary: str


@dataclass(frozen=True, slots=True)
class Affected:
    """One change, and what of a person's data it concerns: (what, how many rows), without those that have none."""

    change: Change
    theirs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Personal:
    """What a version changes for one person."""

    edition: Edition
    affected: tuple[Affected, ...]


async def news(tx: Tx, who: Person) -> News | None:
    """Return what `who` should read now, and write down that the dashboard showed it, and that they use the product."""
    told = await _told(tx, who.account_id)
    current = await versions.in_force(tx)
    if (current.version, "used") not in told:
        await _write_down(tx, who.account_id, current.version, "used", current.sha256)
    joined_at = (await tx.exec(select_rows(Account.created_at).where(Account.id == who.account_id))).one()
    for one in await _current(tx):
        if (one.id, "agreed") in told or joined_at > one.takes_place_at:
            continue
        if (one.id, "flashed") not in told:
            await _write_down(tx, who.account_id, one.id, "flashed", one.sha256)
        return one
    return None


async def viewed(tx: Tx, who: Person, id_: str) -> None:
    """Write down that `who` opened what a notice changes for them; raise NotFound for one that is not current."""
    await _did(tx, who, id_, "viewed")


async def agreed(tx: Tx, who: Person, id_: str) -> None:
    """Write down that `who` said they have read a notice; raise NotFound for one that is not current."""
    await _did(tx, who, id_, "agreed")


async def personal(tx: Tx, who: Person) -> Personal | None:
    """Return what the next version (or, after it came into force, the newest) changes, with `who`'s own data."""
    known = [one for one in await versions.editions(tx) if one.state in ("announced", "in force")]
    edition = next((one for one in known if one.state == "announced"), known[0] if known else None)
    if edition is None or not edition.changes:
        return None
    subject = await belonging.subject_of(tx, who.account_id)
    counts = {
        table.name: (await tx.sql(select(func.count()).where(belonging.theirs(table, rows, subject)))).scalar_one()
        for table, rows in inventory.personal_tables()
    }
    return Personal(edition, tuple(_affected(change, counts) for change in edition.changes))


@jobs.job("policy.tell", every="*/10 * * * *")
async def tell_by_the_clock() -> None:
    """Mail everybody who was not told yet of what is to come; then note who uses the product."""
    async with transaction() as tx:
        coming = [one for one in await _current(tx) if one.takes_place_at > now()]
    for one in coming:
        while await _tell_some(one):
            pass
    async with transaction() as tx:
        await _note_use(tx)


@promises.check("9.2", "3.7", says="Everybody was told of each material change and each transfer 30 days ahead.")
async def everybody_is_told_ahead(tx: Tx) -> str:
    """Look for people who had an account when something was announced, and were neither mailed nor shown it."""
    announced = await _announced(tx)
    for one in announced:
        if one.announced_at < now() - BY_NOW and (left_out := await _not_told(tx, one)):
            raise Broken(f"{left_out} people were not told of {_named(one)}, announced an hour ago or more.")
    if not announced:
        return "No material change and no transfer was ever announced."
    return f"{len(announced)} announced so far; everybody who had an account was told."


@promises.check(
    "9.3", says="Whoever used the product while a version was in force has that written down, with its hash."
)
async def use_is_written_down(tx: Tx) -> str:
    """Look for people seen since the version in force began, and an hour ago or more, of whom nothing is written."""
    current = await versions.in_force(tx)
    began = await _began(tx, current.version)
    until = now() - BY_NOW
    seen = union_all(*_uses(began, until)).subquery()
    without = select(func.count()).select_from(Account).where(col(Account.id).in_(select(seen.c[0])))
    missing = (await tx.sql(without.where(~_has(current.version, "used")))).scalar_one()
    wrong = (
        select(func.count())
        .select_from(PolicyTold)
        .where(col(PolicyTold.notice) == current.version, col(PolicyTold.sha256) != current.sha256)
    )
    if missing or (await tx.sql(wrong)).scalar_one():
        raise Broken(f"{missing} people use version {current.version} and nothing says since when.")
    used = (
        select(func.count())
        .select_from(PolicyTold)
        .where(col(PolicyTold.notice) == current.version, col(PolicyTold.kind) == "used")
    )
    return f"{(await tx.sql(used)).scalar_one()} people have used the product under version {current.version}."


async def tallies(tx: Tx, id_: str) -> dict[str, int]:
    """Return how many people were told of a notice or did something about it, by deed."""
    counted = select_rows(PolicyTold.kind, func.count()).where(PolicyTold.notice == id_).group_by(col(PolicyTold.kind))
    return dict((await tx.exec(counted)).all())


async def _announced(tx: Tx) -> list[News]:
    """Return every material version and every transfer that was announced and not withdrawn, the earliest first."""
    rows = (await tx.exec(select_rows(PolicyVersion).where(PolicyVersion.material))).all()
    found = [News(row.version, "policy", row.sha256, row.published_at, row.effective_at, row.summary) for row in rows]
    for row in (await tx.exec(select_rows(Transfer).where(col(Transfer.withdrawn_at).is_(None)))).all():
        summary = f"Your data would pass to {row.acquirer} ({row.contact}), who would be bound by this policy."
        found.append(News(row.handle, "transfer", "", row.announced_at, row.transfers_at, summary))
    return sorted(found, key=lambda one: one.takes_place_at)


async def _current(tx: Tx) -> list[News]:
    """Return what people are still told of: what is to come, and versions that came into force a short while ago."""
    return [
        one
        for one in await _announced(tx)
        if one.takes_place_at > now() - (AFTERWARDS if one.kind == "policy" else timedelta())
    ]


async def _did(tx: Tx, who: Person, id_: str, deed: Deed) -> None:
    one = next((one for one in await _current(tx) if one.id == id_), None)
    if one is None:
        raise NotFound("notice")
    await _write_down(tx, who.account_id, one.id, deed, one.sha256)


async def _told(tx: Tx, account_id: UUID) -> set[tuple[str, str]]:
    rows = await tx.exec(select_rows(PolicyTold.notice, PolicyTold.kind).where(PolicyTold.account_id == account_id))
    return set(rows.all())


async def _write_down(tx: Tx, account_id: UUID, notice: str, deed: Deed, sha256: str) -> None:
    row = PolicyTold(account_id=account_id, notice=notice, kind=deed, sha256=sha256)
    await tx.sql(insert(PolicyTold).values(row.model_dump()).on_conflict_do_nothing())


async def _tell_some(one: News) -> int:
    """Mail the next people who were not told of it; return how many there were. Workers do not tell the same ones."""
    async with transaction() as tx:
        waiting = select_rows(Account).where(col(Account.verified_at).is_not(None), ~_has(one.id, "notified"))
        people = (await tx.exec(waiting.limit(BATCH).with_for_update(skip_locked=True, of=Account))).all()
        for account in people:
            await mail.send(tx, account.email, _message(one), account_id=account.id)
            await _write_down(tx, account.id, one.id, "notified", one.sha256)
    return len(people)


def _message(one: News) -> mail.Message:
    day = f"{one.takes_place_at:%-d %B %Y}"
    address = settings().public_url + CHANGES_PAGE
    leaving = f"If you do not want that, export your data and close your account before {day}. It takes two clicks."
    if one.kind == "transfer":
        return mail.Message(
            f"Your data may pass to another company on {day}",
            (
                f"Assisters is about to be merged with, bought by, or sold to another company, on {day}. {one.summary}",
                leaving + " What is closed or erased by then does not pass on.",
                f"Questions: {contact.EMAIL}",
            ),
            action=("Export, or close your account", settings().public_url + "/dashboard/privacy"),
        )
    return mail.Message(
        f"Our privacy policy changes on {day}",
        (
            one.summary,
            "You can read which sentences change, and which of your own data each change concerns.",
            leaving + " Using Assisters after that day means that the new version applies to you.",
            "Consents are not touched by this: what you agreed to, or did not agree to, stays as it is.",
        ),
        action=("See what changes for you", address),
    )


async def _note_use(tx: Tx) -> None:
    """Write down the first use of those whose dashboard did not: they call the API, or run no scripts of ours."""
    current = await versions.in_force(tx)
    began = await _began(tx, current.version)
    for used in _uses(began, now()):
        found = used.subquery()
        account_id, at = found.c
        first = select(account_id, literal(current.version), literal("used"), literal(current.sha256), func.min(at))
        first = first.where(~_has(current.version, "used", account_id)).group_by(account_id)
        columns = ["account_id", "notice", "kind", "sha256", "created_at"]
        await tx.sql(insert(PolicyTold).from_select(columns, first).on_conflict_do_nothing())


async def _began(tx: Tx, version: str) -> datetime:
    return (
        await tx.exec(select_rows(PolicyVersion.effective_at).where(PolicyVersion.version == version))
    ).first() or now()


def _uses(began: datetime, until: datetime) -> tuple[Select[Any, Any], ...]:
    """Return who used the product last between two moments, and when: in the dashboard, and by a key of theirs."""
    seen = select(col(Session.account_id), col(Session.last_seen_at))
    called = select(col(Organization.owner_id), col(ApiKey.last_used_at)).join(
        ApiKey, col(ApiKey.organization_id) == Organization.id
    )
    return (
        seen.where(col(Session.last_seen_at).between(began, until)),
        called.where(col(ApiKey.last_used_at).between(began, until)),
    )


async def _not_told(tx: Tx, one: News) -> int:
    """Return how many people who could be told before it takes place were not: neither by mail nor in the dashboard."""
    there = (col(Account.verified_at) <= one.announced_at, ~_has(one.id, "notified"), ~_has(one.id, "flashed"))
    count: int = (await tx.sql(select(func.count()).select_from(Account).where(*there))).scalar_one()
    return count


def _has(notice: str, deed: Deed, account_id: ColumnElement[Any] | None = None) -> ColumnElement[bool]:
    """Return the condition that something is written down of an account."""
    whose = col(Account.id) if account_id is None else account_id
    row = select(literal(1)).where(
        col(PolicyTold.account_id) == whose, col(PolicyTold.notice) == notice, col(PolicyTold.kind) == deed
    )
    return row.correlate_except(PolicyTold).exists()


def _named(one: News) -> str:
    return f"version {one.id}" if one.kind == "policy" else "a transfer of the business"


def _affected(change: Change, counts: dict[str, int]) -> Affected:
    concerned = [
        (rows.title, counts[table.name])
        for table, rows in inventory.personal_tables()
        if _about(change.id, table, rows)
    ]
    return Affected(change, tuple((title, count) for title, count in concerned if count))


def _about(sentence: str, table: Table, rows: Rows) -> bool:
    """Return whether a sentence of the policy is about a table: its retention, or something collected in it."""
    if rows.retention.promise == sentence:
        return True
    received_by = {processor.id for processor in PROCESSORS if _section_3(sentence) == processor.name}
    return any(
        sentence == mark.collected_as or sentence in mark.purposes or bool(received_by & set(mark.recipients))
        for mark in map(mark_of, table.c)
        if mark.category
    )


def _section_3(sentence: str) -> str:
    """Return the company that a line of section 3 names."""
    return policy.CURRENT.sentences.get(sentence, "").split(" - ")[0] if sentence.startswith("3.") else ""
