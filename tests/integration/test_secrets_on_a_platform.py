"""A secret on a real platform: a script gets it, its owner sees four characters of it, and nothing else keeps it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from platform_api.embedded.postgres import Cluster
from tests.running_platform import Platform, wait_for, wait_for_end

SCRIPT = """
import json, os, sys, time
value = os.environ["DB_PASSWORD"]
assert value in open("/proc/self/environ").read()
assert value not in open("/proc/self/cmdline").read()
print("got", value, flush=True)
print("complains", value, file=sys.stderr, flush=True)
json.dump({"value": value}, open(os.environ["JOB_RESULT"], "w"))
for _ in range(200):
    if os.path.exists("go"):
        break
    time.sleep(float(sys.argv[1]))
sys.exit("the end of " + value)
"""


@pytest.fixture
def maya(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client() as client:
        yield client


def secret(client: httpx.Client, value: str, scope: str = "own") -> str:
    name = f"secret-{uuid4()}"
    answer = client.post("/secrets", json={"name": name, "value": value, "scope": scope})
    assert answer.status_code == 201, answer.text
    return name


def run(client: httpx.Client, name: str, pause: str = "0") -> str:
    body = {"name": f"Uses {name}", "type": "python", "script": SCRIPT, "secrets": {"DB_PASSWORD": name}}
    job = client.post("/jobs", json=body | {"arguments": [pause]})
    assert job.status_code == 201, job.text
    return str(client.post(f"/jobs/{job.json()['job_id']}/run").json()["execution_id"])


def cluster_of(platform: Platform) -> Cluster:
    return Cluster(platform.home / "postgres", json.loads((platform.home / "ports.json").read_text())["postgres"])


def tables_that_hold(platform: Platform, database: str, value: str) -> list[str]:
    """Every table of a database with a row that mentions the value, as text or as bytes."""
    found = []
    with psycopg.connect(cluster_of(platform).url(database)) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s OR t::text LIKE %s").format(
                sql.Identifier(name)
            )
            row = connection.execute(query, (f"%{value}%", f"%{value.encode().hex()}%")).fetchone()
            found += [f"{database}.{name}"] if row and row[0] else []
    assert len(names) > 5
    return found


def files_that_hold(folder: Path, value: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """Every file below whose bytes, unpacked where they are packed, hold the value."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink() or path.relative_to(folder).parts[0] in but:
            continue
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        if content.startswith(b"\x1f\x8b"):
            content += gzip.decompress(content)
        if value.encode() in content:
            found.append(str(path.relative_to(folder)))
    return found


def test_a_script_gets_its_secret_and_nothing_keeps_it(platform: Platform, maya: httpx.Client) -> None:
    value = f"c0rrect-horse-{uuid4().hex}"
    name = secret(maya, value)
    execution_id = run(maya, name)
    execution = wait_for_end(maya, execution_id)
    masked = f"****{value[-4:]}"
    assert execution["error_message"] == f"Exit code 1: the end of {masked}"
    assert execution["result"] == {"value": masked}
    log = maya.get(f"/executions/{execution_id}/logs").json()
    lines = [line["line"] for line in log["items"]]
    assert sorted(lines) == sorted([f"got {masked}", f"complains {masked}", f"the end of {masked}"])
    shown = maya.get(f"/secrets/{name}").json()
    assert (shown["last_four"], shown["used_by"][0]["name"]) == (value[-4:], f"Uses {name}")
    assert tables_that_hold(platform, "job_platform", value) == []
    assert tables_that_hold(platform, "prefect", value) == []
    assert files_that_hold(platform.home, value, but=("postgres",)) == []
    with platform.client("admin") as admin:
        assert value not in admin.get("/audit-logs?limit=200").text


def test_while_a_script_runs_its_value_is_in_no_file_but_what_it_wrote_itself(
    platform: Platform, maya: httpx.Client
) -> None:
    value = f"c0rrect-horse-{uuid4().hex}"
    execution_id = run(maya, secret(maya, value), pause="1")
    wait_for(maya, execution_id, {"running"})
    with maya.stream("GET", f"/executions/{execution_id}/logs/stream") as stream:
        assert any("complains" in line for line in stream.iter_lines())
    held = files_that_hold(platform.home / "runs" / execution_id, value)
    # Its own output before it is masked, and its own result: in its folder, closed to others, until it is reported.
    assert {Path(path).name for path in held} <= {"log-0", ".job-result.json"}
    assert "code" not in {part for path in held for part in Path(path).parts}
    assert maya.post(f"/executions/{execution_id}/cancel").status_code in (200, 202)
    wait_for_end(maya, execution_id)
    assert tables_that_hold(platform, "job_platform", value) == []


