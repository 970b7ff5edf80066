"""Backups of the database: sealed at once, kept for 30 days, and restored only to a house that is shut.

    back_up() -> Backup              one sealed file in `<data_dir>/backups`
    restore(file)                    replaces the database; nobody is let in before `reopening.reopen()`
    for_a_moment()                   one to be looked into, destroyed at the end of the block
    as_sql(file) -> Iterator[bytes]  the lines of what it holds
    sweep() -> int                   destroys those that are older than 30 days
    kept() -> tuple[Backup, ...]     the newest first

PostgreSQL's own pg_dump and pg_restore do the work (`base.local_servers` names where they are); what they say to each
other goes through pipes, so that nothing of it lies on a disk unsealed. The keys of request content and the erasure
ledger are files outside the database: no backup holds them, and none can bring them back.
"""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from assisters_app.base import jobs, local_servers, sealed
from assisters_app.base.clock import now
from assisters_app.base.db import SCHEMA
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings

KEPT = timedelta(days=30)  # not stated in the policy: what we say of backups ("Backups" of the inventory page)
LATE = timedelta(hours=2)  # how much longer one may lie before the promise counts as broken: it is swept each hour
PURPOSE = "backup"
SUFFIX = ".backup"
STAMP = "%Y%m%dT%H%M%SZ"
READ = 1 << 18  # bytes read from a pipe at a time
BEFORE = f"{SCHEMA}_before"  # where the present data wait until the restored are whole

OTHERS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND usename = current_user AND backend_type = 'client backend'"""


@dataclass(frozen=True, slots=True)
class Backup:
    """One sealed file, and when its database was read."""

    file: Path
    made_at: datetime
    size: int  # bytes


def back_up() -> Backup:
    """Write the database as it is at this moment to a sealed file of its own, whole or not at all."""
    directory, at = _directory(), now()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = directory / f"assisters-{at.astimezone(UTC):{STAMP}}-{os.urandom(3).hex()}{SUFFIX}"
    half = target.with_suffix(".half")
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            dump = ("--format=custom", f"--schema={SCHEMA}", "--no-owner", "--no-privileges")
            with _program("pg_dump", *dump, stdout=subprocess.PIPE) as running:
                sealed.seal(_read(running.stdout), file, PURPOSE, {"made_at": at.isoformat()})
            file.flush()
            os.fsync(file.fileno())
        half.rename(target)
    finally:
        half.unlink(missing_ok=True)
    sweep()
    return _backup(target)


@contextmanager
def for_a_moment() -> Iterator[Backup]:
    """Make a backup like any other, to be looked into; it is destroyed at the end of the block."""
    made = back_up()
    try:
        yield made
    finally:
        made.file.unlink(missing_ok=True)


def as_sql(file: Path) -> Iterator[bytes]:
    """Yield the lines of what a backup holds, as pg_restore writes them: through pipes, so that none lies on a disk.

    Raises Refused when the backup does not open.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    # The program is left first, and ended where nobody reads on: only then can whoever feeds it be waited for.
    with ThreadPoolExecutor(1) as pool, _program("pg_restore", "--file=-", **pipes) as running:
        feeding = pool.submit(_write, running.stdin, _plain(file))
        assert running.stdout is not None
        yield from running.stdout
        feeding.result()


def restore(file: Path) -> None:
    """Replace the database by what the backup holds, in one step: whatever goes wrong, the present data are back.

    Raises Refused while anybody is connected, when the backup is older than 30 days, and when it does not open.
    """
    made_at = _made_at(file)
    if now() - made_at > KEPT + LATE:
        raise Refused("This backup is older than 30 days, which is how long we keep them: destroy it.", code="old")
    for _ in _plain(file):  # to its last piece, before anything is touched
        pass
    with psycopg.connect(settings().database_url, autocommit=True) as connection:
        row = connection.execute(OTHERS).fetchone()
        if row and row[0]:
            raise Refused("The product runs on this database. Stop it first.", code="in_use", status=409)
        _put_aside(connection)
        try:
            _load(file)
        except BaseException:
            _bring_back(connection)
            raise
        connection.execute(f"DROP SCHEMA IF EXISTS {BEFORE} CASCADE")


def _put_aside(connection: psycopg.Connection) -> None:
    """Rename the present schema. What is restored comes in one transaction: where it is not, nothing of it is."""
    _bring_back(connection)
    connection.execute(f"DROP SCHEMA IF EXISTS {BEFORE} CASCADE")
    if _there(connection, SCHEMA):
        connection.execute(f"ALTER SCHEMA {SCHEMA} RENAME TO {BEFORE}")


