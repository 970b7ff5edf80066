"""What proves what we say of an account's data (policy 1.1, 1.2, 1.4) and of copies (6.1, 6.4, 11.1, 11.2)."""

import re

from pydantic import TypeAdapter
from sqlalchemy import Select, Table, func, text
from sqlmodel import col, select

from assisters_app import tables
from assisters_app.accounts import passwords, signing_up
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base.db import SCHEMA, Tx
from assisters_app.base.ids import new_id
from assisters_app.base.marks import Rows, mark_of
from assisters_app.privacy import inventory
from assisters_app.privacy.belonging import Subject
from assisters_app.privacy.policies import policy
from assisters_app.privacy.promises import Broken, check
from assisters_app.privacy.rights import access, export, forms, writing

OTHERS = (
    "procrastinate_",
    "alembic_version",
)  # the queue's own tables, whose arguments are ids, and versions
COST = re.compile(r"^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$")
NOBODY = Subject(new_id(), "nobody@example.invalid", (new_id(),), (), ())

THERE = text(
    """
    SELECT c.relname, a.attname FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = :schema
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    """
)


@check("1.1", says="What the database holds about people is what section 1 lists: no column more, no line less.")
async def nothing_else_is_collected(tx: Tx) -> str:
    """Compare the database's own catalogue with the marks, and the marks with section 1."""
    there = (await tx.sql(THERE, {"schema": SCHEMA})).all()
    found = {(row.relname, row.attname) for row in there if not row.relname.startswith(OTHERS)}
    known = {(column.table.name, column.name): mark for column, mark in inventory.marked_columns()}
    if unmarked := sorted(found - known.keys()):
        raise Broken(f"The database holds {', '.join('.'.join(one) for one in unmarked)}, which nothing describes.")
    if wrong := tuple(policy.section_1()):
        raise Broken(" ".join(wrong))
    elsewhere = [
        ".".join(name)
        for name, mark in known.items()
        if mark.category == "user.contact.email" and mark.collected_as != "1.1"
    ]
    if elsewhere:
        raise Broken(f"E-mail addresses are collected under another line: {', '.join(elsewhere)}.")
    about_people = sum(1 for mark in known.values() if mark.category)
    return (
        f"{len(found)} columns, of which {about_people} say something about a person, each under a line of section 1."
    )


@check("1.2", says="Each password is kept as an Argon2id hash of at least the cost we state; no copy holds it.")
async def passwords_are_hashed(tx: Tx) -> str:
    """Read the parameters of every stored hash."""
    kept = func.split_part(Account.password_hash, "$", 2) + "$" + func.split_part(Account.password_hash, "$", 3)
    cost = "$" + kept + "$" + func.split_part(Account.password_hash, "$", 4) + "$"
    stored = select(cost, func.count()).where(col(Account.password_hash).is_not(None)).group_by(cost)
    least, total = passwords.hasher, 0
    for one, count in (await tx.exec(stored)).all():
        told = COST.match(one)
        if told is None:
            raise Broken(f"{count} passwords are not kept as Argon2id hashes.")
        memory, passes, lanes = map(int, told.groups())
        if memory < least.memory_cost or passes < least.time_cost or lanes < least.parallelism:
            raise Broken(f"{count} passwords are hashed at a lower cost than {_stated()}.")
        total += count
    leaving = [
        f"{c.table.name}.{c.name}" for c, m in inventory.marked_columns() if _is_password(m.category) and m.export
    ]
    if leaving:
        raise Broken(f"Hashes of passwords would leave with a copy: {', '.join(leaving)}.")
    return f"{total} passwords are kept, each as an Argon2id hash of at least {_stated()}."


def _stated() -> str:
    least = passwords.hasher
    return f"{least.memory_cost // 1024} MiB, {least.time_cost} passes and {least.parallelism} lanes"


def _is_password(category: str | None) -> bool:
    return (category or "").startswith("user.authorization")


@check("1.4", says="An account needs no details of an organization: whoever gives none has none.")
async def organization_details_are_optional(tx: Tx) -> str:
    """Look at what an account must have: an address, and nothing that names a person or an organization."""
    needed = [
        f"account.{column.name}"
        for column in tables.metadata.tables["account"].c
        if mark_of(column).collected_as == "1.4"
        and not column.nullable
        and Account.model_fields[column.name].is_required()
    ]
    if needed:
        raise Broken(f"An account cannot be opened without {', '.join(needed)}.")
    all_of_them = (await tx.exec(select(func.count()).select_from(Organization))).one()
    unnamed = (await tx.exec(select(func.count()).where(col(Organization.name) == signing_up.OWN))).one()
    return f"{unnamed} of {all_of_them} accounts have given no name of an organization."


@check("6.1", "11.1", says="A copy of everything can be read at once, with all that GDPR Art. 15 wants said.")
async def copies_can_be_read(tx: Tx) -> str:
    """Ask the database what a copy asks it, for a person who does not exist."""
    asked = await _asked_for_nobody(tx)
    said = access.context()
    empty = [name for name in ("purposes", "categories", "periods", "recipients", "rights") if not getattr(said, name)]
    if empty:
        raise Broken(f"A copy would not say its {', '.join(empty)}.")
    return f"A copy reads {asked} tables, and says all that GDPR Art. 15 lists."


@check("6.4", "11.2", says="An export of everything can be made at once, signed, and described by schemas that fit.")
async def exports_can_be_made(tx: Tx) -> str:
    """Do what an export does, for a person who does not exist."""
    files = [await _written_for_nobody(tx, table, rows) for table, rows in inventory.personal_tables() if rows.export]
    manifest = forms.as_json({"format": export.FORMAT})
    export.check_signature(manifest, forms.as_json(export.signed(manifest)))
    for table, rows in inventory.personal_tables():
        if rows.export:
            TypeAdapter(dict[str, object]).validate_json(forms.as_json(forms.schema_of(table)))
    return f"An export reads {len(files)} tables into {sum(files)} files, and its signature verifies."


async def _written_for_nobody(tx: Tx, table: Table, rows: Rows) -> int:
    """Have every form of a table written for a person who does not exist; return how many forms there are."""
    question = export.question(table, rows, NOBODY)
    for form in forms.Form:
        if [lines async for lines, _ in writing.written(tx, table, question, form)]:
            raise Broken(f"{table.name}.{form} would hold rows that are nobody's.")
    return len(forms.Form)


async def _asked_for_nobody(tx: Tx) -> int:
    """Ask every table what a copy asks it; the database refuses what it does not have. Return how many there are."""
    questions: list[Select[tuple[object, ...]]] = [
        export.question(table, rows, NOBODY) for table, rows in inventory.personal_tables() if rows.export
    ]
    for question in questions:
        await tx.sql(question.limit(0))
    return len(questions)
