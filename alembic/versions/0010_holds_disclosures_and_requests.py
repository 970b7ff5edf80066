"""Legal holds, demands of authorities and whom they name; what the register of requests knows beside its dates."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sqlmodel.sql.sqltypes.UTCDateTime
REQUEST_TIMES = ("acknowledged_at", "extended_at", "identity_asked_at", "identity_answered_at")
REQUEST_TEXTS = {"extension_reason": 500, "words": 2000}


def text(name: str, length: int | None = None) -> sa.Column[str]:
    """Return a column of text that is never NULL."""
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("handle", 32),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        text("table_names"),
        text("ground", 500),
        sa.Column("review_by", TIME(), nullable=False),
        text("secrecy", 500),
        sa.Column("secret_until", TIME(), nullable=True),
        sa.Column("told_at", TIME(), nullable=True),
        sa.Column("created_at", TIME(), nullable=False),
        sa.Column("released_at", TIME(), nullable=True),
        text("release_reason", 500),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
        sa.UniqueConstraint("handle", name=op.f("uq_legal_hold_handle")),
    )
    op.create_index("ix_legal_hold_account_id", "legal_hold", ["account_id"])
    op.create_table(
        "disclosure",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("handle", 32),
        text("authority", 200),
        text("kind", 16),
        sa.Column("received_at", TIME(), nullable=False),
        text("scope", 500),
        sa.Column("accounts", sa.Integer(), nullable=False),
        text("outcome", 16),
        text("answer", 500),
        sa.Column("answered_at", TIME(), nullable=True),
        sa.Column("created_at", TIME(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disclosure")),
        sa.UniqueConstraint("handle", name=op.f("uq_disclosure_handle")),
    )
    op.create_index("ix_disclosure_received_at", "disclosure", ["received_at"])
    op.create_table(
        "disclosed_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("disclosure", 32),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        text("authority", 200),
        text("asked", 500),
        text("disclosed", 500),
        sa.Column("told_at", TIME(), nullable=True),
        text("not_told_why", 500),
        sa.Column("secret_until", TIME(), nullable=True),
        sa.Column("created_at", TIME(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disclosed_account")),
    )
    op.create_index("ix_disclosed_account_account_id", "disclosed_account", ["account_id"])
    op.create_index("ix_disclosed_account_disclosure", "disclosed_account", ["disclosure"])
    for table in ("legal_hold", "disclosure", "disclosed_account"):  # as 0002 locked the others
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for name in REQUEST_TIMES:
        op.add_column("privacy_request", sa.Column(name, TIME(), nullable=True))
    op.add_column("privacy_request", sa.Column("assigned_to", sa.Uuid(), nullable=True))
    for name, length in REQUEST_TEXTS.items():
        kind = sqlmodel.sql.sqltypes.AutoString(length=length)
        op.add_column("privacy_request", sa.Column(name, kind, nullable=False, server_default=""))
        op.alter_column("privacy_request", name, server_default=None)


def downgrade() -> None:
    for name in (*REQUEST_TEXTS, "assigned_to", *REQUEST_TIMES):
        op.drop_column("privacy_request", name)
    for table in ("disclosed_account", "disclosure", "legal_hold"):
        op.drop_table(table)
