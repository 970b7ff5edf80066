"""The purge: carries an erasure out, table by table, and may be interrupted anywhere and repeated.

    carry_out(erasure_id)                   the job; does nothing before the time has come, or twice
    also(name, reach)                       a face that keeps things of a person adds how they are forgotten
    line(tx, table, rows, subject) -> Line  what becomes of one table's rows: the plan and the receipt count alike

What it does is read from the marks: rows whose table says DELETE go; rows that the law wants kept lose what is
personal, column by column, and are tied to a pseudonym drawn for this one erasure. It ends with a scan that does not
trust the marks, and with a signed receipt. What a legal hold names stays as it is, and only that: the erasure is
finished, by itself, when the hold is released.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Table,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy import tuple_ as sql_tuple
from sqlmodel import col
from sqlmodel import select as select_model

from assisters_app.accounts import links, moving, recovering, sessions
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs, mail, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.mail import Message
from assisters_app.base.marks import Mark, OnErase, Rows, mark_of, rows_of
from assisters_app.base.settings import settings
from assisters_app.keys import keys
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import EMAIL, Subject, subject_of, theirs
from assisters_app.privacy.erasing import errands, pulse, receipts, remains, remembering, stamp
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.registers import holds
from assisters_app.privacy.registers.holds import Holds
from assisters_app.privacy.rights import requests

AT_ONCE = 10_000  # rows deleted in one transaction
LAST = ("organization", "account")  # everything is found through these two: they go in the last transaction
MAIL = "outgoing_mail"
NOTHING = {"before": 0, "removed": 0}
BY_ITSELF = ("erasure", "legal_hold", "privacy_request")  # what finishes a waiting erasure is found by these
TRAIL, THINGS = "trail_entry", ("key", "organization", "conversation", "request", "receipt")
# In the trail's details these name things of the person, by names that stand in their mails too: they go with them.
SAID = ("user.name", "user.workplace", "user.location", "user.authorization.password")  # not needed to finish it
TAKES_AWAY = ("stripe", "sign-in")  # steps that destroy what a hold of the whole account wants kept
ERASING = "You asked for this account to be erased."

Reach = Callable[[Subject], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of one table's rows. Kept rows name their ground and when the last of them goes."""

    table: str
    title: str
    goes: int
    stays: int
    ground: str | None
    until: datetime | None


_also: dict[str, Reach] = {}


def also(name: str, reach: Reach) -> None:
    """Have every purge call `reach(subject)`, which forgets what is kept outside the tables and says what it did."""
    _also[name] = reach


@jobs.job("privacy.carry-out")
async def carry_out(erasure_id: str, *, reopening: bool = False) -> None:
    """Carry an erasure out when its time has come. Each step can be repeated; what is done already is done again.

    In a restored database nothing goes before it was told of the holds and changes of mind since: `reopening` does.
    """
    if not reopening and not await _is_open():
        return  # `carry_out_due` comes back to it
    erasure = await _begin(UUID(erasure_id))
    if erasure is None:
        return
    subject = await _read_subject(erasure.account_id)
    wanted = await _steps_now(erasure)
    for name, reach in wanted.items():
        if name not in erasure.progress.get("elsewhere", {}):
            await _note(erasure.id, name, await reach(subject))
    stays = (*LAST, MAIL) if "held" in erasure.progress else LAST  # the letter that tells them of the hold
    for table, rows in reversed(inventory.personal_tables()):
        if rows.on_erase is OnErase.DELETE and table.name not in stays:
            await _empty(erasure.id, table, rows, subject)
    await remains.forget_in_valkey(subject)  # once more: what had been cached while the tables were emptied
    await _let_go_of_address(subject)
    await _finish(erasure.id, subject)
    await remembering.write_down()


