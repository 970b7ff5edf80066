"""Security incidents, and what each account is told of one."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0013"
down_revision = "0014"
branch_labels = None
depends_on = None

TIME = sqlmodel.sql.sqltypes.UTCDateTime


def text(name: str, length: int | None = None) -> sa.Column[str]:
    """Return a column of text that is never NULL."""
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("handle", 32),
        text("title", 200),
        text("what", 2_000),
        text("categories"),
        text("consequences", 2_000),
        text("measures", 2_000),
        text("risk", 8),
        sa.Column("aware_at", TIME(), nullable=False),
        sa.Column("tell_by", TIME(), nullable=False),
        sa.Column("told_at", TIME(), nullable=True),
        text("why", 500),
        sa.Column("reminded_at", TIME(), nullable=True),
        sa.Column("closed_at", TIME(), nullable=True),
        sa.Column("created_at", TIME(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        sa.UniqueConstraint("handle", name=op.f("uq_incident_handle")),
    )
    op.create_table(
        "incident_notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("incident", 32),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        text("text", 4_000),
        sa.Column("released", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", TIME(), nullable=False),
        sa.Column("sent_at", TIME(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_notice")),
    )
    op.create_index("ix_incident_notice_account_id", "incident_notice", ["account_id"])
    op.create_index("ix_incident_notice_incident", "incident_notice", ["incident"])
    for table in ("incident", "incident_notice"):
        op.execute(f"ALTER TABLE assisters.{table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("incident_notice")
    op.drop_table("incident")
