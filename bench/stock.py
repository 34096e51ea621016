"""Prefect's stock process worker on a server and a database of its own, with a trivial flow: the yardstick."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.cpu import CpuAccount
from bench.figures import spread
from platform_api.embedded import postgres
from platform_api.embedded.postgres import Cluster, free_port

FLOW = """\
import time
from prefect import flow

@flow(name="trivial")
def trivial() -> None:
    print(time.time())
"""


def measure_stock(count: int) -> float:
    """Run ``count`` trivial runs due in the same second; print the figures and return CPU-seconds per run."""
    account = CpuAccount("stock")
    with tempfile.TemporaryDirectory(prefix="bench-stock-") as folder, _server(Path(folder), account) as environment:
        api = httpx.Client(base_url=environment["PREFECT_API_URL"], timeout=60, trust_env=False)
        due = _schedule(api, Path(folder), count)
        with _running(
            [sys.executable, "-m", "prefect", "worker", "start", "-p", "stock", "-t", "process"],
            Path(folder),
            environment,
            account,
        ):
            before = account.seconds()
            runs = _wait(api, count, due + 600)
            spent = account.seconds() - before
    account.close()
    completed = [run for run in runs if run["state_type"] == "COMPLETED"]
    print(f"stock process worker: {len(completed)} of {count} completed; CPU {spent / count:.2f} s per run")
    if completed:
        starts = [_seconds(run["start_time"]) - due for run in completed]
        print(f"stock process worker: flow start minus due time: {spread(starts)}")
    return spent / count


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


def _schedule(api: httpx.Client, folder: Path, count: int) -> float:
    (folder / "trivial.py").write_text(FLOW)
    flow = api.post("/flows/", json={"name": "trivial"}).raise_for_status().json()
    api.post("/work_pools/", json={"name": "stock", "type": "process"}).raise_for_status()
    deployment = {
        "name": "trivial",
        "flow_id": flow["id"],
        "work_pool_name": "stock",
        "path": str(folder),
        "entrypoint": "trivial.py:trivial",
    }
    made = api.post("/deployments/", json=deployment).raise_for_status().json()
    due = time.time() + 20
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment}}
    for _ in range(count):
        api.post(f"/deployments/{made['id']}/create_flow_run", json={"state": state}).raise_for_status()
    return float(int(due))


def _wait(api: httpx.Client, count: int, deadline: float) -> list[dict[str, Any]]:
    while True:
        runs: list[dict[str, Any]] = api.post("/flow_runs/filter", json={"limit": 200}).raise_for_status().json()
        ended = [run for run in runs if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")]
        if len(ended) >= count or time.time() > deadline:
            return runs
        time.sleep(1)


@contextmanager
def _server(folder: Path, account: CpuAccount) -> Iterator[dict[str, str]]:
    cluster = Cluster(folder / "postgres", free_port())
    postgres.initialise(cluster)
    drop = postgres.run_as().get("preexec_fn")
    join = account.join()

    def enter() -> None:
        join()
        if drop is not None:
            drop()

    with cluster.log.open("ab") as log:
        database = subprocess.Popen(
            postgres.server_command(cluster),
            stdout=log,
            stderr=log,
            cwd="/",
            env=postgres.environment(),
            preexec_fn=enter,
        )
    try:
        postgres.wait_until_ready(cluster, database)
        postgres.ensure_database(cluster, "prefect")
        port = free_port()
        environment = _environment(folder, cluster.url("prefect"), port)
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "prefect.server.api.server:create_app",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ]
        with _running(command, folder, environment, account):
            _wait_for_server(environment["PREFECT_API_URL"])
            yield environment
    finally:
        database.terminate()
        database.wait(30)


def _environment(folder: Path, database_url: str, port: int) -> dict[str, str]:
    return os.environ | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database_url.replace("postgresql://", "postgresql+asyncpg://"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_STATIC_DIRECTORY": str(folder / "ui"),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def _wait_for_server(api_url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{api_url}/health", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("the stock Prefect server did not come up")


@contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str], account: CpuAccount) -> Iterator[None]:
    with (folder / "stock.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=folder, preexec_fn=account.join()
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
