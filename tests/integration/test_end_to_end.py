"""The main job, end to end, as `job-platform up` starts it: real PostgreSQL, real Prefect, real scripts."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running_platform import Platform, wait_for, wait_for_end

#: The documents' own bound; `bench` measures how much sooner it is.
LATEST_START = timedelta(seconds=10)

pytestmark = pytest.mark.xdist_group("platform")


@pytest.fixture
def maya(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client("maya") as client:
        yield client


def create(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = {"name": f"job {uuid.uuid4().hex[:8]}", "type": "python", "script": "print('hi')", **fields}
    response = client.post("/jobs", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


def run(client: httpx.Client, job: dict[str, Any], **overrides: Any) -> str:
    response = client.post(f"/jobs/{job['job_id']}/run", json=overrides or None)
    assert response.status_code == 202, response.text
    return str(response.json()["execution_id"])


def lines(client: httpx.Client, execution_id: str) -> list[tuple[str, str]]:
    items = client.get(f"/executions/{execution_id}/logs").raise_for_status().json()["items"]
    return [(line["stream"], line["line"]) for line in items]


def prefect(platform: Platform, path: str, **body: Any) -> Any:
    """Ask the platform's own Prefect server, as an administrator on this machine could."""
    access = json.loads((platform.home / "prefect.json").read_text())
    user, password = access["auth_string"].split(":", 1)
    response = httpx.post(f"{access['api_url']}{path}", json=body, auth=(user, password), timeout=20, trust_env=False)
    return response.raise_for_status().json()


