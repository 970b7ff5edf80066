"""The keys that exports and receipts of consents verify with are written down, so that they outlive a pepper."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0023"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_key",
        sa.Column("purpose", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("public_key", sqlmodel.sql.sqltypes.AutoString(length=44), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "public_key", name=op.f("pk_signing_key")),
    )
    op.execute("ALTER TABLE signing_key ENABLE ROW LEVEL SECURITY")  # as 0002 locked the others


def downgrade() -> None:
    op.drop_table("signing_key")
