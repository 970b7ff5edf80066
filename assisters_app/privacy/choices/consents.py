"""Choices that are the person's alone: given, withdrawn as easily, and provable. Nothing is ever assumed from silence.

PURPOSES                                       what may be asked, with the exact words
choices(tx, who) -> tuple[Choice, …]           the state of each purpose
choose(tx, who, purpose_id, given, source)     append one choice; raises NotFound for an unknown purpose
history(tx, who) -> tuple[Record, …]           every choice ever made, with the words that were seen
given(tx, account_id, purpose_id) -> bool      the one question that others ask
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, select, update

from assisters_app.accounts.sessions import Person
from assisters_app.base import trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.privacy.choices import suppressions
from assisters_app.privacy.choices.tables import Consent
from assisters_app.privacy.policies import policy


@dataclass(frozen=True, slots=True)
class Purpose:
    """One thing consent may be given for. `text` is what the person reads beside the switch, and is kept."""

    id: str
    title: str
    text: str


PURPOSES = (
    Purpose(
        "marketing",
        "News and offers by e-mail",
        "Assisters may send me e-mail about new features, prices and events. I can unsubscribe with one click in every "
        "message, or here.",
    ),
    Purpose(
        "training",
        "Use of my API content to train models",
        "Assisters may use the content of my API requests, from now on, to train its models. This is separate from "
        "everything else, off by default, and can be withdrawn here at any time.",
    ),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is in force for one purpose. `since` is None when the person has never chosen: then nothing is given."""

    purpose: Purpose
    given: bool
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    """One choice as it was made."""

    purpose_id: str
    given: bool
    text: str
    policy_version: str
    source: str
    at: datetime
    ended_at: datetime | None


async def choices(tx: Tx, who: Person) -> tuple[Choice, ...]:
    """Return the state of every purpose for `who`."""
    found = await tx.exec(select(Consent).where(*_in_force(who.account_id)))
    now_in_force = {consent.purpose: consent for consent in found}
    return tuple(
        Choice(purpose, record.given, record.created_at)
        if (record := now_in_force.get(purpose.id))
        else Choice(purpose, given=False, since=None)
        for purpose in PURPOSES
    )


async def choose(tx: Tx, who: Person, purpose_id: str, *, given: bool, source: str = "settings") -> None:
    """Write down that `who` gives or withdraws consent; the same choice twice is written once."""
    purpose = next((one for one in PURPOSES if one.id == purpose_id), None)
    if purpose is None:
        raise NotFound("choice")
    changed = await _append(tx, who.account_id, purpose, given=given, source=source)
    if purpose.id == "marketing":
        await (suppressions.forget(tx, who.email) if given else suppressions.suppress(tx, who.email))
    if changed:
        trail.write(
            tx,
            "consent:given" if given else "consent:withdrawn",
            account_id=who.account_id,
            actor_id=who.account_id,
            purpose=purpose.id,
        )


async def history(tx: Tx, who: Person) -> tuple[Record, ...]:
    """Return every choice of `who`, the newest first."""
    found = await tx.exec(
        select(Consent).where(col(Consent.account_id) == who.account_id).order_by(col(Consent.created_at).desc())
    )
    return tuple(
        Record(c.purpose, c.given, c.text, c.policy_version, c.source, c.created_at, c.ended_at) for c in found
    )


async def given(tx: Tx, account_id: UUID, purpose_id: str) -> bool:
    """Return whether consent for a purpose is in force; without a choice it is not."""
    found = await tx.exec(select(Consent.given).where(*_in_force(account_id), col(Consent.purpose) == purpose_id))
    return bool(found.first())


async def withdraw(tx: Tx, account_id: UUID, purpose_id: str, source: str) -> None:
    """Withdraw consent for somebody who is not signed in (one click in a mail); nothing happens if none is given."""
    purpose = next(one for one in PURPOSES if one.id == purpose_id)
    if await given(tx, account_id, purpose_id) and await _append(tx, account_id, purpose, given=False, source=source):
        trail.write(tx, "consent:withdrawn", account_id=account_id, actor_id=account_id, purpose=purpose_id)


async def _append(tx: Tx, account_id: UUID, purpose: Purpose, *, given: bool, source: str) -> bool:
    last = (
        await tx.exec(
            select(Consent).where(*_in_force(account_id), col(Consent.purpose) == purpose.id).with_for_update()
        )
    ).first()
    if last and last.given == given and last.text == purpose.text:
        return False
    await tx.exec(
        update(Consent).where(*_in_force(account_id), col(Consent.purpose) == purpose.id).values(ended_at=now())
    )
    tx.add(
        Consent(
            account_id=account_id,
            purpose=purpose.id,
            given=given,
            text=purpose.text,
            policy_version=policy.CURRENT.version,
            source=source,
        )
    )
    await tx.flush()  # the next question in this transaction must see it
    return True


def _in_force(account_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (col(Consent.account_id) == account_id, col(Consent.ended_at).is_(None))
