"""What else a restored backup must not undo: keys ended, addresses that opted out, holds, and who comes in how.

    make_lasting()                   the job: tells the ledger the present state of what `base.lasting` noted
    tell(tx)                         the same in a transaction of the caller's
    told(entries) -> dict            the last state of each thing, by its kind and name
    replay(tx, told) -> Replayed     brings a restored database up to it, before anybody is let in

The ledger names keys and accounts by marks, as it names the erased. What a line needs of words (an address, the ground
of a hold, the keyed hash of an address that opted out) is sealed under the key of its day, and that key is destroyed
once no backup that is old enough to need the line may be restored: then nothing in the ledger leads to anybody. The
words of an account open with its id only, so that its erasure ends them at once.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlmodel import col, select

from assisters_app.accounts.tables import Account, ExternalIdentity, Organization
from assisters_app.base import jobs, trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.tables import LastingChange
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy.choices.tables import Suppression
from assisters_app.privacy.erasing import ledger, pulse, stamp
from assisters_app.privacy.erasing.ledger import Entry
from assisters_app.privacy.registers.tables import LegalHold

AT_ONCE = 1000  # changes told in one transaction, and rows read at a time when a database is brought up to date
ONE_TELLS = 7_236_022  # an advisory lock: of two workers that tell, the one that read earlier must not write later
KEY_TIMES = ("revoked_at", "expires_at", "leaked_at", "previous_until")  # an older line may lack one
KINDS = ("account", "key", "suppression", "hold")
HOLD_TIMES = ("review_by", "secret_until", "told_at", "created_at", "released_at")
HOLD_WORDS = ("ground", "secrecy", "release_reason")
LOST_WORDS = "Placed again from the ledger after a backup was restored: its words are in the order itself."

Told = dict[tuple[str, str], dict[str, Any]]
State = Callable[[Tx, LastingChange], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many things of a restored database were brought up to what had been decided since its backup."""

    keys: int = 0
    accounts: int = 0
    addresses: int = 0
    holds: int = 0


@jobs.job("privacy.make-lasting", every="*/10 * * * *")
async def make_lasting() -> None:
    """Tell the ledger what has changed, until nothing waits."""
    while True:
        async with transaction() as tx:
            if await tell(tx) < AT_ONCE:
                return


@jobs.job("privacy.destroy-ledger-keys", every="52 * * * *")
async def destroy_old_keys() -> None:
    """Destroy the keys that no backup can need any more."""
    await asyncio.to_thread(ledger.destroy_old_keys)


async def tell(tx: Tx) -> int:
    """Write the present state of what has changed into the ledger; return how many changes were noted.

    In a database that was restored and not yet brought up to the ledger nothing is written: it knows less.
    """
    await pulse.beat()  # as before every line of the ledger: a database that has gone back is shut, and tells nothing
    await tx.sql(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ONE_TELLS})
    if not await stamp.is_open(tx):
        return 0
    await stamp.known(tx)  # raises where the ledger is not ours
    waiting = select(LastingChange).order_by(col(LastingChange.id)).limit(AT_ONCE).with_for_update(skip_locked=True)
    changes = (await tx.exec(waiting)).all()
    things = {(one.kind, one.name, one.account_id): one for one in changes}
    lines = [(one.kind, state) for one in things.values() if (state := await STATES[one.kind](tx, one)) is not None]
    if lines:
        await asyncio.to_thread(ledger.append_all, lines)
        await stamp.write(tx, await asyncio.to_thread(ledger.read), while_open=True)
    for one in changes:
        await tx.delete(one)
    return len(changes)


def told(entries: Iterable[Entry]) -> Told:
    """Return the last state that these lines have of each thing.

    A restored database is told of the lines that it does not know, and of no other: it may be newer than they are.
    """
    return {(entry.what, str(entry.facts["name"])): entry.facts for entry in entries if entry.what in KINDS}


