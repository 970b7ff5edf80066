"""What is left of a person outside the marked tables: waiting calls, Valkey, jobs; and a scan that trusts no mark.

    take_in_waiting_calls(subject) -> str    ends what is open, and writes down what waits in the stream
    forget_in_valkey(subject) -> str         deletes every key and stream record that names them
    forget_jobs(tx, subject) -> int          deletes jobs whose arguments name them
    unname(tx, address)                      takes an address out of what staff has written
    scan(tx, texts) -> dict[table, rows]     every table of the schema, from the database's own catalogue

The first two are steps of a purge: they return what they did, for the receipt.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlmodel import col, select

from assisters_app.base import sealed_text
from assisters_app.base.db import SCHEMA, Tx, transaction
from assisters_app.base.valkey import valkey
from assisters_app.gateway import ingest, reaper
from assisters_app.gateway.scripts import RECORDS, Keys, open_name
from assisters_app.keys.tables import ApiKey
from assisters_app.privacy.belonging import EMAIL, Subject
from assisters_app.privacy.inventory import marked_columns

AT_ONCE = 500  # keys or records in one round trip
FREE = ("user.content", "user.name", "user.workplace", "user.device", "user.behavior", "user.location")
PATIENCE = 60.0  # seconds to wait for records that another worker has taken
BY_STAFF = {  # words of ours in which an address may stand, though none should: nobody's erasure waits for that
    "privacy_request": ("outcome", "extension_reason"),
    "legal_hold": ("ground", "secrecy", "release_reason"),
    "disclosed_account": ("not_told_why",),
    "incident": ("why",),
    "incident_notice": ("text",),
}
UNNAMED = "(erased)"
UNNAME_REASONS = text(
    f"""
    UPDATE {SCHEMA}.trail_entry
    SET details = jsonb_set(
      details, '{{reason}}', to_jsonb(regexp_replace(details->>'reason', :pattern, :unnamed, 'gi')))
    WHERE details->>'reason' ~* :pattern
    """  # noqa: S608 (a name of ours)
)

COLUMNS = text(
    """
    SELECT c.relname AS table_name, array_agg(a.attname::text ORDER BY a.attnum) AS column_names
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = :schema
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND (t.typcategory IN ('S', 'A') OR t.typname IN ('uuid', 'json', 'jsonb', 'bytea', 'inet', 'citext'))
    GROUP BY c.relname ORDER BY c.relname
    """
)


async def take_in_waiting_calls(subject: Subject) -> str:
    """End the person's open calls and ingest their records, so that the books are complete before they are closed.

    Raises TimeoutError when another worker holds on to a record; the purge is tried again then.
    """
    ended = 0
    for organization_id in subject.organization_ids:
        held = valkey().hscan_iter(Keys.of(organization_id).holds)
        for request_id in [name async for name, _ in held]:
            ended += await reaper.end(open_name(organization_id, UUID(request_id)))
    async with asyncio.timeout(PATIENCE):
        while await _wait_in_stream(subject):
            if not await ingest.run_once():
                await asyncio.sleep(0.2)  # another worker has taken them
    return f"{ended} open calls ended; none left to write down"


async def forget_in_valkey(subject: Subject) -> str:
    """Delete every key whose name holds one of the person's identifiers, and their records in streams."""
    names = (*subject.names, *await _key_names(subject))
    keys, records = 0, 0
    async for batch in _all_keys():
        own = [key for key in batch if _names_any(key, names)]
        if own:
            keys += await valkey().unlink(*own)
        for key in batch:
            if key not in own and await valkey().type(key) == "stream":
                records += await _forget_in_stream(key, names)
    return f"{keys} keys and {records} waiting records deleted"


async def forget_jobs(tx: Tx, subject: Subject) -> int:
    """Delete jobs that name the person, but for the one that is running this; return how many."""
    done = await tx.sql(
        text(
            "WITH gone AS (DELETE FROM procrastinate_jobs WHERE status <> 'doing' "
            "AND lower(args::text) ~ ANY(:patterns) RETURNING id) SELECT count(*) FROM gone"
        ),
        {"patterns": _patterns(subject.names)},
    )
    return int(done.scalar_one())


