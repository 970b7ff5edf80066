"""Brings the database to the tables' shape, one process at a time."""

from typing import Any

from sqlalchemy import Connection, create_engine, text

from alembic import context
from assisters_app.base.db import SCHEMA, connect_args, driver_url
from assisters_app.base.settings import settings
from assisters_app.tables import metadata

ONE_AT_A_TIME = 7_236_001  # any number, the same in every process


def ours(thing: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:  # noqa: ANN401, FBT001
    """Leave partitions (made by the day) and the job queue's own tables out of comparisons."""
    if kind == "table":
        return not (reflected and (name or "").startswith(("usage_event_", "procrastinate_")))
    table = getattr(thing, "table", None)
    return table is None or not table.name.startswith(("usage_event_", "procrastinate_"))


def migrate(connection: Connection) -> None:
    """Run what is asked for inside one transaction, under a lock that other starting processes wait for."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=ours,
        compare_type=True,
        compare_server_default=True,
        version_table_schema=SCHEMA,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ONE_AT_A_TIME})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    engine = create_engine(driver_url(settings().database_url), connect_args=connect_args())
    with engine.connect() as connection:
        migrate(connection)
        connection.commit()
    engine.dispose()
