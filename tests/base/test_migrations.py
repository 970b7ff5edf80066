"""The database comes from nothing to its present shape and back; tables and migrations say the same."""

import databases
import psycopg
import pytest
from alembic.config import Config

from alembic import command
from assisters_app.base import settings
from assisters_app.run import ROOT


@pytest.fixture
def empty(servers, monkeypatch):
    """Point the settings at a database in which there is nothing at all."""
    address = databases.create(servers.postgres, "migrations")
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setenv("REDIS_URL", servers.valkey)
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:9")
    monkeypatch.setenv("ASSISTERS_ENV", "development")
    monkeypatch.setenv("ASSISTERS_PEPPER", "YSBwZXBwZXIgZm9yIHRlc3RzLCAzMiBieXRlcyBsb25n")
    settings.settings.cache_clear()
    yield address
    settings.settings.cache_clear()
    databases.drop(servers.postgres, "migrations")


def left(address):
    with psycopg.connect(address) as connection:
        rows = connection.execute(
            """SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
               WHERE nspname = 'assisters' AND relname NOT LIKE 'alembic_version%'
               UNION SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
               WHERE nspname = 'assisters'"""
        )
        return {name for (name,) in rows}


def test_from_empty_to_head_and_back(empty):
    config = Config(ROOT / "alembic.ini")
    command.upgrade(config, "head")
    command.check(config)
    assert {"account", "ledger_entry", "procrastinate_jobs"} <= left(empty)
    command.downgrade(config, "base")
    assert left(empty) == set()
    command.upgrade(config, "head")
    command.check(config)


def test_nobody_but_the_owner_can_read_a_table(empty):
    command.upgrade(Config(ROOT / "alembic.ini"), "head")
    with psycopg.connect(empty) as connection:
        open_to_all = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = 'assisters' AND relkind IN ('r', 'p') AND NOT relrowsecurity"
        ).fetchall()
        granted = connection.execute(
            "SELECT grantee, table_name FROM information_schema.role_table_grants "
            "WHERE table_schema = 'assisters' AND grantee <> current_user"
        ).fetchall()
        (usable,) = connection.execute("SELECT has_schema_privilege('public', 'assisters', 'USAGE')").fetchone()
    assert [name for (name,) in open_to_all if name != "alembic_version"] == []
    assert granted == []
    assert not usable
