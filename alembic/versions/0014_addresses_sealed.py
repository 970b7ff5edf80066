"""E-mail addresses are sealed in the database; audits, attestations and flights of the canary have registers."""

from collections.abc import Callable

import sqlalchemy as sa
import sqlmodel
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from assisters_app.base import sealed_text

revision = "0014"
down_revision = "0018"
branch_labels = None
depends_on = None

COLUMNS = (
    ("account", "email"),
    ("address_change", "new_email"),
    ("correction", "before"),
    ("correction", "after"),
    ("mail_token", "new_email"),
    ("outgoing_mail", "to_email"),
    ("privacy_request", "email"),
)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.alter_column(table, column, type_=sa.Text(), existing_type=sa.String(254))
        rewrite(table, column, sealed_text.seal_as_it_is if table == "correction" else sealed_text.seal)
    op.create_table(
        "assurance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("done_on", sa.Date(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("says", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("evidence", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assurance")),
    )
    op.create_index(op.f("ix_assurance_kind"), "assurance", ["kind"])
    op.create_table(
        "canary_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("begun_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("says", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("steps", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canary_run")),
    )
    op.create_index(op.f("ix_canary_run_begun_at"), "canary_run", ["begun_at"])
    for table in ("assurance", "canary_run"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("canary_run")
    op.drop_table("assurance")
    for table, column in COLUMNS:
        rewrite(table, column, sealed_text.unseal)
        op.alter_column(table, column, type_=sa.String(254), existing_type=sa.Text())


def rewrite(table: str, column: str, become: Callable[[str], str]) -> None:
    """Replace each address by what it becomes."""
    connection, held = op.get_bind(), sa.table(table, sa.column(column))
    for (address,) in connection.execute(sa.select(held.c[column]).where(held.c[column] != "").distinct()).all():
        connection.execute(sa.update(held).where(held.c[column] == address).values({column: become(address)}))
