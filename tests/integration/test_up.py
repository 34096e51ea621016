"""`job-platform up`: everything on one machine, supervised, with its processes killed one by one and all at once.

The tests share one home and leave it healthy, because every start costs seconds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from platform_api.embedded.postgres import IMPOSSIBLE_PID, free_port
from platform_api.embedded.processes import Identity
from tests.running_platform import Platform, start, stop, wait_for_end, wait_until_ready

pytestmark = pytest.mark.xdist_group("up")

STOP_PROMISE_SECONDS = 15.0
SECRET_FILES = ("api-key-pepper", "prefect-password", "postgres/password", "postgres/application-password")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("up")) / "home"


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[Platform]:
    platform = start(home, free_port())
    try:
        wait_until_ready(platform)
        yield platform
    finally:
        stop(platform)


def health(platform: Platform) -> dict[str, Any]:
    return dict(httpx.get(f"{platform.base_url}/health", timeout=5, trust_env=False).json())


def children(home: Path) -> dict[str, Identity]:
    report = json.loads((home / "children.json").read_text())
    return {c["name"]: Identity(c["pid"], c["started"]) for c in report["children"] if c["pid"]}


def family(pid: int) -> list[Identity]:
    """The process and everything below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        waiting += parents.get(current, [])
        identity = Identity.of(current)
        if identity is not None:
            found.append(identity)
    return found


