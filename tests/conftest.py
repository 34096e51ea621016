"""What every test may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.engine import create_engine
from platform_api.embedded.postgres import Cluster
from platform_api.web.build import build
from tests.cast import Cast, assemble_cast, services_on, settings_for_tests
from tests.postgres import cloned_database, migrated_template, running_cluster
from tests.prefect_server import PrefectServer, running_prefect
from tests.running_platform import Platform, running


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real PostgreSQL for the whole run."""
    with running_cluster(Path(tmp_path_factory.mktemp("cluster"))) as cluster:
        migrated_template(cluster)
        yield cluster


@pytest.fixture
def database_url(postgres_cluster: Cluster) -> Iterator[str]:
    """A migrated database of the test's own."""
    with cloned_database(postgres_cluster) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's own database."""
    engine = create_engine(database_url, pool_size=10, application_name="test")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def prefect_server(postgres_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A real Prefect server for the whole run; tests leave each other's deployments alone."""
    with running_prefect(postgres_cluster, tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture
async def cast(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Cast]:
    """Everybody, at an API on a database of the test's own and a fake Prefect."""
    cast = await assemble_cast(engine, services_on(engine, settings_for_tests(home=tmp_path)))
    yield cast
    await cast.maya.client.aclose()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One running platform for all tests that only look at it from outside; they are the group ``platform``."""
    with running(tmp_path_factory.mktemp("platform") / "home") as platform:
        yield platform


@pytest.fixture(scope="session", autouse=True)
def built_pages() -> None:
    """Pages name the scripts and styles of the present sources."""
    build()
