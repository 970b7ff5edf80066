"""`doctor`: looks at every dependency, the migrations and the invariants, and says of each how it is."""

import asyncio
import functools
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis.exceptions import ResponseError
from sqlalchemy import Connection, text

from assisters_app import front_end, tables
from assisters_app.base import clock, db, marks, redaction
from assisters_app.base.settings import ROOT, settings
from assisters_app.base.valkey import valkey
from assisters_app.billing import invariants as money
from assisters_app.billing import receipts as requests
from assisters_app.gateway import invariants as calls
from assisters_app.privacy.erasing import backups, ledger, receipts, reopening, stamp
from assisters_app.privacy.registers import audits
from assisters_app.usage.events import Invariant

PATIENCE = 10  # seconds for one dependency to answer
BACKED_UP = timedelta(days=1)  # a night whose backup is missing is noticed the day after

Check = Callable[[], Awaitable[str]]
Invariants = Callable[[db.Tx], Awaitable[list[Invariant]]]


class IllError(Exception):
    """Something is not as it should be. The message is a sentence."""


async def examine() -> int:
    """Print one line for each check and each invariant; return 1 when one is ill, else 0."""
    settings()
    healthy = [await _line(name, check) for name, check in CHECKS]
    healthy += [await _line("Books", functools.partial(_books, books)) for books in INVARIANTS]
    return 0 if all(healthy) else 1


async def _line(name: str, check: Check) -> bool:
    began = time.monotonic()
    try:
        finding, well = await check(), True
    except Exception as problem:  # noqa: BLE001 (whatever keeps a check from passing is the finding)
        kind = "" if isinstance(problem, IllError) else f"{type(problem).__name__}: "
        first_line = next(iter(str(problem).splitlines()), "")  # the others may quote what was asked
        finding, well = redaction.redact(kind + first_line), False
    took = (time.monotonic() - began) * 1000
    print(f"{'ok ' if well else 'ILL'} {name:<11} {finding} ({took:.0f} ms)")
    return well


async def _marks() -> str:
    marks.check()
    return f"{len(tables.metadata.tables)} tables, every column marked"


async def _postgres() -> str:
    async with db.engine().connect() as connection:
        version = (await connection.execute(text("SHOW server_version"))).scalar_one()
        failed = (
            await connection.execute(text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'"))
        ).scalar_one()
    return f"PostgreSQL {version} answers; {failed} jobs have failed for good"


async def _migrations() -> str:
    wanted = set(ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_heads())
    async with db.engine().connect() as connection:
        found = await connection.run_sync(_heads)
    if found != wanted:
        raise IllError(f"The database is at {sorted(found)}, this version at {sorted(wanted)}. Run migrate.")
    return f"at {', '.join(sorted(found))}, the latest"


def _heads(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection, opts={"version_table_schema": db.SCHEMA}).get_current_heads())


async def _valkey() -> str:
    facts = await valkey().info("server")
    try:
        policy = (await valkey().config_get("maxmemory-policy"))["maxmemory-policy"]
    except ResponseError:
        policy = "unknown"  # a hosted one keeps its configuration to itself
    if policy not in ("noeviction", "unknown"):
        raise IllError(f"It may throw away records of paid calls: maxmemory-policy is {policy}, not noeviction.")
    return f"version {facts.get('valkey_version') or facts['redis_version']} answers; eviction: {policy}"


async def _mail() -> str:
    url = urlsplit(settings().smtp_url)
    server = aiosmtplib.SMTP(
        hostname=url.hostname,
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=url.scheme == "smtps",
        timeout=PATIENCE,
    )
    async with server:
        await server.noop()
    return f"{url.hostname} takes mail"


async def _stripe() -> str:
    key, base = settings().stripe_api_key, settings().stripe_api_base or "https://api.stripe.com"
    if key is None:
        return "not configured: top-ups are switched off"
    await _ask(f"{base}/v1/products?limit=1", {"Authorization": f"Bearer {key}"})
    return f"{urlsplit(base).netloc} answers"


async def _identity() -> str:
    url, key = settings().supabase_url, settings().supabase_publishable_key
    if url is None or key is None:
        return "passwords are in our own database"
    await _ask(f"{url}/auth/v1/health", {"apikey": key})
    return f"Supabase Auth at {urlsplit(url).netloc} answers"


async def _models() -> str:
    places = settings().upstreams.values()
    if not places:
        return "no upstream: the sandbox answers"
    for place in places:
        await _ask(f"{place.base_url}/models", {"Authorization": f"Bearer {place.api_key}"} if place.api_key else {})
    names = [urlsplit(place.base_url).netloc for place in places]
    return f"{', '.join(names)} {'answers' if len(names) == 1 else 'answer'}"


async def _ask(url: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        answer = await client.get(url, headers=headers)
    if answer.is_error:
        raise IllError(f"{urlsplit(url).netloc} answered {answer.status_code}.")


async def _errors() -> str:
    return "sent to Sentry" if settings().sentry_dsn else "not sent anywhere (no SENTRY_DSN)"


async def _disk() -> str:
    directory = settings().data_dir
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"written")
    return f"{directory} can be written"


async def _backups() -> str:
    kept = await asyncio.to_thread(backups.kept)
    async with db.transaction() as tx:
        since = kept[0].made_at.date() if kept else await audits.opened_on(tx)
    late = not settings().development and clock.now().date() - since > BACKED_UP
    if not kept:
        if late:
            raise IllError(f"There is no backup in {settings().data_dir}, though nights have passed.")
        return "none yet"
    age = f"{(clock.now() - kept[0].made_at) / timedelta(hours=1):.0f} h old"
    if late:
        raise IllError(f"The newest is {age}. A timer should make one each night.")
    return f"the newest of {len(kept)} is {age}"


async def _erasures() -> str:
    async with db.transaction() as tx:
        entries = await stamp.known(tx)
        if not await stamp.is_open(tx):
            raise IllError("The database was restored, and the worker has not held it against the erasure ledger yet.")
        if back := await reopening.back(tx):
            raise IllError(f"{back} accounts or organizations are there again that were erased.")
    return f"{len(entries)} lines of the erasure ledger hang together; nobody erased is back ({ledger.path()})"


async def _pages() -> str:
    if not (front_end.BUILT / "index.html").is_file():
        raise IllError("The front end is not built. Run build.")
    return "the front end is built"


async def _books(books: Invariants) -> str:
    async with db.transaction() as tx:
        found = await books(tx)
    broken = [f"{one.name}: {one.sentence}" for one in found if not one.holds]
    if broken:
        raise IllError("; ".join(broken))
    return "; ".join(one.name for one in found)


async def _receipts(tx: db.Tx) -> list[Invariant]:
    try:
        sentence, holds = f"{receipts.verify_chain(await receipts.chain(tx))} receipts", True
    except receipts.NotGenuine as problem:
        sentence, holds = str(problem), False
    return [Invariant("Every erasure receipt follows the one before it", holds, sentence)]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("Marks", _marks),
    ("Database", _postgres),
    ("Migrations", _migrations),
    ("Valkey", _valkey),
    ("Mail", _mail),
    ("Payments", _stripe),
    ("Identity", _identity),
    ("Models", _models),
    ("Errors", _errors),
    ("Disk", _disk),
    ("Backups", _backups),
    ("Erasures", _erasures),
    ("Front end", _pages),
)
INVARIANTS: tuple[Invariants, ...] = (calls.check, money.check, requests.check, _receipts)
