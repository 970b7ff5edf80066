"""`run`: the whole product from one command. In development each part whose address is not given is started here.

What was started is written to `.local/run.json`, readable by us alone, so that other commands in a second terminal find
it; ASSISTERS_LOCAL_DIR names another place than `.local` for a second run of one checkout. However this process ends,
nothing it started outlives it (`base.processes`).
"""

import base64
import fcntl
import http.client
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import psycopg

from assisters_app import front_end
from assisters_app.base import local_servers, processes
from assisters_app.base.settings import ROOT, Settings, SettingsError, read_settings, settings

LOCAL = Path(os.environ.get("ASSISTERS_LOCAL_DIR") or ROOT / ".local").absolute()  # another for a second run
RECORD = LOCAL / "run.json"
RECORDED = (  # the settings that other commands need to see the same product
    "ASSISTERS_",
    "DATABASE_URL",
    "MAIL",
    "PORT",
    "PUBLIC_URL",
    "REDIS_URL",
    "SMTP_URL",
    "STRIPE_",
    "SUPABASE_",
    "UPSTREAM_",
)
PATIENCE = 60.0  # seconds a part may take to answer
ROOT_SECRET_BYTES = 32
WEBHOOK_PATH = "/webhooks/stripe"
# What stands for an address that is yet to be made, so that the settings that are given can be judged first.
TO_BE_MADE = {
    "DATABASE_URL": "postgresql://127.0.0.1/assisters",
    "REDIS_URL": "redis://127.0.0.1",
    "SMTP_URL": "smtp://127.0.0.1",
    "ASSISTERS_PEPPER": base64.b64encode(bytes(ROOT_SECRET_BYTES)).decode(),
}


class RunError(Exception):
    """The product did not start, or a part of it ended. The message is a sentence."""


@dataclass(slots=True)
class Run:
    """What runs: the environment of every part, the processes, what ends them, and a line about each for people."""

    env: dict[str, str]
    ends: ExitStack
    children: list[processes.Child] = field(default_factory=list)
    awaited: list[tuple[processes.Child, int]] = field(default_factory=list)  # what has yet to listen, and where
    lines: list[tuple[str, str]] = field(default_factory=list)

    @property
    def development(self) -> bool:
        """Whether stand-ins may serve."""
        return self.env["ASSISTERS_ENV"] == "development"

    def keep(self, child: processes.Child) -> processes.Child:
        """Count a child in: it is ended with the rest, and its death ends the rest."""
        self.ends.callback(child.end)
        self.children.append(child)
        if self.development:
            _record(self)
        return child

    def python(self, name: str, *arguments: str) -> processes.Child:
        """Start one of our modules in a process of its own."""
        return self.keep(processes.start(name, [sys.executable, "-m", *arguments], env=self.env, cwd=ROOT))


def run() -> int:
    """Run the product until it is asked to stop; return the exit code.

    Raises SettingsError, LocalServerError, BuildError or RunError, each a sentence, once all has ended again.
    """
    began = time.monotonic()
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _asked_to_stop)
    try:
        with ExitStack() as ends:
            _run(Run({"ASSISTERS_ENV": "development", **os.environ}, ends), began)
    except KeyboardInterrupt:
        print("\nStopped. Nothing is left running.")
    return 0


def _asked_to_stop(_number: int, _frame: FrameType | None) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)  # ending in order is under way; asking again would only leave it half done
    raise KeyboardInterrupt


def _run(run: Run, began: float) -> None:
    chosen = read_settings({**TO_BE_MADE, **run.env} if run.development else run.env)
    workers = _web_workers(run.env)
    if run.development:
        local_servers.make_private(LOCAL)
        run.ends.enter_context(_alone())
        _end_leftovers()
    _free_or_refuse(chosen.port, run.development)
    if run.development:
        _start_parts(run, chosen)
    if not _migrated(run.env["DATABASE_URL"]):
        migrate()
    if run.development:
        front_end.build()
    elif not front_end.BUILT.is_dir():
        raise RunError("The front end is not built. Run `python -m assisters_app build` when the image is made.")
    web = _start_web(run, chosen, workers)
    run.python("The worker", "assisters_app", "worker")
    _until_ready(web, chosen.port)
    for child, port in run.awaited:
        _until_listening(child, port)
    _tell(run, chosen, time.monotonic() - began)
    _watch(run.children)


@contextmanager
def parts_alone() -> Iterator[None]:
    """Run what the product rests on, and not the product, for a command that needs the database to itself.

    Raises RunError while the product runs on the data of this checkout.
    """
    with ExitStack() as ends:
        run = Run({"ASSISTERS_ENV": "development", **os.environ}, ends)
        chosen = read_settings({**TO_BE_MADE, **run.env})
        local_servers.make_private(LOCAL)
        ends.enter_context(_alone())
        _end_leftovers()
        _start_parts(run, chosen)
        for child, port in run.awaited:
            _until_listening(child, port)
        yield


