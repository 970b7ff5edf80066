"""A receipt for every request, what each day's come to, and the keys that they verify with."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_receipt",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("begins", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("signature", sqlmodel.sql.sqltypes.AutoString(length=88), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "begins", "number", name=op.f("pk_usage_receipt")),
        postgresql_partition_by="RANGE (begins)",
    )
    op.create_index("ix_usage_receipt_request_id", "usage_receipt", ["request_id"], unique=False)
    op.create_table(
        "receipt_day",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("begins", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("signature", sqlmodel.sql.sqltypes.AutoString(length=88), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "begins", name=op.f("pk_receipt_day")),
    )
    op.create_table(
        "receipt_key",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("public_key", sqlmodel.sql.sqltypes.AutoString(length=44), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_key")),
    )
    for table in ("usage_receipt", "receipt_day", "receipt_key"):  # as 0002 locked the others
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("receipt_key")
    op.drop_table("receipt_day")
    op.drop_table("usage_receipt")
