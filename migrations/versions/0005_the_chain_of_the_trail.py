"""The chain of the trail

The trail can be added to and nothing else. When a transaction that added entries commits, a deferred trigger appends
a link per entry to ``audit_chain``: a hash over the entry and the link before. The functions belong to the role that
runs the migrations, so the role of the API needs (and has) no right on the chain at all. See decision 0017.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

#: What a digest or a hash is made of. ``db/audit_chain.py`` spells the same; a test holds the two together.
ACTOR = "jsonb_build_array(e.actor_email, e.ip_address::text, e.user_agent)::text"
NAME = "jsonb_build_array(e.resource_name)::text"
DETAILS = "jsonb_build_array(e.reason, e.changes)::text"
FIXED = """jsonb_build_array(1, {seq}, e.id, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
    e.actor_id, e.action, e.outcome, e.resource_type, e.resource_id, e.request_id)::text"""

#: The link of entry ``e`` behind the one whose hash is ``before``.
MAKE_LINK = f"""
CREATE FUNCTION audit_make_link(e audit_log, place bigint, before bytea) RETURNS audit_chain LANGUAGE plpgsql STABLE
SET search_path = {{schema}}, pg_temp AS $$
DECLARE
  made audit_chain;
BEGIN
  made.seq := place;
  made.entry_id := e.id;
  made.actor_digest := sha256(e.actor_salt || convert_to({ACTOR}, 'UTF8'));
  made.name_digest := sha256(e.name_salt || convert_to({NAME}, 'UTF8'));
  made.details_digest := sha256(e.details_salt || convert_to({DETAILS}, 'UTF8'));
  made.hash := sha256(before || made.actor_digest || made.name_digest || made.details_digest
    || convert_to({FIXED.format(seq="place")}, 'UTF8'));
  RETURN made;
END $$
"""

#: Appends the link of an entry. The head's row is the lock: whoever commits next waits for this commit, and then sees
#: its head. (An entry without its salts fails here: a digest may not be null.)
LINK = """
CREATE FUNCTION audit_link(e audit_log) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
  head audit_head;
  made audit_chain;
BEGIN
  SELECT * INTO STRICT head FROM audit_head FOR UPDATE;
  made := audit_make_link(e, head.seq + 1, head.hash);
  INSERT INTO audit_chain VALUES (made.*);
  UPDATE audit_head SET seq = made.seq, entry_id = made.entry_id, hash = made.hash;
END $$
"""

#: Entries from before the chain, in the order of their ids. The head is written once: a row that is updated for every
#: entry of one transaction leaves as many versions, and each update looks at them all.
LINK_WHAT_IS_THERE = """
DO $$
DECLARE
  e audit_log;
  made audit_chain;
BEGIN
  made.seq := 0;
  made.hash := decode(repeat('00', 32), 'hex');
  FOR e IN SELECT * FROM audit_log ORDER BY id LOOP
    made := audit_make_link(e, made.seq + 1, made.hash);
    INSERT INTO audit_chain VALUES (made.*);
  END LOOP;
  INSERT INTO audit_head (id, seq, entry_id, hash) VALUES (1, made.seq, made.entry_id, made.hash);
END $$
"""

ON_COMMIT = """
CREATE FUNCTION audit_on_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
BEGIN
  PERFORM audit_link(NEW);
  RETURN NULL;
END $$
"""

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'The audit trail is append-only: % of % is refused', lower(TG_OP), TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$
"""

#: The one change an entry may see: a group of personal fields is emptied together with its salt.
ERASE_ONLY = """
CREATE FUNCTION audit_erase_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.id, NEW.at, NEW.actor_id, NEW.action, NEW.outcome, NEW.resource_type, NEW.resource_id, NEW.request_id)
       IS DISTINCT FROM
     (OLD.id, OLD.at, OLD.actor_id, OLD.action, OLD.outcome, OLD.resource_type, OLD.resource_id, OLD.request_id)
     OR ((NEW.actor_salt, NEW.actor_email, NEW.ip_address, NEW.user_agent) IS DISTINCT FROM
           (OLD.actor_salt, OLD.actor_email, OLD.ip_address, OLD.user_agent)
         AND num_nonnulls(NEW.actor_salt, NEW.actor_email, NEW.ip_address, NEW.user_agent) > 0)
     OR ((NEW.name_salt, NEW.resource_name) IS DISTINCT FROM (OLD.name_salt, OLD.resource_name)
         AND num_nonnulls(NEW.name_salt, NEW.resource_name) > 0)
     OR ((NEW.details_salt, NEW.reason, NEW.changes) IS DISTINCT FROM (OLD.details_salt, OLD.reason, OLD.changes)
         AND (num_nonnulls(NEW.details_salt, NEW.reason) > 0 OR NEW.changes <> '{{}}'))
  THEN
    RAISE EXCEPTION 'The audit trail is append-only: update of entry % is refused', OLD.id
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$
"""