def eventually(check: Any, seconds: float = 10) -> Any:
    """The first truthy answer of ``check``; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = check()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError("it did not become true in time")


def test_a_python_script_runs_and_its_two_streams_are_told_apart(maya: httpx.Client) -> None:
    script = "import sys, os\nprint('to out', sys.argv[1:])\nprint('to err', os.environ['REGION'], file=sys.stderr)\n"
    job = create(maya, script=script, arguments=["--full"], env={"REGION": "eu"})
    execution = wait_for_end(maya, run(maya, job))
    assert (execution["status"], execution["exit_code"]) == ("success", 0)
    assert set(lines(maya, execution["execution_id"])) == {("stdout", "to out ['--full']"), ("stderr", "to err eu")}


def test_a_shell_script_fails_with_its_exit_code_and_last_error_line(maya: httpx.Client) -> None:
    job = create(maya, type="bash", script="echo start; echo 'disk is full' >&2; exit 3")
    execution = wait_for_end(maya, run(maya, job))
    assert (execution["status"], execution["exit_code"]) == ("failed", 3)
    assert "disk is full" in execution["error_message"]
    letters = maya.get("/dead-letters").raise_for_status().json()["items"]
    assert execution["execution_id"] in [letter["execution_id"] for letter in letters]


def test_run_overrides_and_the_documented_environment_reach_the_script(maya: httpx.Client) -> None:
    script = (
        "import json, os, sys\n"
        "names = ['JOB_ID', 'JOB_NAME', 'EXECUTION_ID', 'ATTEMPT', 'SCHEDULED_FOR']\n"
        "json.dump({'argv': sys.argv[1:], 'x': os.environ['X'], **{n: os.environ[n] for n in names}},"
        " open(os.environ['JOB_RESULT'], 'w'))\n"
    )
    job = create(maya, script=script, arguments=["a"], env={"X": "1"})
    execution = wait_for_end(maya, run(maya, job, arguments=["b"], env={"X": "2"}))
    result = execution["result"]
    assert (result["argv"], result["x"], result["ATTEMPT"]) == (["b"], "2", "1")
    assert (result["JOB_ID"], result["JOB_NAME"]) == (job["job_id"], job["name"])
    assert (result["EXECUTION_ID"], result["SCHEDULED_FOR"]) == (execution["execution_id"], "")


def test_a_script_sees_nothing_of_the_platforms_environment(maya: httpx.Client) -> None:
    job = create(maya, type="shell", script="env; tr '\\0' '\\n' </proc/$PPID/environ")
    execution = wait_for_end(maya, run(maya, job))
    seen = "\n".join(line for _, line in lines(maya, execution["execution_id"]))
    assert "JOB_PLATFORM" not in seen
    assert "PREFECT" not in seen


def test_a_cron_job_runs_at_its_minute_and_prefect_shows_it(platform: Platform, maya: httpx.Client) -> None:
    job = create(maya, schedule="* * * * *")
    assert job["prefect_deployment_id"]

    def first() -> Any:
        items = maya.get(f"/jobs/{job['job_id']}/executions").raise_for_status().json()["items"]
        return [item for item in items if item["status"] == "success"]

    execution = eventually(first, 75)[0]
    tick = datetime.fromisoformat(execution["scheduled_for"])
    assert execution["triggered_by"] == "scheduled"
    assert tick.second == 0
    assert timedelta(0) <= datetime.fromisoformat(execution["started_at"]) - tick < LATEST_START

    def completed() -> Any:
        # A tick that came before Prefect had proposed it gets its flow run behind.
        now = maya.get(f"/executions/{execution['execution_id']}").raise_for_status().json()
        if not now["prefect_flow_run_id"]:
            return False
        found = prefect(platform, "/flow_runs/filter", flow_runs={"id": {"any_": [now["prefect_flow_run_id"]]}})
        return found and found[0]["state_type"] == "COMPLETED"

    eventually(completed)
    assert maya.delete(f"/jobs/{job['job_id']}").status_code == 204


def test_a_timeout_ends_the_whole_process_group_and_says_so(maya: httpx.Client, tmp_path: Path) -> None:
    evidence = tmp_path / "still-here"
    script = f"trap '' TERM; (trap '' TERM; sleep 14; touch {evidence}) & echo waiting; wait; sleep 100"
    job = create(maya, type="shell", script=script, timeout_seconds=1)
    execution = wait_for_end(maya, run(maya, job), 30)
    assert (execution["status"], execution["error_message"]) == ("timed_out", "Timed out after 1 second")
    time.sleep(max(0.0, 15 - execution["duration_seconds"]))  # until the orphan would have left its evidence
    assert not evidence.exists()


def test_a_retry_is_an_attempt_of_its_own_with_its_delay(maya: httpx.Client) -> None:
    script = "if [ $ATTEMPT = 2 ]; then echo again; else echo first; exit 1; fi"
    policy = {"max_retries": 2, "retry_delay_seconds": 2}
    job = create(maya, type="shell", script=script, retry_policy=policy)
    execution = wait_for_end(maya, run(maya, job))
    assert execution["status"] == "success"
    first, second = execution["attempts"]
    assert [(a["attempt"], a["status"], a["exit_code"]) for a in (first, second)] == [
        (1, "failed", 1),
        (2, "success", 0),
    ]
    waited = datetime.fromisoformat(second["started_at"]) - datetime.fromisoformat(first["ended_at"])
    assert timedelta(seconds=1.9) <= waited < timedelta(seconds=4)


def test_overlap_is_skipped_with_a_reason(maya: httpx.Client) -> None:
    job = create(maya, type="shell", script="sleep 3")
    first, second = run(maya, job), run(maya, job)
    skipped = wait_for_end(maya, second)
    assert skipped["status"] == "skipped"
    assert first in skipped["reason"]
    assert wait_for_end(maya, first)["status"] == "success"


def test_overlap_can_wait_its_turn(maya: httpx.Client) -> None:
    job = create(maya, type="shell", script="sleep 1", concurrency="queue")
    ends = [wait_for_end(maya, execution) for execution in [run(maya, job) for _ in range(3)]]
    assert [end["status"] for end in ends] == ["success"] * 3
    spans = sorted((end["started_at"], end["ended_at"]) for end in ends)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))


def test_cancel_ends_a_running_script(maya: httpx.Client) -> None:
    job = create(maya, type="shell", script="echo up; sleep 100")
    execution_id = run(maya, job)
    wait_for(maya, execution_id, {"running"})
    assert maya.post(f"/executions/{execution_id}/cancel").status_code == 202
    execution = wait_for_end(maya, execution_id, 20)
    assert (execution["status"], execution["reason"]) == ("cancelled", "Cancelled by maya@example.com")


def test_the_live_stream_shows_lines_while_the_script_runs_and_ends_with_the_verdict(maya: httpx.Client) -> None:
    job = create(
        maya, script="import time\nfor n in range(3):\n    print(n, time.time(), flush=True)\n    time.sleep(3)\n"
    )
    execution_id = run(maya, job)
    event, seen, verdict = "", [], None
    with maya.stream("GET", f"/executions/{execution_id}/logs/stream") as stream:
        for row in stream.iter_lines():
            if row.startswith("event:"):
                event = row.removeprefix("event:").strip()
            elif row.startswith("data:") and event == "line":
                seen.append(time.time() - float(json.loads(row[5:])["line"].split()[1]))
            elif row.startswith("data:") and event == "status":
                verdict = json.loads(row[5:])
    assert len(seen) == 3
    assert seen[0] < 6  # it ran for nine seconds
    assert verdict == {"status": "success", "exit_code": 0}


def test_an_edit_reaches_prefect_and_a_disabled_job_has_no_run_ahead(platform: Platform, maya: httpx.Client) -> None:
    job = create(maya, schedule="0 3 * * *", timezone="Europe/Berlin")

    def ahead() -> int:
        deployments = {"id": {"any_": [job["prefect_deployment_id"]]}}
        return int(
            prefect(
                platform,
                "/flow_runs/count",
                deployments=deployments,
                flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}},
            )
        )

    eventually(lambda: ahead() > 0, 5)
    maya.post(f"/jobs/{job['job_id']}/disable").raise_for_status()
    eventually(lambda: ahead() == 0, 5)
    maya.post(f"/jobs/{job['job_id']}/enable").raise_for_status()
    eventually(lambda: ahead() > 0, 5)
    edited = maya.patch(f"/jobs/{job['job_id']}", json={"schedule": "30 4 * * *"}).raise_for_status().json()
    assert edited["version"] == 2

    def at_half_past() -> Any:
        runs = prefect(
            platform, "/flow_runs/filter", deployments={"id": {"any_": [job["prefect_deployment_id"]]}}, limit=5
        )
        scheduled = [r for r in runs if r["state_type"] == "SCHEDULED"]
        return scheduled and all(":30:00" in r["expected_start_time"] for r in scheduled)

    eventually(at_half_past, 5)


def test_what_is_not_yours_does_not_exist(platform: Platform, maya: httpx.Client) -> None:
    job = create(maya)
    execution_id = run(maya, job)
    with platform.client("rajesh") as rajesh, platform.client("chris") as chris:
        for path in (f"/jobs/{job['job_id']}", f"/executions/{execution_id}", f"/executions/{execution_id}/logs"):
            assert rajesh.get(path).status_code == 404
            assert chris.get(path).status_code == 200
        assert chris.post(f"/jobs/{job['job_id']}/run").status_code == 403
        assert rajesh.post(f"/jobs/{job['job_id']}/run").status_code == 404


def test_an_idempotent_run_happens_once(maya: httpx.Client) -> None:
    job = create(maya)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = maya.post(f"/jobs/{job['job_id']}/run", headers=key)
    again = maya.post(f"/jobs/{job['job_id']}/run", headers=key)
    assert first.json() == again.json()


def test_one_time_jobs_run_once(maya: httpx.Client) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=4)
    job = create(maya, run_at=moment.isoformat())

    def ended() -> Any:
        items = maya.get(f"/jobs/{job['job_id']}/executions").raise_for_status().json()["items"]
        return [item for item in items if item["status"] == "success"]

    execution = eventually(ended, 20)[0]
    assert datetime.fromisoformat(execution["started_at"]) >= moment
    late = datetime.fromisoformat(execution["started_at"]) - datetime.fromisoformat(execution["scheduled_for"])
    assert timedelta(0) <= late < LATEST_START
    assert maya.get(f"/jobs/{job['job_id']}").json()["next_execution"] is None
