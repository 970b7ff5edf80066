"""Our own side of the benchmark: real servers that flush every write, and customers whom no plan's limit holds back.

What is switched on is what runs in production: every request passes the key check, all limits, the wallet's hold, and
leaves its durable record before its last byte. The customers' limits are high, never off: the script counts them.
"""

import asyncio
import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlmodel import select

from assisters_app import run
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.signing_up import open_account
from assisters_app.accounts.tables import Membership, Organization
from assisters_app.base import db, local_servers
from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.base.settings import settings
from assisters_app.billing import wallet
from assisters_app.keys import keys

CUSTOMERS = 8
BALANCE = "1000000"  # dollars; the holds are for what a call can cost at most
PLAN = "made by hand"  # no plan of the price list: its limits are counted, and are never reached


@contextmanager
def open_house(place: Path, upstream: str) -> Iterator[tuple[local_servers.LocalServer, local_servers.LocalServer]]:
    """Start PostgreSQL and Valkey, both durable, and set the environment so that the product uses them."""
    postgres = local_servers.start_postgres(place / "postgres", durable=True)
    cache = local_servers.start_valkey(place / "valkey", durable=True)
    os.environ.update(
        ASSISTERS_ENV="development",
        ASSISTERS_PEPPER=base64.b64encode(secrets.token_bytes(32)).decode(),
        ASSISTERS_DATA_DIR=str(place / "data"),
        DATABASE_URL=postgres.url,
        REDIS_URL=cache.url,
        SMTP_URL="smtp://127.0.0.1:9",
        UPSTREAM_BASE_URL=upstream,
        UPSTREAM_API_KEY="sk-bench",
    )
    settings.cache_clear()
    try:
        run.migrate()
        yield postgres, cache
    finally:
        cache.stop()
        postgres.stop()


def customers() -> list[str]:
    """Open accounts with money in their wallets; return one key of each."""
    return asyncio.run(_customers())


async def _customers() -> list[str]:
    try:
        return [await _customer(f"customer-{number}@example.com") for number in range(CUSTOMERS)]
    finally:
        await db.dispose()


async def _customer(email: str) -> str:
    async with db.transaction() as tx:
        account = await open_account(tx, email)
        assert account is not None
        account.verified_at = now()
        membership = (await tx.exec(select(Membership).where(Membership.account_id == account.id))).one()
        organization = await tx.get_one(Organization, membership.organization_id)
        organization.plan = PLAN
        person = Person(
            account_id=account.id,
            session_id=new_id(),
            email=email,
            name="",
            role="member",
            organization_id=organization.id,
            organization_name=organization.name,
            verified=True,
            reauthenticated_at=now(),
            time_zone="UTC",
        )
        await wallet.give(tx, organization.id, from_dollars(BALANCE), f"bench:{email}")
        return (await keys.issue(tx, person, keys.NewKey(name="Bench"))).secret.reveal()
