"""Another mailbox for who has lost theirs: asked for by one admin, approved by another, waited for."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mailbox_recovery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("handle", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("new_email", sa.Text(), nullable=False),
        sa.Column("proofs", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("confirmed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("approved_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_mailbox_recovery_account_id_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox_recovery")),
        sa.UniqueConstraint("handle", name=op.f("uq_mailbox_recovery_handle")),
    )
    op.create_index("ix_mailbox_recovery_account_id", "mailbox_recovery", ["account_id"])
    op.create_index(
        "uq_mailbox_recovery_open",
        "mailbox_recovery",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.execute("ALTER TABLE mailbox_recovery ENABLE ROW LEVEL SECURITY")  # as 0002 locked the others


def downgrade() -> None:
    op.drop_table("mailbox_recovery")