async def _begin(erasure_id: UUID) -> Erasure | None:
    """Write down what is about to be destroyed, then return the erasure; None when it is not due, or was done."""
    async with transaction() as tx:
        if whose := (await tx.exec(select_model(Erasure.account_id).where(Erasure.id == erasure_id))).first():
            await links.turn(tx, whose)  # the account first, as its person does who hurries it on or takes it back
        erasure = await tx.get(Erasure, erasure_id, with_for_update=True)
        if erasure is None or erasure.withdrawn_at or erasure.carried_out_at or erasure.carry_out_at > now():
            return None
        if await remembering.was_taken_back(tx, erasure):
            return None
        if not erasure.progress["at_once"]:
            await stop(tx, erasure.account_id, at_once=True)  # whatever was made during the grace
            erasure.progress = {**erasure.progress, "at_once": True}
        subject = await subject_of(tx, erasure.account_id)
        if "counts" not in erasure.progress:
            lines = [await line(tx, table, rows, subject) for table, rows in inventory.personal_tables()]
            erasure.progress = {
                **erasure.progress,
                "counts": {line.table: {"before": line.goes + line.stays, "removed": 0} for line in lines},
                "elsewhere": {},
            }
            tx.add(erasure)
        await remembering.about_to_destroy(tx, erasure, subject)
        return erasure


async def _is_open() -> bool:
    await pulse.beat()  # a disk that was put back shows it
    async with transaction() as tx:
        return await stamp.is_open(tx)


async def _read_subject(account_id: UUID) -> Subject:
    async with transaction() as tx:
        return await subject_of(tx, account_id)


async def _steps_now(erasure: Erasure) -> dict[str, Reach]:
    """Return the steps that no hold of the whole account forbids."""
    async with transaction() as tx:
        kept = (await holds.in_force(tx)).on(erasure.account_id).whole
    return {name: reach for name, reach in _steps().items() if not (kept and name in TAKES_AWAY)}


def reached() -> tuple[str, ...]:
    """Return what every purge reaches outside the tables, in order."""
    return tuple(_steps())


def _steps() -> dict[str, Reach]:
    """Return what is reached outside the tables, in order: what could still arrive is written down first."""
    return {
        "calls": remains.take_in_waiting_calls,
        "stripe": _forget_at_stripe,
        "sign-in": _forget_sign_in,
        "valkey": remains.forget_in_valkey,
        **_also,
    }


async def _forget_at_stripe(subject: Subject) -> str:
    """Begin what has to be done at Stripe: it goes on by itself, and nobody's erasure waits for another company."""
    async with transaction() as tx:
        receipt = await _receipt_of(tx, subject)
    return await errands.at_stripe(receipt, subject.customer_ids)


async def _forget_sign_in(subject: Subject) -> str:
    """Forget the password; where Supabase keeps it, begin what has to be done there, which goes on by itself too."""
    async with transaction() as tx:
        account = await tx.get_one(Account, subject.account_id)
        name, receipt = await identity().held_elsewhere(tx, account), await _receipt_of(tx, subject)
        if not name:
            await identity().remove(tx, account)
            return "removed"
    return await errands.at_supabase(receipt, name)


async def _receipt_of(tx: Tx, subject: Subject) -> str:
    theirs_ = select_model(Erasure).where(
        Erasure.account_id == subject.account_id,
        col(Erasure.carried_out_at).is_(None),
        col(Erasure.withdrawn_at).is_(None),
    )
    return str((await tx.exec(theirs_)).one().progress["receipt"])


async def _note(erasure_id: UUID, name: str, outcome: str) -> None:
    async with transaction() as tx:
        erasure = await tx.get_one(Erasure, erasure_id, with_for_update=True)
        done = {**erasure.progress["elsewhere"], name: {"outcome": outcome, "at": now().isoformat()}}
        erasure.progress = {**erasure.progress, "elsewhere": done}
        tx.add(erasure)


async def _empty(erasure_id: UUID, table: Table, rows: Rows, subject: Subject) -> None:
    """Delete a person's rows of one table, some thousands in each transaction, and count them in the ledger."""
    while True:
        async with transaction() as tx:
            await links.turn(tx, subject.account_id)  # as `_begin` does
            erasure = await tx.get_one(Erasure, erasure_id, with_for_update=True)
            removed = await _delete_some(tx, table, rows, subject, await holds.before_destroying(tx))
            _count(erasure, table.name, removed)
            tx.add(erasure)
        if removed < AT_ONCE:
            return