def test_a_new_value_is_used_by_the_next_attempt(maya: httpx.Client) -> None:
    first, second = (f"value-{uuid4().hex}" for _ in range(2))
    name = secret(maya, first)
    execution_id = run(maya, name)
    job = wait_for_end(maya, execution_id)["job_id"]
    maya.put(f"/secrets/{name}", json={"value": second}).raise_for_status()
    again = maya.post(f"/jobs/{job}/run").json()["execution_id"]
    wait_for_end(maya, again)
    for run_, value in ((execution_id, first), (again, second)):
        assert f"got ****{value[-4:]}" in maya.get(f"/executions/{run_}/logs").text


def test_the_master_key_is_rotated_while_everything_runs(platform: Platform, maya: httpx.Client) -> None:
    name = secret(maya, "a value of hers")
    before = (platform.home / "master-key").read_text()
    # As an operator calls it: nothing but the home is known.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JOB_PLATFORM_")}
    command = [sys.executable, "-m", "platform_api.cli.main", "rotate-master-key"]
    told = subprocess.run(
        command,
        env=environment | {"JOB_PLATFORM_HOME": str(platform.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "data keys were wrapped anew" in told.stdout
    after = (platform.home / "master-key").read_text().splitlines()
    assert after[1:] == before.split()
    assert after[0] not in told.stdout
    execution_id = run(maya, name)
    wait_for_end(maya, execution_id)
    assert "got ****hers" in maya.get(f"/executions/{execution_id}/logs").text
    assert maya.put(f"/secrets/{name}", json={"value": "a new value"}).status_code == 200


def test_a_secret_that_is_taken_away_fails_the_run_and_says_so(maya: httpx.Client) -> None:
    name = secret(maya, "a value of hers")
    execution_id = run(maya, name)
    wait_for_end(maya, execution_id)
    job = maya.get(f"/executions/{execution_id}").json()["job_id"]
    assert maya.delete(f"/secrets/{name}").status_code == 409
    assert maya.delete(f"/secrets/{name}?force=true").status_code == 204
    again = maya.post(f"/jobs/{job}/run").json()["execution_id"]
    execution = wait_for_end(maya, again)
    assert (execution["status"], execution["error_message"]) == (
        "failed",
        f"The script could not be started: There is no secret {name} that the owner of this job may use",
    )


def test_a_team_mates_secret_is_of_no_use(platform: Platform, maya: httpx.Client) -> None:
    with platform.client("nadia") as nadia:
        theirs, teams = secret(nadia, "a value of hers"), secret(nadia, "a value of ours", "team")
    body = {"name": f"Curious {theirs}", "type": "shell", "script": "exit 0", "secrets": {"A": theirs}}
    assert maya.post("/jobs", json=body).status_code == 400
    execution_id = run(maya, teams)
    wait_for_end(maya, execution_id)
    assert "got ****\n" in maya.get(f"/executions/{execution_id}/logs?download=1").text.replace("****ours", "****")


def test_no_script_can_leave_a_core_file(maya: httpx.Client) -> None:
    body = {"name": f"Limits {uuid4()}", "type": "shell", "script": "cat /proc/self/limits"}
    job = maya.post("/jobs", json=body).json()["job_id"]
    execution_id = maya.post(f"/jobs/{job}/run").json()["execution_id"]
    wait_for_end(maya, execution_id)
    limits = maya.get(f"/executions/{execution_id}/logs?download=1").text
    [core] = [line for line in limits.splitlines() if "core file size" in line]
    assert core.split()[4:6] == ["1", "1"]


def test_no_process_that_holds_values_can_leave_a_core_file(platform: Platform) -> None:
    children = json.loads((platform.home / "children.json").read_text())
    for name in ("api", "worker"):
        pid = next(child["pid"] for child in children["children"] if child["name"] == name)
        [core] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file size" in line]
        assert core.split()[4:6] == ["1", "1"]
