"""Consents that end by themselves, and that nobody can rewrite, not even we."""

import sqlalchemy as sa
import sqlmodel

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A choice is proof (GDPR Art. 7(1)) only if it cannot be changed afterwards. What may change: that it has ended, once;
# and the account's id, which erasure replaces by a pseudonym. What has not ended cannot be deleted.
STAYS = """
CREATE FUNCTION assisters.consent_is_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = assisters AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'account_id' - 'ended_at' = to_jsonb(OLD) - 'account_id' - 'ended_at'
     AND (OLD.ended_at IS NULL OR NEW.ended_at = OLD.ended_at) THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' AND OLD.ended_at IS NOT NULL THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'Consents are append-only: write another one.' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER consent_stays BEFORE UPDATE OR DELETE ON assisters.consent
  FOR EACH ROW EXECUTE FUNCTION assisters.consent_is_append_only();
"""


def upgrade() -> None:
    op.add_column("consent", sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.execute(  # what was given before it could end by itself ends as if it had been given today's way
        "UPDATE consent SET expires_at = created_at"
        " + CASE purpose WHEN 'training' THEN interval '12 months' ELSE interval '24 months' END WHERE given"
    )
    op.execute(STAYS)


def downgrade() -> None:
    op.execute("DROP TRIGGER consent_stays ON assisters.consent; DROP FUNCTION assisters.consent_is_append_only()")
    op.drop_column("consent", "expires_at")
