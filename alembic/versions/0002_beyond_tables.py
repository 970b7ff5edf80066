"""What tables alone cannot say: the job queue, the ledger's rule, the first partitions, and who may look."""

from procrastinate.schema import SchemaManager

from alembic import op
from assisters_app.billing import ddl

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Supabase's Data API reaches every table of an exposed schema unless row level security stands in the way. Ours is not
# exposed, and this is the second lock: nothing is granted, and without a policy only the owner sees a row.
LOCK_TABLES = """
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'assisters' LOOP
    EXECUTE format('ALTER TABLE assisters.%I ENABLE ROW LEVEL SECURITY', one.tablename);
  END LOOP;
  REVOKE ALL ON ALL TABLES IN SCHEMA assisters FROM PUBLIC;
  REVOKE ALL ON SCHEMA assisters FROM PUBLIC;
END $$
"""

DROP_QUEUE = """
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT tablename FROM pg_tables
             WHERE schemaname = 'assisters' AND tablename LIKE 'procrastinate_%' LOOP
    EXECUTE format('DROP TABLE assisters.%I CASCADE', one.tablename);
  END LOOP;
  FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'assisters' AND p.proname LIKE 'procrastinate_%' LOOP
    EXECUTE format('DROP FUNCTION %s CASCADE', one.name);
  END LOOP;
  FOR one IN SELECT t.typname AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
             WHERE n.nspname = 'assisters' AND t.typname LIKE 'procrastinate_%' AND t.typtype IN ('e', 'c') LOOP
    EXECUTE format('DROP TYPE assisters.%I CASCADE', one.name);
  END LOOP;
END $$
"""


def upgrade() -> None:
    run(SchemaManager.get_schema())
    run(ddl.CREATE)
    run(LOCK_TABLES)


def downgrade() -> None:
    run(ddl.DROP)
    run(DROP_QUEUE)


def run(statements: str) -> None:
    """Hand statements to the driver as they are: SQLAlchemy would read their `%` and `:` as parameters."""
    op.get_bind().connection.driver_connection.execute(statements)