async def _delete_some(tx: Tx, table: Table, rows: Rows, subject: Subject, held: Holds) -> int:
    key = sql_tuple(*table.primary_key.columns)
    going = and_(_doomed(table, rows, subject), ~held.keep(table, rows))
    some = select(*table.primary_key.columns).where(going).limit(AT_ONCE)
    return (await tx.sql(delete(table).where(key.in_(some)))).rowcount


def _doomed(table: Table, rows: Rows, subject: Subject) -> ColumnElement[bool]:
    """Return which rows go: the person's own, and others' that hang on a row that goes, as a member does."""
    reasons = [theirs(table, rows, subject)]
    for key in table.foreign_keys:
        parent = key.column.table
        parent_rows = rows_of(parent)
        if parent_rows.on_erase is OnErase.DELETE and (parent_rows.account or parent_rows.organization):
            going = select(key.column).where(_doomed(parent, parent_rows, subject))
            reasons.append(key.parent.in_(going))
    return or_(*reasons)


def _count(erasure: Erasure, table_name: str, removed: int) -> None:
    counts = {name: dict(line) for name, line in erasure.progress["counts"].items()}
    counted = counts.setdefault(table_name, dict(NOTHING))  # a table that is younger than a long wait for a hold
    counted["removed"] += removed
    erasure.progress = {**erasure.progress, "counts": counts}


async def _let_go_of_address(subject: Subject) -> None:
    """End other people's changes to this address, before this account is held: whoever changes one holds their own."""
    for let_go in (moving.let_go, recovering.let_go):  # each takes accounts in their order, so it is alone in its turn
        async with transaction() as tx:
            await let_go(tx, (await tx.get_one(Account, subject.account_id)).email)


async def _finish(erasure_id: UUID, subject: Subject) -> None:
    """In one transaction: what arrived meanwhile, what stays, the account itself, the scan, the receipt."""
    async with transaction() as tx:
        await links.turn(tx, subject.account_id)  # before the erasure, as `_begin` does
        erasure = await tx.get_one(Erasure, erasure_id, with_for_update=True)
        if erasure.carried_out_at:
            return
        # The ingest holds these rows while it writes: what it had begun is committed now, what it begins finds none.
        owned = col(Organization.id).in_(subject.organization_ids)
        await tx.exec(select_model(Organization.id).where(owned).order_by(col(Organization.id)).with_for_update())
        receipt_handle, pseudonym = erasure.progress["receipt"], UUID(erasure.progress["pseudonym"])
        # Whoever writes about this person at this moment waits for us when they commit (migration 0019).
        account = await tx.get_one(Account, subject.account_id, with_for_update=True)
        address = account.email
        held = await holds.before_destroying(tx)
        if waiting := await held_rows(tx, subject, address, held):
            await _wait(tx, erasure, subject, held, waiting)
            return
        await requests.end_with_account(tx, subject.account_id, receipt_handle)
        trail.write(tx, "account:erased", account_id=None, receipt=receipt_handle)
        erasure.carried_out_at = now()
        await tx.flush()
        lines = await _kept_lines(tx, erasure, subject)
        await _strip_kept(tx, subject, pseudonym, held)
        await remains.forget_jobs(tx, subject)
        tx.expunge_all()  # rows go by table from here on, behind the session's back
        removed = await _delete_the_rest(tx, subject)
        await _forget_address(tx, address, proven=True)
        await remains.unname(tx, address)
        erasure = await tx.get_one(Erasure, erasure_id)
        for name, count in removed.items():
            _count(erasure, name, count)
        found = await remains.scan(tx, (*subject.names, address))
        if found:
            raise RuntimeError(f"The erasure is not complete: something is left in {', '.join(sorted(found))}.")
        await _hand_out_receipt(tx, erasure, lines, address)


async def erase_pieces(subject: Subject) -> None:
    """Erase what is there of somebody without their account: a table restored by hand, a copy that came late."""
    async with transaction() as tx:
        if (account := await tx.get(Account, subject.account_id)) is not None:
            subject = await subject_of(tx, account.id)
        if not await erase_found(tx, subject, account):
            return  # somebody named the table since; they go when the hold is released
    await remains.forget_in_valkey(subject)


