"""Staff have roles: whoever was staff could do everything, and is an admin now."""

from alembic import op

revision = "0022"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE account SET role = 'admin' WHERE role = 'staff'")


def downgrade() -> None:
    op.execute("UPDATE account SET role = 'staff' WHERE role IN ('support', 'admin')")
