"""Databases that tests make and take away again on the run's PostgreSQL, and the connections to them."""

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from assisters_app.base import db, jobs, valkey

TEMPLATE = "assisters_template"


def address_of(server: str, name: str) -> str:
    """Return the address of another database on the same server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def create(server: str, name: str, template: str | None = None) -> str:
    """Make a database, empty or a copy of `template`, and return its address."""
    copy = sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template)) if template else sql.SQL("")
    _administer(server, sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(name), copy))
    return address_of(server, name)


def drop(server: str, name: str) -> None:
    """Take a database away, and end our own sessions in it.

    Not `WITH (FORCE)`: that demands the right to end every session there, and we may not end autovacuum's.
    A plain drop sends that one away by itself.
    """
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {} AND usename = current_user"
    _administer(server, sql.SQL(ours).format(sql.Literal(name)))
    _administer(server, sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


async def let_go() -> None:
    """End what this process holds of PostgreSQL and Valkey, as stopping the product does."""
    await db.dispose()
    await valkey.close()
    jobs.app.cache_clear()


def _administer(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)