async def erase_found(tx: Tx, subject: Subject, account: Account | None) -> bool:
    """Erase what the tables hold of somebody, in `tx`; False, and nothing, where a hold keeps a part of it."""
    address = account.email if account else ""
    held = await holds.before_destroying(tx)
    if await held_rows(tx, subject, address, held):
        return False
    await _strip_kept(tx, subject, uuid4(), held)
    await remains.forget_jobs(tx, subject)
    tx.expunge_all()  # as above
    await _delete_the_rest(tx, subject)
    if address:
        await _forget_address(tx, address, proven=bool(subject.email))
        await remains.unname(tx, address)
    found = await remains.scan(tx, subject.names)
    if found:
        raise RuntimeError(f"The erasure is not complete: something is left in {', '.join(sorted(found))}.")
    return True


async def held_rows(tx: Tx, subject: Subject, address: str, held: Holds) -> dict[str, int]:
    """Return, for each table, how many rows the erasure would delete or change, were they not held."""
    counts = {}
    for table, rows in inventory.personal_tables():
        if not held.on_table(table.name):
            continue
        touched = _touched(table, rows, subject, address)
        question = select(func.count()).select_from(table).where(touched, held.keep(table, rows))
        counts[table.name] = int((await tx.sql(question)).scalar_one())
    return {name: count for name, count in counts.items() if count}


def _touched(table: Table, rows: Rows, subject: Subject, address: str) -> ColumnElement[bool]:
    goes = rows.on_erase is OnErase.DELETE
    return or_(
        _doomed(table, rows, subject) if goes else theirs(table, rows, subject),
        *(table.c[mention] == subject.account_id for mention in rows.mentions),
        *(column == address for column in table.c if mark_of(column).category == EMAIL),
    )


async def _wait(tx: Tx, erasure: Erasure, subject: Subject, held: Holds, waiting: dict[str, int]) -> None:
    """Erase what no hold names, but for what the rest is found and finished by, and write down what waits.

    Beside the held rows there stay the account with its address, to send the receipt to, and its organization.
    """
    lines = await _kept_lines(tx, erasure, subject)
    stripped = {name for name, rows in _kept_tables() if name not in BY_ITSELF}
    await _strip_kept(tx, subject, UUID(erasure.progress["pseudonym"]), held, leaving=BY_ITSELF)
    for table, rows in inventory.personal_tables():
        if table.name in LAST:
            said = {column: _blank(column) for column in table.c if mark_of(column).category in SAID}
            mine = and_(theirs(table, rows, subject), ~held.keep(table, rows))
            await tx.sql(update(table).where(mine).values(said))
    kept = {line.table: _kept_line(line) for line in lines if line.table in stripped and line.table not in waiting}
    first = "held" not in erasure.progress
    erasure.progress = {**erasure.progress, "held": waiting, "kept": {**erasure.progress.get("kept", {}), **kept}}
    tx.add(erasure)
    if first:
        await requests.answer_as_far_as_allowed(tx, subject.account_id, erasure.progress["receipt"])
        trail.write(tx, "erasure:held", account_id=None, receipt=erasure.progress["receipt"], tables=len(waiting))
        await holds.tell_what_waits(tx, held, subject.account_id)


async def _kept_lines(tx: Tx, erasure: Erasure, subject: Subject) -> list[Line]:
    """Count what stays, with what was stripped already while the rest had to wait for a hold."""
    lines = [await line(tx, table, rows, subject) for table, rows in inventory.personal_tables()]
    before = {name: _line_of(said) for name, said in erasure.progress.get("kept", {}).items()}
    return [_together(line, before.get(line.table)) for line in lines]


def _together(line: Line, before: Line | None) -> Line:
    if before is None:
        return line
    ends = [one.until for one in (line, before) if one.until]
    return replace(line, stays=line.stays + before.stays, until=max(ends, default=None))


def _kept_line(line: Line) -> dict[str, Any]:
    return {**asdict(line), "until": line.until.isoformat() if line.until else None}


def _line_of(said: dict[str, Any]) -> Line:
    return Line(**{**said, "until": datetime.fromisoformat(said["until"]) if said["until"] else None})


