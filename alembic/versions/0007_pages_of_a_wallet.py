"""A wallet's movements are read page by page: an index in the order of the pages."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_ledger_transaction_organization_id_id", "ledger_transaction", ["organization_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_ledger_transaction_organization_id_id", "ledger_transaction")
