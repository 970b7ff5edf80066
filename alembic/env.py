"""Brings the database to the tables' shape, one process at a time."""

from typing import Any

from alembic.operations import ops
from sqlalchemy import Connection, create_engine, text

from alembic import context
from assisters_app.base.db import SCHEMA, connect_args, driver_url, prepare
from assisters_app.base.settings import settings
from assisters_app.tables import metadata

NOT_OURS = ("usage_event_", "usage_receipt_", "procrastinate_", "alembic_version")
ONE_AT_A_TIME = 7_236_001  # any number, the same in every process


def ours(thing: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:  # noqa: ANN401
    """Leave partitions (made by the day) and the job queue's own tables out of comparisons."""
    table_name = name if kind == "table" else thing.table.name
    return not (reflected and (table_name or "").startswith(NOT_OURS))


def without_marks(_context: Any, _revision: Any, directives: list[Any]) -> None:  # noqa: ANN401
    """Write no marks into migrations: they are read from the tables, never from the database."""
    for operation in directives[0].upgrade_ops.ops + directives[0].downgrade_ops.ops:
        if isinstance(operation, ops.CreateTableOp):
            operation.info.clear()
            operation.kw.pop("info", None)


def migrate(connection: Connection) -> None:
    """Run what is asked for inside one transaction, under a lock that other starting processes wait for."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=ours,
        process_revision_directives=without_marks,
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
    prepare(engine)
    with engine.connect() as connection:
        migrate(connection)
        connection.commit()
    engine.dispose()