def _kept_tables() -> list[tuple[str, Rows]]:
    return [(table.name, rows) for table, rows in inventory.personal_tables() if rows.on_erase is OnErase.KEEP]


async def _strip_kept(
    tx: Tx, subject: Subject, pseudonym: UUID, held: Holds = holds.NONE, leaving: tuple[str, ...] = ()
) -> None:
    """Take what is personal out of rows that stay, and the person out of other people's rows."""
    for table, rows in inventory.personal_tables():
        if table.name in leaving:
            continue
        if rows.on_erase is OnErase.KEEP:
            values = {
                column: _erased(column, mark, subject, pseudonym)
                for column in table.c
                if (mark := mark_of(column)).on_erase in (OnErase.CLEAR, OnErase.UNLINK) and mark.about is None
            }
            ended = {table.c[rows.since]: func.coalesce(table.c[rows.since], literal(now()))}
            if table.name == TRAIL:
                values[table.c.details] = table.c.details.op("-")(cast(literal(list(THINGS)), ARRAY(Text)))
            free = and_(theirs(table, rows, subject), ~held.keep(table, rows))
            await tx.sql(update(table).where(free).values({**values, **ended}))
        for mention in rows.mentions:
            await _strip_mention(tx, table, rows, mention, subject, pseudonym, held)


async def _strip_mention(  # noqa: PLR0913, PLR0917 (whom, where and what, to be left out as well)
    tx: Tx, table: Table, rows: Rows, mention: str, subject: Subject, pseudonym: UUID, held: Holds
) -> None:
    """Unlink a mention of the person in any row, with whatever the row says about the one mentioned."""
    said = {column: _blank(column) for column in table.c if mark_of(column).about == mention and column.name != mention}
    here = and_(table.c[mention] == subject.account_id, ~held.keep(table, rows))
    await tx.sql(update(table).where(here).values({**said, table.c[mention]: pseudonym}))


def _erased(column: Column[Any], mark: Mark, subject: Subject, pseudonym: UUID) -> ColumnElement[Any]:
    if mark.on_erase is OnErase.CLEAR:
        return _blank(column)
    if inventory.kind_of(column) is UUID:
        return case((column.in_(subject.ids), literal(pseudonym, column.type)), else_=column)
    own = column.table.primary_key.columns  # a text that names them: each row gets one of its own, for it may be unique
    return func.concat(str(pseudonym), *(part for key in own for part in (":", key)))


def _blank(column: Column[Any]) -> ColumnElement[Any]:
    if column.nullable:
        return null()
    return literal(inventory.kind_of(column)(), column.type)


async def _delete_the_rest(tx: Tx, subject: Subject) -> dict[str, int]:
    removed = {}
    for table, rows in reversed(inventory.personal_tables()):
        if rows.on_erase is OnErase.DELETE:
            done = await tx.sql(delete(table).where(_doomed(table, rows, subject)))
            removed[table.name] = done.rowcount
    return removed


async def _forget_address(tx: Tx, address: str, *, proven: bool) -> None:
    """Take the address out of other people's rows, which stay theirs; what is addressed to it goes.

    A row of somebody's (a change to this address that they asked for, or had once) must not vanish because another
    account had it. Where the address was never proven to belong to the one erased, it is left where others put it.
    """
    for table, rows in inventory.personal_tables():
        for column in table.c:
            if mark_of(column).category == EMAIL:
                here = column == address
                if rows.on_erase is OnErase.DELETE and rows.account and table.c[rows.account].nullable:
                    await tx.sql(delete(table).where(here))
                elif proven:
                    await tx.sql(update(table).where(here).values({column: _blank(column)}))


async def _hand_out_receipt(tx: Tx, erasure: Erasure, kept: list[Line], address: str) -> None:
    """Sign what was done, and mail it with the salt that only the person gets. The mail is deleted once it is sent.

    Who is erased again, because a backup had brought them back, has their receipt already.
    """
    if await receipts.issued(tx, erasure.progress["receipt"]):
        return
    salt = secrets.token_urlsafe(16)
    counts = erasure.progress["counts"]
    facts = {
        "subject": receipts.subject_hash(salt, address),
        "requested_at": erasure.requested_at.isoformat(),
        "carried_out_at": now().isoformat(),
        "tables": [_receipt_line(line, counts.get(line.table, NOTHING)) for line in kept],
        "elsewhere": {name: done["outcome"] for name, done in erasure.progress["elsewhere"].items()},
        "found_by_scan": 0,
    }
    receipt = await receipts.issue(tx, erasure.progress["receipt"], facts)
    tx.add(erasure)
    await mail.send(tx, address, _farewell(receipt.handle, salt))