def all_gone(processes: list[Identity], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    return all(process.wait(deadline - time.monotonic()) for process in processes)


def eventually(check: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def another_up(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "platform_api.cli.main", "up", "--port", str(free_port())],
        env={**os.environ, "JOB_PLATFORM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_fresh_start_ends_healthy_with_everything_supervised(served: Platform) -> None:
    found = health(served)
    assert found["status"] == "ok", found
    assert set(found["checks"]) == {"database", "prefect", "worker", "scheduler", "reports", "supervisor"}
    assert found["checks"]["supervisor"]["detail"] == "4 processes run"
    assert set(children(served.home)) == {"api", "worker", "prefect", "postgres"}


def test_the_credentials_are_as_the_contract_says_and_private(served: Platform) -> None:
    document = json.loads((served.home / "credentials.json").read_text())
    assert document["base_url"] == served.base_url
    assert [(u["email"], u["role"], u["team"]) for u in document["users"]] == [
        ("admin@example.com", "admin", "platform"),
        ("maya@example.com", "job_creator", "devops"),
        ("nadia@example.com", "job_creator", "devops"),
        ("rajesh@example.com", "job_creator", "data-engineering"),
        ("chris@example.com", "team_viewer", "devops"),
    ]
    with served.client("chris") as chris:
        assert chris.get("/users/me").raise_for_status().json()["email"] == "chris@example.com"


def test_the_home_and_every_file_with_a_secret_is_for_its_owner_only(served: Platform) -> None:
    assert stat.S_IMODE(served.home.stat().st_mode) == 0o700
    for name in ("credentials.json", "prefect.json", *SECRET_FILES):
        assert stat.S_IMODE((served.home / name).stat().st_mode) == 0o600, name


def test_no_secret_is_on_a_command_line(served: Platform) -> None:
    secrets = [(served.home / name).read_text() for name in SECRET_FILES]
    lines = [Path(f"/proc/{p.pid}/cmdline").read_text() for p in family(served.process.pid)]
    assert len(lines) > 4
    assert not [line for line in lines if any(secret.strip() in line for secret in secrets)]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_the_api_and_the_worker_may_add_to_the_audit_trail_and_nothing_else(served: Platform, name: str) -> None:
    environment = Path(f"/proc/{children(served.home)[name].pid}/environ").read_text().split("\0")
    given = dict(line.partition("=")[::2] for line in environment if line.startswith("JOB_PLATFORM_"))
    owner = (served.home / "postgres" / "password").read_text()
    assert not [key for key, value in given.items() if owner in value]
    with psycopg.connect(given["JOB_PLATFORM_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM audit_log").fetchone() == (True,)
        for act in ("UPDATE audit_log SET reason = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_chain"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(act)
            connection.rollback()


def test_the_trail_of_a_home_can_be_verified_from_its_command_line(served: Platform) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "platform_api.cli.main", "audit", "verify", "--json"],
        env={**os.environ, "JOB_PLATFORM_HOME": str(served.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["valid"]) == (0, True), done.stderr
    with served.client("admin") as admin:
        assert admin.get("/audit-logs?action=settings.changed").raise_for_status().json()["items"]


def test_a_second_up_is_refused_without_harm(served: Platform) -> None:
    before = children(served.home)
    second = another_up(served.home)
    assert second.returncode != 0
    assert f"already running (pid {served.process.pid})" in second.stderr
    assert children(served.home) == before
    assert health(served)["status"] == "ok"


@pytest.mark.parametrize("name", ["worker", "api", "postgres"])
def test_a_process_that_is_killed_comes_back_and_health_says_so(served: Platform, name: str) -> None:
    before = children(served.home)[name]
    before.signal(signal.SIGKILL)
    eventually(lambda: children(served.home).get(name, before) != before, 20)

    def is_back() -> bool:
        found = health(served)
        told = found["checks"]["supervisor"]
        return (
            found["status"] == "degraded" and re.search(rf"{name} is running, restarts: \d", told["detail"]) is not None
        )

    eventually(is_back, 30)
    detail = health(served)["checks"]["supervisor"]["detail"]
    assert f"{name} is running" in detail
    assert "killed by SIGKILL" in detail


def test_sigterm_stops_everything_in_time_and_a_later_start_finds_everything(served: Platform) -> None:
    with served.client() as maya:
        job = (
            maya.post("/jobs", json={"name": "kept", "type": "shell", "script": "echo kept"}).raise_for_status().json()
        )
    keys = (served.home / "credentials.json").read_text()
    processes = family(served.process.pid)
    began = time.monotonic()
    served.process.terminate()
    assert served.process.wait(STOP_PROMISE_SECONDS) == 0
    assert time.monotonic() - began < STOP_PROMISE_SECONDS
    assert all_gone(processes, 0.5)
    served.process = start(served.home, served.port).process
    wait_until_ready(served)
    assert (served.home / "credentials.json").read_text() == keys
    with served.client() as maya:
        assert maya.get(f"/jobs/{job['job_id']}").raise_for_status().json()["name"] == "kept"


def test_kill_minus_nine_of_up_leaves_no_process_and_the_next_up_adopts_the_running_job(served: Platform) -> None:
    script = "echo begun; sleep 12; echo ended"
    with served.client() as maya:
        job = maya.post("/jobs", json={"name": "long", "type": "shell", "script": script}).raise_for_status().json()
        execution = maya.post(f"/jobs/{job['job_id']}/run").raise_for_status().json()["execution_id"]
        eventually(lambda: maya.get(f"/executions/{execution}").json()["status"] == "running", 10)
    supervised = list(children(served.home).values())
    served.process.kill()
    served.process.wait()
    assert all_gone(supervised, 10)
    served.process = start(served.home, served.port).process
    wait_until_ready(served)
    with served.client() as maya:
        ended = wait_for_end(maya, execution)
        lines = [line["line"] for line in maya.get(f"/executions/{execution}/logs").json()["items"]]
    assert ended["status"] == "success"
    assert len(ended["attempts"]) == 1
    assert lines == ["begun", "ended"]


def test_a_start_after_a_crash_survives_a_stranger_with_postgres_old_number(served: Platform) -> None:
    served.process.kill()
    served.process.wait()
    assert all_gone(list(children(served.home).values()), 10)
    pid_file = served.home / "postgres" / "data" / "postmaster.pid"
    rest = pid_file.read_text().split("\n", 1)[1] if pid_file.exists() else f"{pid_file.parent}\n0\n5432\n\n127.0.0.1\n"
    pid_file.write_text(f"{os.getpid()}\n{rest}")
    served.process = start(served.home, served.port).process
    wait_until_ready(served)
    assert int(pid_file.read_text().split("\n", 1)[0]) not in {os.getpid(), IMPOSSIBLE_PID}


def test_a_port_that_is_taken_is_named(home: Path, served: Platform, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "platform_api.cli.main", "up", "--port", str(served.port)],
        env={**os.environ, "JOB_PLATFORM_HOME": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {served.port} of 127.0.0.1 is in use" in done.stderr


def test_the_demo_runs_its_sample_and_runs_again_on_the_same_home(served: Platform) -> None:
    stop(served)
    for runs in (1, 2):
        done = demo(served)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "| step 3 of 3" in done.stdout
        assert "it ended: success" in done.stdout
        assert len(re.findall(r"success +api", done.stdout)) == runs
        assert f"{served.base_url}/api/docs" in done.stdout


def demo(platform: Platform) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "platform_api.cli.main", "demo", "--exit", "--port", str(platform.port)],
        env={**os.environ, "JOB_PLATFORM_HOME": str(platform.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
