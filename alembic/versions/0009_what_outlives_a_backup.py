"""What an erasure leaves to be done elsewhere, the keys that its receipt verifies with, and which ledger is known."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0009"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasure_key",
        sa.Column("public_key", sqlmodel.sql.sqltypes.AutoString(length=44), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("public_key", name=op.f("pk_erasure_key")),
    )
    op.create_table(
        "erasure_errand",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("receipt", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("processor", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("promised_for", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("finished_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_errand")),
    )
    op.create_index("ix_erasure_errand_receipt", "erasure_errand", ["receipt"], unique=False)
    op.create_index("ix_erasure_errand_due_at", "erasure_errand", ["due_at"], unique=False)
    op.create_table(
        "house_stamp",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ledger", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("fingerprint", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_house_stamp")),
    )
    for table in ("erasure_key", "erasure_errand", "house_stamp"):  # as 0002 locked the others
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    # Receipts that exist were signed with the key of the present pepper; opening the house says which that is.
    op.add_column(
        "erasure_receipt",
        sa.Column("public_key", sqlmodel.sql.sqltypes.AutoString(length=44), nullable=False, server_default=""),
    )
    op.alter_column("erasure_receipt", "public_key", server_default=None)


def downgrade() -> None:
    op.drop_column("erasure_receipt", "public_key")
    op.drop_table("house_stamp")
    op.drop_table("erasure_errand")
    op.drop_table("erasure_key")
