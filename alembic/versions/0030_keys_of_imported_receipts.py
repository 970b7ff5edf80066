"""A key that receipts verify with says whether it is another installation's, whose receipts were read in."""

import sqlalchemy as sa

from alembic import op

revision = "0030"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipt_key", sa.Column("imported", sa.Boolean(), nullable=False, server_default="false"))


def downgrade() -> None:
    op.drop_column("receipt_key", "imported")
