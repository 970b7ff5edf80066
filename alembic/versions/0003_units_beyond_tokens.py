"""What is not sold by tokens: prices per unit, and the units a call used. Old rows, and old writers, count none."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0003"
down_revision = "0007"
branch_labels = None
depends_on = None

UNIT = sqlmodel.sql.sqltypes.AutoString(length=16)


def upgrade() -> None:
    op.add_column("price", sa.Column("unit", UNIT, nullable=False, server_default=""))
    op.add_column("price", sa.Column("unit_nano", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint(op.f("ck_price_unit_named"), "price", "unit_nano = 0 OR unit <> ''")
    op.add_column("usage_event", sa.Column("units", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("usage_event", sa.Column("unit", UNIT, nullable=False, server_default=""))
    op.add_column("usage_tally", sa.Column("units", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("usage_tally", "units")
    op.drop_column("usage_event", "unit")
    op.drop_column("usage_event", "units")
    op.drop_constraint(op.f("ck_price_unit_named"), "price")
    op.drop_column("price", "unit_nano")
    op.drop_column("price", "unit")