def _receipt_line(line: Line, counts: dict[str, int]) -> dict[str, Any]:
    said = asdict(line)
    said["goes"] = counts["removed"]
    said["until"] = line.until.date().isoformat() if line.until else None
    return said


def _farewell(receipt_handle: str, salt: str) -> Message:
    return Message(
        "Your account has been erased",
        (
            (
                f"What you asked for is done. Receipt {receipt_handle} says, table by table, what was erased, what the "
                "law makes us keep without your name on it, and until when."
            ),
            (
                f"The receipt holds no personal data. Your salt is {salt}: the receipt's subject is the SHA-256 of the "
                "salt, a colon and your address, so that you, and nobody else, can show that it is yours."
            ),
            "We do not keep this message.",
        ),
        ("See and verify the receipt", f"{settings().public_url}/receipts/{receipt_handle}"),
    )


@jobs.job("privacy.carry-out-erasures", every="7 * * * *")
async def carry_out_due() -> None:
    """Have every erasure whose time has come carried out: the net under the job that each closing enqueued itself."""
    async with transaction() as tx:
        due = await tx.exec(
            select_model(Erasure.id).where(
                col(Erasure.carry_out_at) <= now(),
                col(Erasure.withdrawn_at).is_(None),
                col(Erasure.carried_out_at).is_(None),
            )
        )
        for erasure_id in due.all():
            await jobs.enqueue(tx, "privacy.carry-out", once=f"carry-out {erasure_id}", erasure_id=str(erasure_id))


async def stop(tx: Tx, account_id: UUID, *, at_once: bool) -> None:
    """End keys and sessions on every worker; when it is to be now, let nobody in again."""
    await links.turn(tx, account_id)  # the account first, as everywhere: a new password ends sessions, too
    subject = await subject_of(tx, account_id)
    for organization_id in subject.organization_ids:
        await keys.revoke_all(tx, organization_id, account_id=account_id, actor_id=account_id)
    await sessions.end_all(tx, account_id, actor_id=account_id)
    if at_once:
        account = await tx.get_one(Account, account_id)
        account.suspended_at, account.suspension_reason = account.suspended_at or now(), ERASING
        tx.add(account)
        await links.void(tx, account_id, *links.LASTING)
    await tx.flush()


async def line(tx: Tx, table: Table, rows: Rows, subject: Subject, held: Holds = holds.NONE) -> Line:
    """Count one table's rows of a person, and say what becomes of them; rows of a hold stay until it is released."""
    mine = theirs(table, rows, subject)
    count = (await tx.sql(select(func.count()).select_from(table).where(mine))).scalar_one()
    if rows.on_erase is OnErase.DELETE:
        kept = select(func.count()).select_from(table).where(mine, held.keep(table, rows))
        stays = int((await tx.sql(kept)).scalar_one()) if held.each else 0
        ground = f"Legal hold {held.on(subject.account_id).names(table.name)}, until it is released" if stays else None
        return Line(table.name, rows.title, count - stays, stays, ground, None)
    since = func.coalesce(table.c[rows.since], literal(now()))  # what has not ended ends with the account
    last = (await tx.sql(select(func.max(since)).where(mine))).scalar_one()
    return Line(table.name, rows.title, 0, count, rows.ground, rows.retention.end(last) if last else None)


def elsewhere(subject: Subject) -> tuple[str, ...]:
    """Return what is reached outside the tables, for the plan."""
    sentences = ["Waiting calls, counters and caches (Valkey)", "Mail and jobs that were still waiting"]
    if subject.customer_ids:
        sentences.append("Your customer record and saved cards at Stripe")
    if settings().supabase_url:
        sentences.append("Your sign-in at Supabase")
    return (*sentences, *map(str.capitalize, _also))
