"""One real PostgreSQL per test run, and a fresh clone of the migrated template per test."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from migrations.runner import upgrade
from platform_api.embedded import postgres
from platform_api.embedded.postgres import Cluster

TEMPLATE = "template_platform"

#: Nothing in a test's database outlives the test, so the disk need not be waited for.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A server on a free port; stopped at the end."""
    cluster = Cluster(folder / "postgres", postgres.free_port())
    postgres.initialise(cluster)
    with cluster.log.open("ab") as log:
        process = subprocess.Popen(
            postgres.server_command(cluster, FAST),
            stdout=log,
            stderr=log,
            env=postgres.environment(),
            cwd="/",
            **postgres.run_as(),
        )
    try:
        postgres.wait_until_ready(cluster, process)
        yield cluster
    finally:
        process.terminate()
        process.wait(30)


def migrated_template(cluster: Cluster) -> str:
    """Make the template that every test's database is cloned from."""
    postgres.ensure_database(cluster, TEMPLATE)
    upgrade(cluster.url(TEMPLATE))
    return TEMPLATE


@contextmanager
def cloned_database(cluster: Cluster, template: str = TEMPLATE) -> Iterator[str]:
    """The URL of a database of one's own; dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        yield cluster.url(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