#: Only what a seal stands for may go.
SEALED_ENTRIES_ONLY = """
CREATE FUNCTION audit_sealed_entries_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  sealed bigint := (SELECT max(last_seq) FROM audit_seals);
BEGIN
  IF EXISTS (SELECT FROM gone LEFT JOIN audit_chain c ON c.entry_id = gone.id
             WHERE c.seq IS NULL OR sealed IS NULL OR c.seq > sealed) THEN
    RAISE EXCEPTION 'The audit trail is append-only: only entries of a sealed month can be removed'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$
"""

SEALED_LINKS_ONLY = """
CREATE FUNCTION audit_sealed_links_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  sealed bigint := (SELECT max(last_seq) FROM audit_seals);
BEGIN
  IF EXISTS (SELECT FROM gone WHERE sealed IS NULL OR seq > sealed) THEN
    RAISE EXCEPTION 'The audit trail is append-only: only links of a sealed month can be removed'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$
"""

#: Empties what tells who an erased person was, wherever it stands; the account's id stays as their pseudonym.
PSEUDONYMISE = """
CREATE FUNCTION audit_pseudonymise(person uuid, address text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
  wanted text := lower(address);
  touched bigint;
BEGIN
  IF wanted IS NULL OR wanted NOT LIKE '_%@_%' THEN
    RAISE EXCEPTION 'An e-mail address is needed, got %', address USING ERRCODE = 'invalid_parameter_value';
  END IF;
  WITH found AS (
    SELECT id, (actor_id = person OR lower(actor_email) = wanted) IS TRUE AS actor,
      ((resource_type = 'user' AND resource_id = person::text) OR strpos(lower(resource_name), wanted) > 0) IS TRUE
        AS name,
      (strpos(lower(reason), wanted) > 0 OR strpos(lower(changes::text), wanted) > 0) IS TRUE AS details
    FROM audit_log
  )
  UPDATE audit_log e SET
    actor_email = CASE WHEN found.actor THEN NULL ELSE e.actor_email END,
    ip_address = CASE WHEN found.actor THEN NULL ELSE e.ip_address END,
    user_agent = CASE WHEN found.actor THEN NULL ELSE e.user_agent END,
    actor_salt = CASE WHEN found.actor THEN NULL ELSE e.actor_salt END,
    resource_name = CASE WHEN found.name THEN NULL ELSE e.resource_name END,
    name_salt = CASE WHEN found.name THEN NULL ELSE e.name_salt END,
    reason = CASE WHEN found.details THEN NULL ELSE e.reason END,
    changes = CASE WHEN found.details THEN '{{}}' ELSE e.changes END,
    details_salt = CASE WHEN found.details THEN NULL ELSE e.details_salt END
  FROM found WHERE e.id = found.id AND (found.actor OR found.name OR found.details);
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END $$
"""

