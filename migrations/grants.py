"""What the role of the API and the workers may do: everything with the platform's data, but only add to the trail.

Runs after every migration, so that new tables and a role that was made later are served as well.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, text

#: The role, or a group that the role of an external database is made a member of.
APPLICATION_ROLE = "job_platform_app"

#: What an entry consists of; its id, its moment and its salts are the database's own.
ENTRY = (
    "actor_id, actor_email, action, outcome, reason, resource_type, resource_id, resource_name, changes,"
    " ip_address, user_agent, request_id"
)

_GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    "REVOKE INSERT, UPDATE, DELETE ON audit_log, audit_chain, audit_head, audit_seals, alembic_version FROM {role}",
    f"GRANT INSERT ({ENTRY}) ON audit_log TO {{role}}",
    "GRANT EXECUTE ON FUNCTION audit_pseudonymise(uuid, text), audit_remove_month(integer) TO {role}",
)

logger = logging.getLogger(__name__)


def grant(connection: Connection) -> None:
    """Make the role if that is allowed and it is missing, and give it its rights, in the caller's transaction."""
    if not _role_is_there(connection):
        logger.warning(
            "There is no role %s and this one may not create it: the API works with the rights of the role it logs in"
            " with. See docs/explanation/audit.md.",
            APPLICATION_ROLE,
        )
        return
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    for statement in _GRANTS:
        connection.execute(text(statement.format(schema=schema, role=APPLICATION_ROLE)))


def _role_is_there(connection: Connection) -> bool:
    found = "SELECT 1 FROM pg_roles WHERE rolname = :name"
    if connection.execute(text(found), {"name": APPLICATION_ROLE}).one_or_none():
        return True
    allowed = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    if not connection.execute(text(allowed)).scalar_one():
        return False
    connection.execute(text(f"CREATE ROLE {APPLICATION_ROLE} NOLOGIN"))
    return True