async def unname(tx: Tx, address: str) -> None:
    """Put `(erased)` wherever staff has written the address into a register that stays."""
    found = {"pattern": _patterns([address])[0], "unnamed": UNNAMED}
    for table, names in BY_STAFF.items():
        for name in names:
            unnamed = f"regexp_replace({name}, :pattern, :unnamed, 'gi')"
            update = f"UPDATE {SCHEMA}.{table} SET {name} = {unnamed} WHERE {name} ~* :pattern"  # noqa: S608 (as above)
            await tx.sql(text(update), found)
    await tx.sql(UNNAME_REASONS, found)


async def scan(tx: Tx, texts: Iterable[str]) -> dict[str, int]:
    """Return, for each table of the schema that still holds one of `texts`, how many rows do.

    Left out are the columns in which others may write what they like: nobody can stop somebody's erasure by calling a
    key of their own by that person's address. A column of addresses is compared whole: `x/ada@…` is another person.
    """
    texts, found, theirs = [one.lower() for one in texts], {}, _written_by_others()
    looked_for = {"patterns": _patterns(texts), "texts": texts + [sealed_text.seal(one) for one in texts if one]}
    for table in (await tx.sql(COLUMNS, {"schema": SCHEMA})).all():
        searched = [name for name in table.column_names if (table.table_name, name) not in theirs]
        if not searched:
            continue
        search = _search(table.table_name, searched)
        count = (await tx.sql(search, looked_for)).scalar_one()
        if count:
            found[table.table_name] = int(count)
    return found


def _search(table_name: str, column_names: Sequence[str]) -> TextClause:
    """Return the question over one table; both names come from the catalogue and are quoted."""
    whole = {c.name for c, mark in marked_columns() if (c.table.name, mark.category) == (table_name, EMAIL)}
    anywhere = " OR ".join(
        f"lower({_as_text(name)}) {'= ANY(:texts)' if name in whole else '~ ANY(:patterns)'}" for name in column_names
    )
    return text(f"SELECT count(*) FROM {SCHEMA}.{_quoted(table_name)} WHERE {anywhere}")  # noqa: S608 (see above)


def _as_text(column_name: str) -> str:
    return f"{_quoted(column_name)}::text"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _patterns(texts: Iterable[str]) -> list[str]:
    """Return PostgreSQL patterns that find each text as a word of its own: `ada@…` is not found in `prada@…`."""
    return sorted({rf"(?<![a-z0-9._%+-]){re.escape(one.lower())}(?![a-z0-9-]|\.[a-z0-9])" for one in texts})


def _written_by_others() -> set[tuple[str, str]]:
    return {(c.table.name, c.name) for c, mark in marked_columns() if (mark.category or "").startswith(FREE)}


async def _key_names(subject: Subject) -> list[str]:
    """Return what the person's API keys are called in Valkey."""
    async with transaction() as tx:
        found = await tx.exec(
            select(ApiKey.id, ApiKey.public_id, ApiKey.handle).where(
                col(ApiKey.organization_id).in_(subject.organization_ids)
            )
        )
        return [str(name) for row in found for name in row]


async def _all_keys() -> AsyncIterator[list[str]]:
    cursor = 0
    while True:
        cursor, batch = await valkey().scan(cursor, count=AT_ONCE)
        yield batch
        if cursor == 0:
            return


async def _wait_in_stream(subject: Subject) -> bool:
    async for _ in _own_records(RECORDS, tuple(map(str, subject.organization_ids))):
        return True
    return False


async def _forget_in_stream(key: str, names: Sequence[str]) -> int:
    return sum([await valkey().xdel(key, *own) async for own in _own_records(key, names)])


async def _own_records(stream: str, names: Sequence[str]) -> AsyncIterator[list[str]]:
    first = "-"
    while records := await valkey().xrange(stream, min=first, count=AT_ONCE):
        own = [record for record, fields in records if _names_any(str(fields), names)]
        if own:
            yield own
        first = f"({records[-1][0]}"


def _names_any(text_: str, names: Sequence[str]) -> bool:
    return any(name in text_ for name in names)
