"""A model names the upstream that answers it; those that there are go on with the usual one."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0024"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = sqlmodel.sql.sqltypes.AutoString(length=32)
    op.add_column("model", sa.Column("upstream", name, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("model", "upstream")
