"""How each of the platform's processes is started and stopped.

The deadlines add up to less than the 15 s in which ``up`` promises to end.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import Any

from platform_api.embedded import environments, postgres
from platform_api.embedded.child import ChildPlan
from platform_api.embedded.environments import Access
from platform_api.embedded.postgres import Cluster

API_STOP_SECONDS = 4.0
WORKER_STOP_SECONDS = 4.0
PREFECT_STOP_SECONDS = 2.5
POSTGRES_STOP_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API listens."""

    host: str
    port: int


def of_postgres(cluster: Cluster) -> ChildPlan:
    """SIGINT is PostgreSQL's fast shutdown: it ends the sessions and writes a last checkpoint."""
    arguments: dict[str, Any] = postgres.run_as()
    return ChildPlan(
        name="postgres",
        command=tuple(postgres.server_command(cluster)),
        environment=postgres.environment(),
        log=cluster.log,
        stop_seconds=POSTGRES_STOP_SECONDS,
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        become=arguments.get("preexec_fn"),
    )


def of_prefect(access: Access) -> ChildPlan:
    """Prefect's server."""
    return ChildPlan(
        name="prefect",
        command=_python("platform_api.embedded.prefect_server", str(access.prefect_port)),
        environment=environments.of_prefect_server(access),
        log=access.home.logs / "prefect.log",
        stop_seconds=PREFECT_STOP_SECONDS,
        gated=True,
    )


def of_worker(access: Access) -> ChildPlan:
    """One worker; the scripts that it runs are not its children and live on without it."""
    return ChildPlan(
        name="worker",
        command=_command("worker", "--pool", access.work_pool, "--gate"),
        environment=environments.of_platform(access),
        log=access.home.logs / "worker.log",
        stop_seconds=WORKER_STOP_SECONDS,
        gated=True,
    )


def of_api(access: Access, address: Address) -> ChildPlan:
    """The API."""
    return ChildPlan(
        name="api",
        command=_command("api", "--host", address.host, "--port", str(address.port), "--gate"),
        environment=environments.of_platform(access),
        log=access.home.logs / "api.log",
        stop_seconds=API_STOP_SECONDS,
        gated=True,
    )


def of_preparation(access: Access) -> ChildPlan:
    """Migrations and sample users; it ends when it is done, so nobody keeps it running."""
    return ChildPlan(
        name="migrations",
        command=_python("platform_api.embedded.prepare"),
        environment=environments.of_migrations(access),
        log=access.home.logs / "migrations.log",
        stop_seconds=2.0,
        gated=True,
    )


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", module, *arguments)


def _command(*arguments: str) -> tuple[str, ...]:
    return _python("platform_api.cli.main", *arguments)
