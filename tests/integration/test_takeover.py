"""kill -9 of one of two workers on a pool: the other one has its runs within 5 s and sees them to their end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.chaos.surroundings import SecondWorker, access, second_worker
from tests.running_platform import Platform, wait_for_end

pytestmark = pytest.mark.xdist_group("platform")

PROMISE_SECONDS = 5.0
SCRIPT = "echo begun; sleep 8; echo ended"
ENOUGH = 3

HELD = """
    SELECT count(*) FROM executions e JOIN workers w ON w.id = e.worker_id
    WHERE w.pid = %s AND e.status IN ('queued', 'running', 'retrying')
"""

SERVES = "SELECT 1 FROM workers WHERE pid = %s AND stopped_at IS NULL"


class Pool:
    """The platform's one, with a second worker on it."""

    def __init__(self, platform: Platform, client: httpx.Client, second: SecondWorker) -> None:
        self.client = client
        self.second = second
        self._database_url = access(platform).database_url

    def until_served(self) -> None:
        """The second worker takes a while to load."""
        deadline = time.monotonic() + 30
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            while connection.execute(SERVES, [self.second.process.pid]).fetchone() is None:
                assert time.monotonic() < deadline, "the second worker does not come"
                time.sleep(0.1)

    def held_by(self, pid: int) -> int:
        """How many runs a worker has."""
        with psycopg.connect(self._database_url) as connection:
            row = connection.execute(HELD, [pid]).fetchone()
        return int(row[0]) if row else 0

    def until_held(self, pid: int, least: int, most: int, seconds: float) -> float:
        """How long it takes until the worker has so many."""
        began = time.monotonic()
        while not least <= self.held_by(pid) <= most:
            assert time.monotonic() - began < seconds, f"{self.held_by(pid)} after {seconds} s"
            time.sleep(0.05)
        return time.monotonic() - began

    def run_until_it_has_enough(self, job: str) -> list[str]:
        """Both are offered each run, and whoever comes first has it."""
        runs: list[str] = []
        deadline = time.monotonic() + 30
        while self.held_by(self.second.process.pid) < ENOUGH:
            assert time.monotonic() < deadline, "the second worker takes nothing"
            runs.append(self.client.post(f"/jobs/{job}/run").raise_for_status().json()["execution_id"])
        return runs


@pytest.fixture
def pool(platform: Platform) -> Iterator[Pool]:
    with platform.client() as client, second_worker(platform) as second:
        yield Pool(platform, client, second)


def test_a_second_worker_takes_over_a_dead_ones_runs_within_five_seconds(pool: Pool) -> None:
    body = {"name": f"long {uuid.uuid4()}", "type": "shell", "script": SCRIPT, "concurrency": "allow"}
    job = pool.client.post("/jobs", json=body).raise_for_status().json()["job_id"]
    pool.until_served()
    runs = pool.run_until_it_has_enough(job)
    dead = pool.second.process.pid
    pool.second.kill()
    seconds = pool.until_held(dead, 0, 0, PROMISE_SECONDS)
    print(f"{len(runs)} runs of two workers; the dead one's were taken over after {seconds:.2f} s")
    for run in runs:
        execution = wait_for_end(pool.client, run)
        assert (execution["status"], len(execution["attempts"])) == ("success", 1)
        log = pool.client.get(f"/executions/{run}/logs", headers={"Accept": "text/plain"}).text
        assert log.splitlines() == ["begun", "ended"]
