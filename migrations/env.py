"""Alembic's entry: runs on the connection that ``migrations.runner`` hands over."""

from __future__ import annotations

from alembic import context

from platform_api.db.schema import metadata


def run() -> None:
    """Migrate on the caller's connection, in one transaction per migration."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