def migrate() -> None:
    """Bring the database to the shape that this code expects; processes that start together wait for each other."""
    from alembic.config import Config

    from alembic import command
    from assisters_app import opening

    command.upgrade(Config(ROOT / "alembic.ini"), "head")
    opening.open_house()


def _migrated(url: str) -> bool:
    """Say whether the database is at the latest migration already, without the two seconds that alembic's import takes.

    A failed look says no: migrating then says what is wrong.
    """
    scripts = "".join(script.read_text() for script in (ROOT / "alembic" / "versions").glob("*.py"))
    revised = set(re.findall(r"^down_revision = ['\"](.+)['\"]$", scripts, re.MULTILINE))
    latest = set(re.findall(r"^revision = ['\"](.+)['\"]$", scripts, re.MULTILINE)) - revised
    try:
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT version_num FROM assisters.alembic_version").fetchall()
    except psycopg.Error:
        return False
    return {number for (number,) in found} == latest


# The parts of development


def _start_parts(run: Run, chosen: Settings) -> None:
    run.env.setdefault("ASSISTERS_PEPPER", _pepper())
    run.env.setdefault("ASSISTERS_DATA_DIR", str(LOCAL / "data"))
    _start_postgres(run)
    _start_valkey(run)
    _start_mailbox(run)
    _start_stripe(run, chosen.port)
    os.environ.update(run.env)
    settings.cache_clear()


def _record(run: Run) -> None:
    """Write down who runs what with which settings: for other commands, and for the next start if we cannot end it."""
    us = processes.Mark.of(os.getpid())
    known = {name: run.env[name] for name in sorted(run.env) if name.startswith(RECORDED)}
    children = [[child.mark.pid, child.mark.created] for child in run.children]
    record = {"pid": us.pid, "created": us.created, "children": children, "env": known}
    local_servers.write_private(RECORD, json.dumps(record))


def _end_leftovers() -> None:
    """End what a run left behind that was killed together with its watcher."""
    if RECORD.exists():
        for pid, created in reversed(json.loads(RECORD.read_text())["children"]):
            processes.end_stranger(processes.Mark(pid, created), signal.SIGINT)


def running_development() -> dict[str, str]:
    """Return the settings of the development run that is alive in this checkout, or nothing."""
    try:
        record = json.loads(RECORD.read_text())
    except (FileNotFoundError, PermissionError):
        return {}
    alive = processes.Mark(record["pid"], record["created"]).alive()
    env: dict[str, str] = record["env"] if alive else {}
    return env


@contextmanager
def _alone() -> Iterator[None]:
    """Hold this checkout's data for the length of the block; the system lets go of it when we die."""
    try:
        held = (LOCAL / "run.lock").open("w")
    except PermissionError:
        raise RunError(f"{LOCAL} belongs to somebody else. Start as its owner, or remove it.") from None
    with held as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"It runs already, on the data in {_shown(LOCAL)}. Stop that run first (Ctrl-C in its terminal)."
            ) from None
        yield


def _pepper() -> str:
    """Return this checkout's root secret, made at first use."""
    path = LOCAL / "pepper"
    if not path.exists():
        local_servers.write_private(path, base64.b64encode(secrets.token_bytes(ROOT_SECRET_BYTES)).decode())
    return path.read_text()


def _start_postgres(run: Run) -> None:
    if "DATABASE_URL" in run.env:
        run.lines.append(("PostgreSQL", f"{_place(run.env['DATABASE_URL'])} (DATABASE_URL)"))
        return
    server = local_servers.start_postgres(LOCAL / "postgres", durable=True)
    run.keep(server.process)
    run.env["DATABASE_URL"] = server.url
    run.lines.append(("PostgreSQL", f"127.0.0.1:{server.port}, data in {_shown(LOCAL / 'postgres')}"))


def _start_valkey(run: Run) -> None:
    if "REDIS_URL" in run.env:
        run.lines.append(("Redis", f"{_place(run.env['REDIS_URL'])} (REDIS_URL)"))
        return
    server = local_servers.start_valkey(LOCAL / "valkey", durable=True)
    run.keep(server.process)
    run.env["REDIS_URL"] = server.url
    run.lines.append(("Valkey", f"127.0.0.1:{server.port}, data in {_shown(LOCAL / 'valkey')}"))


