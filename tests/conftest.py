"""Real PostgreSQL and Valkey for every test: one pair a run, a database of its own for each test."""

import asyncio
import base64
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import databases
import egress
import hypothesis
import pytest
import redis
from cast import ADA, BOB, GRACE
from customers import customer
from payments import KEY, SECRET

from assisters_app import run
from assisters_app.accounts.identity import supabase_auth
from assisters_app.accounts.sessions import Person
from assisters_app.base import db, jobs, local_servers, processes, settings
from assisters_app.doubles.stripe import serving as stripe_double
from assisters_app.doubles.supabase_auth import SupabaseAuth, served

# The same examples each time, however slow the machine is; `--hypothesis-profile=default` goes looking for others.
hypothesis.settings.load_profile("ci")

PEPPER = base64.b64encode(b"a pepper for tests, 32 bytes long").decode()

RECORD = "ASSISTERS_TESTS_EGRESS"  # names the file in which every connection of this run stands


def pytest_configure(config: pytest.Config) -> None:
    """Have every connection that this run opens recorded, where the system can (`egress`)."""
    if egress.can_record() and RECORD not in os.environ:
        os.environ[RECORD] = str(Path(tempfile.mkdtemp(prefix="egress-")) / "contacts")
        config.add_cleanup(lambda: processes.remove(Path(os.environ.pop(RECORD)).parent))
        egress.split(Path(os.environ[RECORD]))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when anything in it spoke to another machine."""
    if RECORD in os.environ and not hasattr(session.config, "workerinput") and egress.strangers(_recorded()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the record shows."""
    if RECORD not in os.environ:
        terminalreporter.write_line("Connections are not recorded on this system.", yellow=True)
        return
    strangers = egress.strangers(_recorded())
    for contact in strangers:
        terminalreporter.write_line(f"Left this machine: {contact}", red=True)
    if not strangers:
        terminalreporter.write_line("Nothing in this run spoke to another machine.")


def _recorded() -> list[egress.Contact]:
    return egress.read(Path(os.environ[RECORD]))


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of this run: addresses, and where PostgreSQL keeps its files."""

    postgres: str
    valkey: str
    files: Path


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start PostgreSQL and Valkey once, and migrate the template that every test's database is a copy of."""
    home = tmp_path_factory.mktemp("servers")
    postgres = local_servers.start_postgres(home / "postgres", durable=False)
    cache = local_servers.start_valkey(home / "valkey", durable=False)
    try:
        _make_template(postgres.url)
        yield Servers(postgres.url, cache.url, home / "postgres")
    finally:
        cache.stop()
        postgres.stop()


def _make_template(postgres: str) -> None:
    template = databases.create(postgres, databases.TEMPLATE)
    with pytest.MonkeyPatch.context() as patch:
        _use(patch, {"DATABASE_URL": template, "REDIS_URL": "redis://127.0.0.1:1"})
        run.migrate()
    settings.settings.cache_clear()


def _use(patch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    patch.setenv("ASSISTERS_ENV", "development")
    patch.setenv("ASSISTERS_PEPPER", PEPPER)
    patch.setenv("SMTP_URL", env.get("SMTP_URL", "smtp://127.0.0.1:9"))
    for name, value in env.items():
        patch.setenv(name, value)
    settings.settings.cache_clear()


_count = 0


@pytest.fixture
async def house(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Servers]:
    """Point the product at a fresh database and an empty Valkey; everything is closed again afterwards.

    Further settings are set with `monkeypatch.setenv(...)` and `settings.settings.cache_clear()`.
    """
    global _count  # noqa: PLW0603 (a name no other test of this run uses)
    _count += 1
    name = f"test_{os.getpid()}_{_count}"
    address = databases.create(servers.postgres, name, databases.TEMPLATE)
    with redis.Redis.from_url(servers.valkey) as cache:
        cache.flushall()
    _use(
        monkeypatch,
        {"DATABASE_URL": address, "REDIS_URL": servers.valkey, "ASSISTERS_DATA_DIR": str(tmp_path / "data")},
    )
    jobs.app.cache_clear()
    try:
        yield Servers(address, servers.valkey, servers.files)
    finally:
        await databases.let_go()
        settings.settings.cache_clear()
        await asyncio.to_thread(databases.drop, servers.postgres, name)


@pytest.fixture
async def tx(house: Servers) -> AsyncIterator[db.Tx]:
    """Open one transaction on the test's own database; it commits when the test ends without an error."""
    async with db.transaction() as tx:
        yield tx


@pytest.fixture
async def ada(house: Servers) -> Person:
    """Ada, a moment after having proven who she is; where people are made with more, a folder has its own."""
    return await customer(ADA)


@pytest.fixture
async def bob(house: Servers) -> Person:
    """Bob, as Ada."""
    return await customer(BOB)


@pytest.fixture
async def grace(house: Servers) -> Person:
    """Grace from staff, as Ada."""
    return await customer(GRACE)


@pytest.fixture
def mail_waits(house: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep mail in the house: the worker finds nothing to deliver."""

    async def keep(_mail_id: str) -> None:
        return None

    monkeypatch.setitem(jobs._jobs, "mail.deliver", jobs.Job("mail.deliver", keep, 1, None))
    jobs.app.cache_clear()


@pytest.fixture(scope="session")
def standing() -> Iterator[stripe_double.Served]:
    """Serve a stand-in for Stripe, once a run."""
    with stripe_double.served(None, SECRET) as double:
        yield double


@pytest.fixture
def payments_on(
    house: Servers, standing: stripe_double.Served, monkeypatch: pytest.MonkeyPatch
) -> stripe_double.Served:
    """Point the product at the stand-in for Stripe, emptied."""
    standing.control(reset=True)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("STRIPE_API_BASE", standing.url)
    settings.settings.cache_clear()
    return standing


@pytest.fixture
def supabase(house: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[SupabaseAuth]:
    """Have passwords kept by a stand-in for Supabase."""
    with served() as service:
        monkeypatch.setenv("SUPABASE_URL", service.url)
        monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", service.publishable_key)
        monkeypatch.setenv("SUPABASE_SECRET_KEY", service.secret_key)
        monkeypatch.setattr(supabase_auth, "SOONEST", 0)
        settings.settings.cache_clear()
        yield service