async def replay(tx: Tx, known: Told) -> Replayed:
    """Bring a restored database up to what had been decided since; once more changes nothing more."""
    await tx.exec(update(ApiKey).where(col(ApiKey.content_kept_since).is_not(None)).values(content_kept_since=None))
    return Replayed(
        keys=await _keys(tx, _of("key", known)),
        accounts=await _accounts(tx, _of("account", known)),
        addresses=await _addresses(tx, _of("suppression", known).values()),
        holds=await _holds(tx, _of("hold", known)),
    )


# The state of each kind, as the ledger is told it.


async def _key(tx: Tx, change: LastingChange) -> dict[str, Any] | None:
    key = await tx.get(ApiKey, UUID(change.name))
    if key is None:  # erased with its account: the ledger has that
        return None
    return {
        "name": ledger.mark_of(key.id),
        "revoked_at": _text(key.revoked_at),
        "expires_at": _text(key.expires_at),
        "leaked_at": _text(key.leaked_at),
        "digest": key.digest,
        "previous_digest": key.previous_digest,
        "previous_until": _text(key.previous_until),
    }


async def _account(tx: Tx, change: LastingChange) -> dict[str, Any] | None:
    account = await tx.get(Account, change.account_id)
    if account is None:
        return None
    identities = (
        await tx.exec(select(ExternalIdentity).where(col(ExternalIdentity.account_id) == change.account_id))
    ).all()
    words = {"email": account.email, "suspension_reason": account.suspension_reason}
    return {
        "name": ledger.mark_of(account.id),
        "role": account.role,
        "suspended_at": _text(account.suspended_at),
        "password": _password_mark(account),
        "sign_ins": sorted(map(_sign_in_mark, identities)),
        "words": ledger.for_a_while(json.dumps(words), account.id),
    }


async def _suppression(tx: Tx, change: LastingChange) -> dict[str, Any]:
    listed = await tx.get(Suppression, change.name)
    return {
        "name": ledger.mark_of_text("suppression", change.name),
        "since": _text(listed.created_at) if listed else None,
        "words": ledger.for_a_while(change.name),
    }


async def _hold(tx: Tx, change: LastingChange) -> dict[str, Any] | None:
    hold = (await tx.exec(select(LegalHold).where(LegalHold.handle == change.name))).first()
    if hold is None:
        return None
    return {
        "name": hold.handle,
        "account": ledger.mark_of(hold.account_id) if hold.account_id else None,
        "table_names": hold.table_names,
        **{name: _text(getattr(hold, name)) for name in HOLD_TIMES},
        "words": ledger.for_a_while(json.dumps({name: getattr(hold, name) for name in HOLD_WORDS})),
    }


STATES: dict[str, State] = {"key": _key, "account": _account, "suppression": _suppression, "hold": _hold}


# And how a restored database is brought up to it.


async def _keys(tx: Tx, known: dict[str, dict[str, Any]]) -> int:
    count = 0
    for key_id in await marked(tx, ApiKey.id, known):
        key, said = await tx.get_one(ApiKey, key_id), known[ledger.mark_of(key_id)]
        state = {name: _at(said[name]) for name in KEY_TIMES if name in said}
        state |= {"digest": said["digest"], "previous_digest": said["previous_digest"]}
        if _differs(key, state):
            count += 1
            _set(tx, key, state)
        tx.afterwards(
            partial(valkey.announce, "key", key.public_id)
        )  # a process may have read the key as the backup had it
    return count


async def _accounts(tx: Tx, known: dict[str, dict[str, Any]]) -> int:
    count = 0
    for account_id in await marked(tx, Account.id, known):
        account, said = await tx.get_one(Account, account_id), known[ledger.mark_of(account_id)]
        words = json.loads(ledger.opened(said["words"], account_id) or "{}")
        state = {
            "role": said["role"],
            "suspended_at": _at(said["suspended_at"]),
            "suspension_reason": words.get("suspension_reason", account.suspension_reason),
        }
        # A password that was replaced opens nothing; the one in its place is not known: a new one is set by mail.
        state["password_hash"] = account.password_hash if said["password"] == _password_mark(account) else None
        address = words.get("email", account.email)
        if address != account.email and not await _taken(tx, address):
            state["email"] = address
        gone = await _forget_sign_ins(tx, account_id, set(said["sign_ins"]))
        if gone or _differs(account, state):
            count += 1
            _set(tx, account, state)
            trail.write(tx, "account:brought-up-to-date", account_id=account_id)
        for organization_id in (
            await tx.exec(select(Organization.id).where(Organization.owner_id == account_id))
        ).all():
            tx.afterwards(partial(valkey.announce, "organization", str(organization_id)))
    return count


