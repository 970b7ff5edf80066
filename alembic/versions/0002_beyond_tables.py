"""What tables alone cannot say: the job queue, the ledger's rule, the first partitions, and who may look."""

from procrastinate.schema import SchemaManager

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The ledger's rules, kept by the database itself. A movement's entries add up to zero and belong to its organization,
# checked when the transaction commits. Nothing of the ledger is updated, but for the organization's id, and the cause
# with it, when it is erased; rows go only while `assisters.sweep` is 'on', which `billing.ledger.sweep` sets for its
# own transaction after it has carried balances forward.
LEDGER_RULES = """
CREATE FUNCTION assisters.ledger_adds_up() RETURNS trigger LANGUAGE plpgsql SET search_path = assisters AS $$
DECLARE movement uuid := CASE TG_TABLE_NAME
  WHEN 'ledger_transaction' THEN coalesce((to_jsonb(NEW) ->> 'id')::uuid, (to_jsonb(OLD) ->> 'id')::uuid)
  ELSE coalesce((to_jsonb(NEW) ->> 'transaction_id')::uuid, (to_jsonb(OLD) ->> 'transaction_id')::uuid) END;
DECLARE entries integer; total numeric; strangers integer;
BEGIN
  SELECT count(e.id), coalesce(sum(e.amount_nano), 0), count(*) FILTER (WHERE e.organization_id <> t.organization_id)
    INTO entries, total, strangers
    FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id WHERE t.id = movement GROUP BY t.id;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF total <> 0 THEN
    RAISE EXCEPTION 'The entries of ledger transaction % add up to %, not to zero.', movement, total
      USING ERRCODE = 'check_violation';
  END IF;
  IF entries < 2 OR strangers > 0 THEN
    RAISE EXCEPTION 'Ledger transaction % needs two entries or more, all of its own organization.', movement
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_entry_adds_up AFTER INSERT OR UPDATE OR DELETE ON assisters.ledger_entry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION assisters.ledger_adds_up();
CREATE CONSTRAINT TRIGGER ledger_transaction_adds_up AFTER INSERT OR UPDATE ON assisters.ledger_transaction
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION assisters.ledger_adds_up();

CREATE FUNCTION assisters.ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = assisters AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.organization_id <> OLD.organization_id
     AND to_jsonb(NEW) - 'organization_id' - 'cause' = to_jsonb(OLD) - 'organization_id' - 'cause' THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' AND current_setting('assisters.sweep', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'The ledger is append-only: correct it with another transaction.' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER ledger_entry_stays BEFORE UPDATE OR DELETE ON assisters.ledger_entry
  FOR EACH ROW EXECUTE FUNCTION assisters.ledger_is_append_only();
CREATE TRIGGER ledger_transaction_stays BEFORE UPDATE OR DELETE ON assisters.ledger_transaction
  FOR EACH ROW EXECUTE FUNCTION assisters.ledger_is_append_only();
"""

DROP_LEDGER_RULES = """
DROP TRIGGER ledger_transaction_stays ON assisters.ledger_transaction;
DROP TRIGGER ledger_entry_stays ON assisters.ledger_entry;
DROP TRIGGER ledger_transaction_adds_up ON assisters.ledger_transaction;
DROP TRIGGER ledger_entry_adds_up ON assisters.ledger_entry;
DROP FUNCTION assisters.ledger_is_append_only();
DROP FUNCTION assisters.ledger_adds_up();
"""

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
    run(LEDGER_RULES)
    run(LOCK_TABLES)


def downgrade() -> None:
    run(DROP_LEDGER_RULES)
    run(DROP_QUEUE)


def run(statements: str) -> None:
    """Hand statements to the driver as they are: SQLAlchemy would read their `%` and `:` as parameters."""
    op.get_bind().connection.driver_connection.execute(statements)
