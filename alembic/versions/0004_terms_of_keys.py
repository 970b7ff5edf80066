"""Terms of keys: scopes, models, limits and budgets of their own, where they may be used; a spend cap for all."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

LISTS = {"scopes": "chat read", "models": "", "networks": "", "domains": ""}  # name → what keys have that exist
COUNTS = ("requests_per_minute", "tokens_per_minute", "concurrency")
AMOUNTS = ("budget_day", "budget_week", "budget_month")
TIMES = ("old_secret_warned_at", "leaked_at")


def upgrade() -> None:
    with op.batch_alter_table("api_key") as table:
        for name, value in LISTS.items():
            kind = sa.String(length=64) if name == "scopes" else sa.String()
            table.add_column(sa.Column(name, kind, nullable=False, server_default=value))
            table.alter_column(name, server_default=None)
        for name in COUNTS:
            table.add_column(sa.Column(name, sa.Integer(), nullable=True))
        for name in AMOUNTS:
            table.add_column(sa.Column(name, sa.BigInteger(), nullable=True))
        for name in TIMES:
            table.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("organization", sa.Column("spend_cap_nano", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("organization", "spend_cap_nano")
    for name in (*TIMES, *AMOUNTS, *COUNTS, *LISTS):
        op.drop_column("api_key", name)