def _bring_back(connection: psycopg.Connection) -> None:
    if _there(connection, BEFORE) and not _there(connection, SCHEMA):
        connection.execute(f"ALTER SCHEMA {BEFORE} RENAME TO {SCHEMA}")


def _there(connection: psycopg.Connection, schema: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is not None


def kept() -> tuple[Backup, ...]:
    """Return the backups that there are, the newest first."""
    files = _directory().glob(f"*{SUFFIX}") if _directory().is_dir() else ()
    return tuple(sorted((_backup(file) for file in files), key=lambda one: one.made_at, reverse=True))


def sweep() -> int:
    """Destroy every backup older than 30 days, and what an interrupted one left; return how many backups went."""
    old = [backup for backup in kept() if now() - backup.made_at > KEPT]
    for backup in old:
        backup.file.unlink(missing_ok=True)
    for half in _directory().glob("*.half"):
        if now().timestamp() - half.stat().st_mtime > timedelta(days=1).total_seconds():
            half.unlink(missing_ok=True)
    return len(old)


@jobs.job("privacy.sweep-backups", every="22 * * * *")
async def sweep_by_the_clock() -> None:
    """Destroy the backups that are too old."""
    sweep()


def _directory() -> Path:
    return settings().data_dir / "backups"


def _backup(file: Path) -> Backup:
    """Return what is known of a file here; one that does not say when it was made is as old as the file."""
    try:
        made_at = _made_at(file)
    except Refused:
        made_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return Backup(file, made_at, file.stat().st_size)


def _made_at(file: Path) -> datetime:
    """Return when a backup was made, as it says itself: a copied file has another age."""
    try:
        with file.open("rb") as source:
            return datetime.fromisoformat(sealed.facts_of(source)["made_at"])
    except OSError as problem:
        raise Refused(f"{file} cannot be read: {problem.strerror}.", code="no_backup") from None
    except (sealed.SealBroken, KeyError, ValueError):
        raise Refused(f"{file} is not a backup of ours.", code="no_backup") from None


def _plain(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        try:
            yield from sealed.opened(source, PURPOSE)
        except sealed.SealBroken as problem:
            raise Refused(f"{file} does not open. {problem}", code="broken_backup") from None


def _load(file: Path) -> None:
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    name = conninfo_to_dict(settings().database_url)["dbname"]
    with _program("pg_restore", *options, f"--dbname={name}", stdin=subprocess.PIPE) as running:
        _write(running.stdin, _plain(file))


def _read(pipe: IO[bytes] | None) -> Iterator[bytes]:
    assert pipe is not None
    while part := pipe.read(READ):
        yield part


def _write(pipe: IO[bytes] | None, parts: Iterable[bytes]) -> None:
    assert pipe is not None
    with contextlib.suppress(BrokenPipeError):  # it ended early, and says why
        try:
            for part in parts:
                pipe.write(part)
        finally:
            pipe.close()  # whatever happened: it would wait for more


@contextmanager
def _program(name: str, *options: str, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 (Popen's own)
    """Run one of PostgreSQL's programs on our database for the length of the block.

    Raises Refused when it fails, LocalServerError when it is not there.
    """
    program = local_servers.postgres_programs() / name
    if not program.is_file():
        raise local_servers.LocalServerError(f"There is no {name} in {program.parent}.")
    argv = [str(program), *options]
    running = subprocess.Popen(argv, env=_environment(), stderr=subprocess.PIPE, **pipes)  # noqa: S603 (ours)
    said: list[bytes] = []
    assert running.stderr is not None
    listening = threading.Thread(target=lambda: said.extend(running.stderr or ()), daemon=True)
    listening.start()
    try:
        yield running
        if running.stdin:
            with contextlib.suppress(BrokenPipeError):
                running.stdin.close()
        running.wait()
    except BaseException:
        running.kill()
        running.wait()
        raise
    finally:
        listening.join()
        for pipe in (running.stdin, running.stdout, running.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
    if running.returncode:
        first = next(iter(b"".join(said).decode(errors="replace").splitlines()), "it did not say why")
        raise Refused(f"{name} failed: {first}", code="backup_failed", status=500)


def _environment() -> dict[str, str]:
    """Return how a program of PostgreSQL finds our database: never on its command line, which others can read."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    given = conninfo_to_dict(settings().database_url)
    return {**local_servers.ENVIRONMENT, **{names[key]: str(value) for key, value in given.items() if key in names}}