def _start_mailbox(run: Run) -> None:
    if "SMTP_URL" in run.env:
        run.lines.append(("Mail", f"sent through {_place(run.env['SMTP_URL'])} (SMTP_URL)"))
        return
    smtp, page = processes.free_port(), processes.free_port()
    box = run.python("The mailbox", "assisters_app.doubles.mailbox", f"--smtp-port={smtp}", f"--page-port={page}")
    run.awaited.append((box, page))
    run.env |= {"SMTP_URL": f"smtp://127.0.0.1:{smtp}", "MAILBOX_URL": f"http://127.0.0.1:{page}"}
    run.lines.append(("Mail", f"{run.env['MAILBOX_URL']} (caught here, sent nowhere)"))


def _start_stripe(run: Run, port: int) -> None:
    if any(name.startswith("STRIPE_") for name in run.env):
        run.lines.append(("Payments", f"{_place(run.env.get('STRIPE_API_BASE', 'https://api.stripe.com'))} (STRIPE_…)"))
        return
    own = processes.free_port()
    run.env |= {
        "STRIPE_API_KEY": "sk_test_" + secrets.token_hex(12),
        "STRIPE_WEBHOOK_SECRET": "whsec_" + secrets.token_hex(24),
        "STRIPE_API_BASE": f"http://127.0.0.1:{own}",
    }
    double = run.python(
        "The stand-in for Stripe",
        "assisters_app.doubles.stripe",
        f"--port={own}",
        f"--webhook-url=http://127.0.0.1:{port}{WEBHOOK_PATH}",
        "--webhook-secret-env=STRIPE_WEBHOOK_SECRET",
        f"--data={LOCAL / 'stripe.json'}",
    )
    run.awaited.append((double, own))
    run.lines.append(("Payments", f"{run.env['STRIPE_API_BASE']} (a stand-in for Stripe: no money moves)"))


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _place(url: str) -> str:
    """Return host and port of an address, which may hold a password that is not to be shown."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


# The product itself


def _web_workers(env: Mapping[str, str]) -> int:
    text = env.get("WEB_WORKERS", "1")
    if not text.isdigit() or not int(text):
        raise SettingsError(f"WEB_WORKERS is {text!r}; it is the number of web processes, 1 or more.")
    return int(text)


def _host(*, development: bool) -> str:
    return "127.0.0.1" if development else "0.0.0.0"  # noqa: S104 (in production a proxy stands in front)


def _free_or_refuse(port: int, development: bool) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_host(development=development), port))
        except OSError as problem:
            raise RunError(f"Port {port} cannot be used ({problem.strerror}). Set PORT to another.") from None


def _start_web(run: Run, chosen: Settings, workers: int) -> processes.Child:
    return run.python(
        "The web server",
        "granian",
        "--interface=asgi",
        "--factory",
        f"--workers={workers}",
        f"--host={_host(development=run.development)}",
        f"--port={chosen.port}",
        "--loop=uvloop",
        "--respawn-failed-workers",
        "--workers-kill-timeout=5",
        "--log-level=warning",
        "assisters_app.asgi:create",
    )


def _until_listening(child: processes.Child, port: int) -> None:
    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    _until(child, listening)


def _until_ready(web: processes.Child, port: int) -> None:
    def ready() -> bool:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            asked.request("GET", "/readyz")
            return asked.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            asked.close()

    _until(web, ready)


def _until(child: processes.Child, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers():
        if not child.running():
            raise RunError(f"{child.name} ended while it was starting. It says why above.")
        if time.monotonic() > deadline:
            raise RunError(f"{child.name} did not answer within {PATIENCE:.0f} seconds.")
        time.sleep(0.05)


def _watch(children: list[processes.Child]) -> None:
    """Return never: raise RunError when a child dies, KeyboardInterrupt when we are asked to stop."""
    while True:
        for child in children:
            if not child.running():
                raise RunError(f"{child.name} ended (exit code {child.popen.returncode}), so everything was stopped.")
        time.sleep(0.2)


def _tell(run: Run, chosen: Settings, seconds: float) -> None:
    lines = [("Product", chosen.public_url), ("API", f"{chosen.public_url}/v1"), *run.lines]
    places = [_place(one.base_url) for one in chosen.upstreams.values()]
    models = ", ".join(places) or "the sandbox (no UPSTREAM_BASE_URL)"
    lines.append(("Models", models))
    print(f"\nAssisters runs ({chosen.environment}), ready after {seconds:.1f} s.\n")
    for name, where in lines:
        print(f"  {name:<11} {where}")
    python = os.path.relpath(sys.executable)
    print("\nThe first member of staff, in another terminal:")
    print(f"  {python} -m assisters_app create-account you@example.com --staff admin")
    print("\nCtrl-C ends it all.", flush=True)
