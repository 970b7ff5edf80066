"""Content of requests, where a key keeps it, and how its keys ended; alarms of the sweeps; totals without people."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0012"
down_revision = "0017"
branch_labels = None
depends_on = None

TIME = sqlmodel.sql.sqltypes.UTCDateTime
COUNTS = ("requests", "errors", "input_tokens", "output_tokens", "units")


def text(name: str, length: int | None = None) -> sa.Column[str]:
    """Return a column of text."""
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "request_content",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME(), nullable=False),
        sa.Column("bucket", TIME(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_request_content")),
    )
    op.create_index("ix_request_content_organization_id", "request_content", ["organization_id"])
    op.create_index("ix_request_content_bucket", "request_content", ["bucket"])
    op.create_table(
        "content_bucket",
        sa.Column("begins", TIME(), nullable=False),
        text("public_key", 44),
        sa.Column("created_at", TIME(), nullable=False),
        sa.PrimaryKeyConstraint("begins", name=op.f("pk_content_bucket")),
    )
    op.create_table(
        "content_key_end",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("destroyed_at", TIME(), nullable=False),
        text("facts"),
        text("signature", 88),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_content_key_end")),
    )
    op.create_table(
        "overdue_alarm",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("table_name", 64),
        text("rule", 32),
        sa.Column("oldest_at", TIME(), nullable=False),
        sa.Column("raised_at", TIME(), nullable=False),
        sa.Column("ended_at", TIME(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overdue_alarm")),
    )
    open_one = sa.text("ended_at IS NULL")
    op.create_index("uq_overdue_alarm_open", "overdue_alarm", ["table_name"], unique=True, postgresql_where=open_one)
    op.create_table(
        "usage_total",
        sa.Column("month", TIME(), nullable=False),
        text("model", 64),
        sa.Column("organizations", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS],
        sa.PrimaryKeyConstraint("month", "model", name=op.f("pk_usage_total")),
    )
    for table in ("request_content", "content_bucket", "content_key_end", "overdue_alarm", "usage_total"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")  # as 0002 locked the others
    op.add_column("api_key", sa.Column("content_kept_since", TIME(), nullable=True))


def downgrade() -> None:
    op.drop_column("api_key", "content_kept_since")
    for table in ("usage_total", "overdue_alarm", "content_key_end", "content_bucket", "request_content"):
        op.drop_table(table)
