"""The migrations make exactly the tables that ``platform_api.db.schema`` describes."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from migrations.runner import upgrade
from platform_api.db.engine import async_url
from platform_api.db.schema import metadata


def test_models_and_migrations_do_not_differ(database_url: str) -> None:
    engine = create_engine(async_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