#: Seals the oldest month and removes its entries if it ended ``keep_days`` ago or earlier; no row if it did not.
#: Never less than 30 days: whoever took over the API cannot remove what they just did.
REMOVE_MONTH = """
CREATE FUNCTION audit_remove_month(keep_days integer) RETURNS SETOF audit_seals LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
  before audit_seals;
  seal audit_seals;
  month_end timestamptz;
BEGIN
  LOCK TABLE audit_seals IN EXCLUSIVE MODE;
  SELECT * INTO before FROM audit_seals ORDER BY last_seq DESC LIMIT 1;
  SELECT c.seq, e.id, date_trunc('month', e.at AT TIME ZONE 'UTC')::date
    INTO seal.first_seq, seal.first_id, seal.month
    FROM audit_chain c JOIN audit_log e ON e.id = c.entry_id ORDER BY c.seq LIMIT 1;
  month_end := (seal.month + interval '1 month') AT TIME ZONE 'UTC';
  IF month_end IS NULL OR month_end > now() - make_interval(days => greatest(keep_days, 30)) THEN
    RETURN;
  END IF;
  SELECT min(c.seq) - 1 INTO seal.last_seq
    FROM audit_log e JOIN audit_chain c ON c.entry_id = e.id WHERE e.at >= month_end;
  SELECT c.seq, c.entry_id, c.hash INTO STRICT seal.last_seq, seal.last_id, seal.last_hash
    FROM audit_chain c WHERE seal.last_seq IS NULL OR c.seq <= seal.last_seq ORDER BY c.seq DESC LIMIT 1;
  seal.entries := seal.last_seq - seal.first_seq + 1;
  seal.removed_at := now();
  seal.hash := sha256(coalesce(before.hash, decode(repeat('00', 32), 'hex')) || seal.last_hash
    || convert_to(jsonb_build_array(1, seal.month::text, seal.first_seq, seal.last_seq, seal.first_id, seal.last_id,
         seal.entries)::text, 'UTF8'));
  INSERT INTO audit_seals VALUES (seal.*);
  DELETE FROM audit_log e USING audit_chain c WHERE c.entry_id = e.id AND c.seq <= seal.last_seq;
  DELETE FROM audit_chain WHERE seq <= seal.last_seq;
  RETURN NEXT seal;
END $$
"""

TRIGGERS = (
    "CREATE CONSTRAINT TRIGGER audit_log_link AFTER INSERT ON audit_log"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_on_commit()",
    "CREATE TRIGGER audit_log_update AFTER UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_erase_only()",
    "CREATE TRIGGER audit_log_delete AFTER DELETE ON audit_log REFERENCING OLD TABLE AS gone"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_sealed_entries_only()",
    "CREATE TRIGGER audit_chain_delete AFTER DELETE ON audit_chain REFERENCING OLD TABLE AS gone"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_sealed_links_only()",
    "CREATE TRIGGER audit_chain_update BEFORE UPDATE ON audit_chain FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_seals_change BEFORE UPDATE OR DELETE ON audit_seals"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
)
FUNCTIONS = (
    MAKE_LINK,
    LINK,
    ON_COMMIT,
    REFUSE,
    ERASE_ONLY,
    SEALED_ENTRIES_ONLY,
    SEALED_LINKS_ONLY,
    PSEUDONYMISE,
    REMOVE_MONTH,
)
TABLES = ("audit_log", "audit_chain", "audit_head", "audit_seals")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("replaced_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_api_keys_replaced_by_api_keys"), "api_keys", "api_keys", ["replaced_by"], ["id"])
    for name in ("actor_salt", "name_salt", "details_salt"):
        default = sa.text("uuid_send(gen_random_uuid())")
        op.add_column("audit_log", sa.Column(name, sa.LargeBinary(), server_default=default, nullable=True))
    _create_tables()
    _create_functions()
    op.execute(sa.text(_escaped(LINK_WHAT_IS_THERE)))
    for trigger in TRIGGERS:
        op.execute(trigger)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )


def _create_tables() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_digest", sa.LargeBinary(), nullable=False),
        sa.Column("name_digest", sa.LargeBinary(), nullable=False),
        sa.Column("details_digest", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_chain")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_chain_entry_id")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_seals",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_audit_seals")),
        sa.UniqueConstraint("last_seq", name=op.f("uq_audit_seals_last_seq")),
    )


def _create_functions() -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    for function in FUNCTIONS:
        op.execute(sa.text(_escaped(function.format(schema=schema))))
    # Everybody may call a new function unless this is taken back; who may is said in `migrations.grants`.
    for name in ("audit_link(audit_log)", "audit_pseudonymise(uuid, text)", "audit_remove_month(integer)"):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")


def _escaped(function: str) -> str:
    """A colon that is not SQLAlchemy's sign of a parameter."""
    return function.replace(":", r"\:")
