"""Looks for words everywhere that this installation keeps anything, trusting no mark and no list of ours.

    everywhere(words, …) -> tuple[Trace, …]      where any of them still stands
    in_backup(file, words) -> dict               the tables of a backup that show a word, for each that is found

The database: every table of every schema that we may read, from its own catalogue, each row as text. Valkey: every key
and value. Files: all below ASSISTERS_DATA_DIR, and what ASSISTERS_SEARCHED names (logs). A backup is opened and
read as SQL, line by line in memory. A word is looked for as it is, in hexadecimal (bytes of the database) and sealed
(addresses).
"""

import asyncio
import os
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from sqlalchemy import text

from assisters_app.base import sealed_text
from assisters_app.base.db import Tx, snapshot
from assisters_app.base.settings import settings
from assisters_app.privacy.erasing import backups

AT_ONCE = 500  # keys of Valkey in one round trip
CHUNK = 2**20  # bytes of a file in memory
COPIED = re.compile(rb"COPY (\S+) \(.*\) FROM stdin;\n")  # in a backup's SQL: from here on, each line is a row
END_OF_ROWS = b"\\.\n"
OUTLINE = "outside of every table"

TABLES = text(
    """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY 1
    """  # noqa: E501 (one question)
)
READERS: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda store, key: store.get(key),
    "hash": lambda store, key: store.hgetall(key),
    "list": lambda store, key: store.lrange(key, 0, -1),
    "set": lambda store, key: store.smembers(key),
    "zset": lambda store, key: store.zrange(key, 0, -1, withscores=True),
    "stream": lambda store, key: store.xrange(key),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """One place where a word stands: the store, and what the place is called there. Never the word itself."""

    store: str
    place: str


async def everywhere(words: Sequence[str]) -> tuple[Trace, ...]:
    """Return every place where one of `words` stands; each is a text that nothing else holds, and is not shown."""
    async with snapshot() as tx:
        found = [Trace("database", table) for table in await in_database(tx, words)]
    found += [Trace("Valkey", f"a {kind}") async for kind in _in_valkey(_bytes_of(words))]
    return (*found, *await asyncio.to_thread(lambda: tuple(_in_files(_bytes_of(words)))))


async def in_database(tx: Tx, words: Sequence[str]) -> list[str]:
    """Return the tables of which a row shows one of `words`."""
    patterns = [f"%{_escaped(form)}%" for word in words for form in forms(word)]
    found = []
    for (table,) in (await tx.sql(TABLES)).all():
        question = text(f"SELECT EXISTS (SELECT FROM {table} t WHERE lower(t::text) LIKE ANY(:patterns))")  # noqa: S608 (quoted by the database)
        if (await tx.sql(question, {"patterns": patterns})).scalar_one():
            found.append(str(table))
    return found


def in_backup(file: Path, words: Sequence[str]) -> dict[str, set[str]]:
    """Return each of `words` that a backup shows, and the tables in which. Raises Refused when it does not open."""
    sought = {form.encode(): word for word in words for form in forms(word)}
    found: dict[str, set[str]] = defaultdict(set)
    table = OUTLINE
    for line in backups.as_sql(file):
        if table == OUTLINE and (copied := COPIED.match(line)):
            table = copied[1].decode()
        elif line == END_OF_ROWS:
            table = OUTLINE
        small = line.lower()
        for form, word in sought.items():
            if form in small:
                found[word].add(table)
    return dict(found)


def forms(word: str) -> tuple[str, ...]:
    """Return how a word may look in the text of a row."""
    small = word.lower()
    return (small, small.encode().hex(), *((sealed_text.seal(word),) if "@" in word else ()))


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _bytes_of(words: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(form.encode() for word in words for form in forms(word))


async def _in_valkey(words: tuple[bytes, ...]) -> AsyncIterator[str]:
    """Yield the kind of each key that shows a word. What pages keep is no text, so everything is read as bytes."""
    async with redis.Redis.from_url(settings().redis_url) as store:
        async for key in store.scan_iter(count=AT_ONCE):
            kind = (await store.type(key)).decode()
            content = await READERS[kind](store, key) if kind in READERS else b""
            if any(_shows(part.lower(), words) for part in (key, *_parts(content))):
                yield kind


def _parts(content: Any) -> Iterator[bytes]:  # noqa: ANN401 (whatever a reader returns)
    """Yield every piece of bytes in the answer of a reader."""
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, dict):
        yield from _parts([*content.keys(), *content.values()])
    elif isinstance(content, list | tuple | set):
        for inner in content:
            yield from _parts(inner)


def _in_files(words: tuple[bytes, ...]) -> Iterator[Trace]:
    for top in (settings().data_dir, *settings().searched):
        for path in _files(top):
            if _file_shows(path, words):
                yield Trace("files", str(path.relative_to(top)))


def _files(top: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
    for folder, _, names in os.walk(top):
        yield from (path for name in names if (path := Path(folder, name)).is_file() and not path.is_symlink())


def _file_shows(path: Path, words: tuple[bytes, ...]) -> bool:
    """Read a file piece by piece, each piece with the end of the one before it."""
    longest = max(map(len, words))
    try:
        with path.open("rb") as file:
            before = b""
            while piece := file.read(CHUNK):
                if _shows((before + piece).lower(), words):
                    return True
                before = piece[-longest:]
    except FileNotFoundError:
        return False  # it went while we were looking
    return False


def _shows(content: bytes, words: tuple[bytes, ...]) -> bool:
    return any(word in content for word in words)
