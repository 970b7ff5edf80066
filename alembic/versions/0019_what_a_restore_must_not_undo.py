"""What a restored backup must not undo, a beat that shows time turned back, and no row of somebody who is erased."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0019"
down_revision = "0022"
branch_labels = None
depends_on = None

# Who writes about somebody at the very moment at which they are erased (a member of staff who looks at their account)
# commits after the purge has looked for what is left. These rows are kept and refer to no account, so nothing else
# would notice. When the writer commits the account is locked, if it is there: a purge under way is waited for. If it is
# gone the row gets an id that leads to nobody, as the purge would have given it one.
OF_THE_LIVING = """
CREATE FUNCTION assisters.of_the_living() RETURNS trigger LANGUAGE plpgsql SET search_path = assisters AS $$
DECLARE named text; whose uuid;
BEGIN
  FOREACH named IN ARRAY TG_ARGV LOOP
    whose := (to_jsonb(NEW) ->> named)::uuid;
    IF whose IS NOT NULL THEN
      PERFORM 1 FROM account WHERE id = whose FOR KEY SHARE;
      IF NOT FOUND THEN
        EXECUTE format('UPDATE %I SET %I = gen_random_uuid() WHERE id = $1 AND %I = $2', TG_TABLE_NAME, named, named)
          USING NEW.id, whose;
      END IF;
    END IF;
  END LOOP;
  RETURN NULL;
END $$
"""
KEPT = {
    "consent": ("account_id",),
    "disclosed_account": ("account_id",),
    "erasure": ("account_id",),
    "incident_notice": ("account_id",),
    "legal_hold": ("account_id",),
    "privacy_request": ("account_id", "assigned_to"),
    "trail_entry": ("account_id", "actor_id"),
}


def upgrade() -> None:
    op.create_table(
        "lasting_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lasting_change")),
    )
    op.create_index("ix_lasting_change_account_id", "lasting_change", ["account_id"])
    op.create_index("ix_lasting_change_created_at", "lasting_change", ["created_at"])
    op.execute("ALTER TABLE lasting_change ENABLE ROW LEVEL SECURITY")  # as 0002 locked the others
    op.add_column("house_stamp", sa.Column("beat", sa.BigInteger(), nullable=False, server_default="0"))
    op.alter_column("house_stamp", "beat", server_default=None)
    op.execute(OF_THE_LIVING)
    for table, columns in KEPT.items():
        named = ", ".join(f"'{column}'" for column in columns)
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_of_the_living AFTER INSERT ON assisters.{table} "
            f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION assisters.of_the_living({named})"
        )


def downgrade() -> None:
    for table in KEPT:
        op.execute(f"DROP TRIGGER {table}_of_the_living ON assisters.{table}")
    op.execute("DROP FUNCTION assisters.of_the_living()")
    op.drop_column("house_stamp", "beat")
    op.drop_table("lasting_change")