async def _forget_sign_ins(tx: Tx, account_id: UUID, kept: set[str]) -> int:
    held = await tx.exec(select(ExternalIdentity).where(col(ExternalIdentity.account_id) == account_id))
    gone = [one for one in held.all() if _sign_in_mark(one) not in kept]
    for one in gone:
        await tx.delete(one)
    return len(gone)


async def _addresses(tx: Tx, known: Iterable[dict[str, Any]]) -> int:
    count = 0
    for said in known:
        hashed = ledger.opened(said["words"])
        if hashed is None:  # every backup that may be restored has it
            continue
        if said["since"]:
            row = {"email_hash": hashed, "created_at": _at(said["since"])}
            listed = insert_or_leave(Suppression).values(row).on_conflict_do_nothing()
            count += len((await tx.sql(listed.returning(col(Suppression.email_hash)))).all())
        else:
            count += (await tx.sql(delete(Suppression).where(col(Suppression.email_hash) == hashed))).rowcount
    return count


async def _holds(tx: Tx, known: dict[str, dict[str, Any]]) -> int:
    """Place and release holds as they were; one of a person who is not in this database holds nothing here."""
    people = {said["account"] for said in known.values() if said["account"]}
    accounts = {ledger.mark_of(id_): id_ for id_ in await marked(tx, Account.id, people)}
    count = 0
    for handle, said in known.items():
        words = json.loads(ledger.opened(said["words"]) or "{}")
        state = {name: _at(said[name]) for name in HOLD_TIMES} | {"table_names": said["table_names"], **words}
        hold = (await tx.exec(select(LegalHold).where(LegalHold.handle == handle))).first()
        if hold is None:
            if said["account"] and said["account"] not in accounts:
                continue
            hold = LegalHold(
                handle=handle, account_id=accounts.get(said["account"]), ground=LOST_WORDS, review_by=now()
            )
        elif not _differs(hold, state):
            continue
        count += 1
        _set(tx, hold, state)
    await tx.flush()  # what is erased next must see them
    return count


async def marked(tx: Tx, column: Any, marks: Iterable[str]) -> list[UUID]:  # noqa: ANN401 (a column of ids)
    """Return the ids that the ledger knows by one of these marks; they are read some at a time."""
    wanted, mark, found, after = set(marks), ledger.marker(), list[UUID](), UUID(int=0)
    while wanted and (
        ids := (await tx.exec(select(column).where(column > after).order_by(column).limit(AT_ONCE))).all()
    ):
        found += [id_ for id_ in ids if mark(id_) in wanted]
        after = ids[-1]
    return found


async def _taken(tx: Tx, address: str) -> bool:
    return (await tx.exec(select(Account.id).where(Account.email == address))).first() is not None


def _of(kind: str, known: Told) -> dict[str, dict[str, Any]]:
    return {name: said for (one, name), said in known.items() if one == kind}


def _differs(row: Any, state: dict[str, Any]) -> bool:  # noqa: ANN401 (a row of any table)
    return any(getattr(row, name) != value for name, value in state.items())


def _set(tx: Tx, row: Any, state: dict[str, Any]) -> None:  # noqa: ANN401 (as above)
    for name, value in state.items():
        setattr(row, name, value)
    tx.add(row)


def _password_mark(account: Account) -> str | None:
    return ledger.mark_of_text("password", account.password_hash) if account.password_hash else None


def _sign_in_mark(one: ExternalIdentity) -> str:
    return ledger.mark_of_text("sign-in", f"{one.issuer} {one.subject}")


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _at(said: str | None) -> datetime | None:
    return datetime.fromisoformat(said) if said else None
