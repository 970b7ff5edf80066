"""Access (policy 6.1, GDPR Art. 15): a readable copy of a person's data, with all that Art. 15 wants said beside it.

    copy(tx, who, outcome=…) -> Copy        raises Refused (reauthenticate, too_many)

The newest rows of each table are shown here; all of them are in the export.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, func, select

from assisters_app.accounts import reauthentication
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base import contact, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.marks import Rows, mark_of
from assisters_app.privacy import inventory, processors
from assisters_app.privacy.belonging import Subject, exported_columns, shown, subject_of
from assisters_app.privacy.policies import versions
from assisters_app.privacy.rights import requests

SHOWN = 50  # rows of each table; a page that lists a million calls is read by nobody
OFTEN = Limit("access", 30, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Section:
    """One table as its person reads it. `total` counts all rows, `rows` holds the newest, already in words."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    why: tuple[str, ...]  # the purposes, in the policy's words
    kept: str  # "30 days", or "Until account deletion + 30 days"
    receives: tuple[str, ...]  # the processors' names


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who receives data, what for, where, and what protects it there."""

    name: str
    purpose: str
    categories: tuple[str, ...]
    country: str
    safeguard: str
    terms: str


@dataclass(frozen=True, slots=True)
class Context:
    """What Art. 15(1) and (2) list: said with every copy."""

    controller: str
    purposes: tuple[str, ...]
    categories: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    rights: tuple[str, ...]
    complaint: str
    source: str
    automated_decisions: str
    periods: tuple[str, ...]  # how long each kind of rows stays
    withheld: tuple[str, ...]  # what is stored but not shown, and why


@dataclass(frozen=True, slots=True)
class Copy:
    """The whole answer to a request for access."""

    email: str
    made_at: datetime
    policy_version: str
    sections: tuple[Section, ...]
    context: Context


RIGHTS = (
    "Correction: update what is wrong in your settings, or ask us to (policy 6.2).",
    "Deletion: close or erase your account in your privacy settings (policy 6.3).",
    "Portability: export everything as JSON Lines and CSV in your privacy settings (policy 6.4).",
    "Opting out: unsubscribe from marketing in your settings or with one click in any such mail (policy 6.5).",
    f"Restriction and objection: write to {contact.EMAIL} (GDPR Art. 18 and 21).",
)
COMPLAINT = (
    "You may complain to a supervisory authority, in particular where you live or work (GDPR Art. 77), or to the "
    "California Privacy Protection Agency or your state's attorney general."
)
SOURCE = (
    "From you: when you sign up, fill in a form, or call our API. Payment notices come from Stripe, and where you sign "
    "in with another provider, your address comes from there."
)
DECISIONS = "No decision with legal or similarly significant effect is taken by software alone (GDPR Art. 22)."
CONTROLLER = f"{contact.ON_ONE_LINE}, {contact.EMAIL}"


async def copy(tx: Tx, who: Person, *, outcome: str = "Shown in the dashboard") -> Copy:
    """Return the copy, and enter the request, met on the spot, in the register."""
    reauthentication.require_recent(who)
    await attempt(OFTEN, str(who.account_id))
    await requests.record(tx, "access", "dashboard", account_id=who.account_id, done=outcome)
    return await _made(tx, who)


async def made(tx: Tx, who: Person) -> Copy:
    """Return the copy for a request that is in the register already: `who` has proven who they are in another way."""
    await attempt(OFTEN, str(who.account_id))
    return await _made(tx, who)


async def _made(tx: Tx, who: Person) -> Copy:
    trail.write(tx, "account:accessed", account_id=who.account_id, actor_id=who.account_id)
    subject = await subject_of(tx, who.account_id)
    sections = [await _section(tx, table, rows, subject) for table, rows in inventory.personal_tables() if rows.export]
    return Copy(who.email, now(), (await versions.in_force(tx)).version, tuple(sections), context())


def context() -> Context:
    """Return what must be said with every copy; the same for everyone."""
    entries = [entry for entry in inventory.inventory() if entry.personal]
    purposes = {purpose for entry in entries for purpose in entry.purposes}
    return Context(
        controller=CONTROLLER,
        purposes=tuple(title for purpose, title in inventory.PURPOSES.items() if purpose in purposes),
        categories=tuple(sorted({category for entry in entries for category in entry.categories})),
        recipients=tuple(
            Recipient(p.name, p.purpose, processors.received_by(p.id), p.country, p.safeguard, p.terms)
            for p in processors.PROCESSORS
        ),
        rights=RIGHTS,
        complaint=COMPLAINT,
        source=SOURCE,
        automated_decisions=DECISIONS,
        periods=periods(),
        withheld=withheld(),
    )


def periods() -> tuple[str, ...]:
    """Return how long rows about people stay (Art. 15(1)(d)): a sentence for each rule, with where it is promised."""
    return tuple(
        f"{rule.sentence} ({'policy ' + rule.promise if rule.promise[0].isdigit() else rule.promise}): "
        + ", ".join(entry.title for entry in about)
        for rule, _ in inventory.kept().values()
        if (about := [one for one in inventory.inventory() if one.personal and one.retention_id == rule.id])
    )


def withheld() -> tuple[str, ...]:
    """Return what a person does not get of their own rows: secrets that would let somebody else in (CCPA §7024(d))."""
    return tuple(
        f"{entry.title}: {column.title} (it could be used to get into your account)"
        for entry in inventory.inventory()
        if entry.personal and entry.exported
        for column in entry.columns
        if not column.exported and column.category
    )


async def _section(tx: Tx, table: Table, rows: Rows, subject: Subject) -> Section:
    columns = exported_columns(table, rows, subject)
    mine = shown(table, rows, subject)
    total = (await tx.sql(select(func.count()).select_from(table).where(mine))).scalar_one()
    newest = select(*columns).where(mine).order_by(table.c[rows.since].desc()).limit(SHOWN)
    found = (await tx.sql(newest)).all()
    entry = next(one for one in inventory.inventory() if one.name == table.name)
    return Section(
        name=table.name,
        title=rows.title,
        columns=tuple(inventory.title_of(column.name) for column in table.c if mark_of(column).export),
        rows=tuple(tuple(_in_words(value) for value in row) for row in found),
        total=total,
        why=tuple(inventory.PURPOSES[p] for p in inventory.PURPOSES if p in entry.purposes),
        kept=rows.retention.sentence,
        receives=tuple(p.name for p in processors.PROCESSORS if p.id in entry.recipients),
    )


def _in_words(value: Any) -> str:  # noqa: ANN401 (any column's value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    return str(value)
