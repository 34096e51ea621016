"""One real Prefect server per test run, on a database of its own in the test's PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from platform_api.embedded import postgres
from platform_api.embedded.postgres import Cluster

AUTH_STRING = "platform:test-password"
DATABASE = "prefect"
#: Migrations of an empty database included; measured 14 s, several times that on a busy machine.
START_SECONDS = 120.0

SERVER_COMMAND = [
    *(sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"),
    *("--host", "127.0.0.1", "--log-level", "warning"),
]


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """Where it listens, and the password it wants."""

    api_url: str
    auth_string: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running_prefect(cluster: Cluster, folder: Path, database: str = DATABASE) -> Iterator[PrefectServer]:
    """A server in one process, as the platform runs it; stopped at the end."""
    postgres.ensure_database(cluster, database)
    folder.mkdir(parents=True, exist_ok=True)
    port = postgres.free_port()
    log = folder / "prefect.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*SERVER_COMMAND, "--port", str(port)],
            stdout=output,
            stderr=output,
            env=_environment(cluster.url(database), folder),
            cwd=folder,
        )
    server = PrefectServer(f"http://127.0.0.1:{port}/api", AUTH_STRING, process, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _environment(database_url: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database_url.replace("postgresql://", "postgresql+asyncpg://"),
        "PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "20",
        "PREFECT_SERVER_API_DEFAULT_LIMIT": "1000",
        "PREFECT_SERVER_UI_ENABLED": "false",
        # Of its two schedulers the one for recent changes suffices; the other would write runs in between.
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "3600",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def _wait_until_ready(server: PrefectServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            if httpx.get(f"{server.api_url}/health", timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(0.1)
    raise RuntimeError(f"Prefect did not start:\n{server.log.read_text()[-4000:]}")
