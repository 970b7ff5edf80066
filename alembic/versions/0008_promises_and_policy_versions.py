"""What the promises' checks found, published versions of the policy that nobody can change, and who was told."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0008"
down_revision = "0011"
branch_labels = None
depends_on = None

NEVER_CHANGED = """
CREATE FUNCTION assisters.policy_version_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = assisters AS $$
BEGIN
  RAISE EXCEPTION 'Version % of the policy is published: write a new one.', OLD.version
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER policy_version_stays BEFORE UPDATE OR DELETE ON assisters.policy_version
  FOR EACH ROW EXECUTE FUNCTION assisters.policy_version_stays();
"""


def upgrade() -> None:
    op.create_table(
        "promise_result",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("found", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("looked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_promise_result")),
    )
    op.create_table(
        "policy_version",
        sa.Column("version", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("material", sa.Boolean(), nullable=False),
        sa.Column("summary", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("published_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("effective_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "NOT material OR effective_at >= published_at + INTERVAL '30 days'",
            name=op.f("ck_policy_version_told_ahead"),
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_version")),
    )
    op.create_table(
        "policy_told",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("notice", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_policy_told_account_id_account")),
        sa.PrimaryKeyConstraint("account_id", "notice", "kind", name=op.f("pk_policy_told")),
    )
    op.create_table(
        "transfer",
        sa.Column("handle", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("acquirer", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("contact", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("announced_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("transfers_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("withdrawn_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("transfers_at >= announced_at + INTERVAL '30 days'", name=op.f("ck_transfer_told_ahead")),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_transfer")),
    )
    for table in ("promise_result", "policy_version", "policy_told", "transfer"):  # as 0002 locked the others
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.get_bind().connection.driver_connection.execute(NEVER_CHANGED)


def downgrade() -> None:
    for table in ("transfer", "policy_told", "policy_version", "promise_result"):
        op.drop_table(table)
    op.execute("DROP FUNCTION policy_version_stays()")
