"""The whole platform as `job-platform up` starts it, for tests that look at it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from platform_api.embedded.postgres import Cluster, free_port

READY_DEADLINE_SECONDS = 90.0
STOP_DEADLINE_SECONDS = 30.0


@dataclass
class Platform:
    """A running platform: where it is and whose keys open it."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def key(self, who: str) -> str:
        users = json.loads((self.home / "credentials.json").read_text())["users"]
        return str(next(user["api_key"] for user in users if user["email"].startswith(f"{who}@")))

    def database_url(self) -> str:
        """The platform's own database; its port is in the server's pid file."""
        folder = self.home / "postgres"
        port = int((folder / "data" / "postmaster.pid").read_text().splitlines()[3])
        return Cluster(folder, port).url("job_platform")

    def client(self, who: str = "maya") -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.base_url}/api/v1", headers={"X-API-Key": self.key(who)}, timeout=30, trust_env=False
        )


def start(home: Path, port: int) -> Platform:
    """Start `up`; the caller waits for it to be ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOB_PLATFORM_")}
    environment["JOB_PLATFORM_HOME"] = str(home)
    with (home.parent / f"{home.name}.up.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "platform_api.cli.main", "up", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    return Platform(home, port, process)


def wait_until_ready(platform: Platform) -> None:
    """Return when /health answers 200."""
    deadline = time.monotonic() + READY_DEADLINE_SECONDS
    answer = "nothing"
    while time.monotonic() < deadline:
        if platform.process.poll() is not None:
            raise AssertionError(f"`up` ended with {platform.process.returncode}")
        try:
            response = httpx.get(f"{platform.base_url}/health", timeout=5, trust_env=False)
        except httpx.TransportError as error:
            answer = repr(error)
        else:
            if response.status_code == 200:
                return
            answer = response.text
        time.sleep(0.2)
    raise AssertionError(f"not ready after {READY_DEADLINE_SECONDS} s; the last answer: {answer}")


def stop(platform: Platform) -> None:
    """SIGTERM, and wait for an orderly end."""
    if platform.process.poll() is None:
        platform.process.send_signal(signal.SIGTERM)
        platform.process.wait(STOP_DEADLINE_SECONDS)


@contextmanager
def running(home: Path) -> Iterator[Platform]:
    """A ready platform; stopped at the end."""
    platform = start(home, free_port())
    try:
        wait_until_ready(platform)
        yield platform
    finally:
        stop(platform)


TERMINAL = {"success", "failed", "timed_out", "cancelled", "skipped", "crashed"}


def wait_for_end(client: httpx.Client, execution_id: str, seconds: float = 60) -> dict[str, Any]:
    """The execution once its status is final."""
    return wait_for(client, execution_id, TERMINAL, seconds)


def wait_for(client: httpx.Client, execution_id: str, statuses: set[str], seconds: float = 60) -> dict[str, Any]:
    """The execution once it has one of ``statuses``."""
    deadline = time.monotonic() + seconds
    execution: dict[str, Any] = {}
    while time.monotonic() < deadline:
        execution = client.get(f"/executions/{execution_id}").raise_for_status().json()
        if execution["status"] in statuses:
            return execution
        time.sleep(0.1)
    raise AssertionError(f"after {seconds} s still {execution}")
