"""The migrations make exactly the tables that ``platform_api.db.schema`` describes."""

from __future__ import annotations

import asyncio

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from migrations.runner import upgrade
from platform_api.db.engine import async_url
from platform_api.db.engine import create_engine as create_async
from platform_api.db.schema import metadata
from platform_api.db.unit_of_work import units_of_work
from platform_api.embedded.postgres import Cluster
from platform_api.use_cases.audit_chain import examine


def test_models_and_migrations_do_not_differ(database_url: str) -> None:
    engine = create_engine(async_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    upgrade(database_url)


def test_entries_from_before_the_chain_are_linked_by_its_migration(postgres_cluster: Cluster) -> None:
    with psycopg.connect(postgres_cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE before_the_chain")
    url = postgres_cluster.url("before_the_chain")
    upgrade(url, "0001")
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO audit_log (actor_email, action, outcome, resource_type, changes)"
            """ SELECT 'maya@example.com', 'job.run', 'allowed', 'job', '{"a": 1}' FROM generate_series(1, 20000)"""
        )
    upgrade(url)
    assert asyncio.run(_verdict(url)) == (True, 20000)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(DISTINCT actor_salt) FROM audit_log").fetchone() == (20000,)


async def _verdict(url: str) -> tuple[bool, int]:
    engine = create_async(url, pool_size=1, application_name="test")
    async with units_of_work(engine)() as uow:
        found = await examine(uow.audit_chain)
    await engine.dispose()
    return found.valid, found.checked
