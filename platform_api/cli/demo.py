"""The guided tour: sample jobs through the REST API, one run with its live log, its history, and where to go next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from platform_api.embedded.start import Running

#: Whose job the tour runs.
MAYA = "maya@example.com"
RUN_SECONDS = 120.0

HELLO = """\
import json, os, platform, time

print(f"Hello from {os.environ['JOB_NAME']}, attempt {os.environ['ATTEMPT']}, Python {platform.python_version()}")
for step in range(1, 4):
    print(f"step {step} of 3", flush=True)
    time.sleep(0.5)
with open(os.environ["JOB_RESULT"], "w") as file:
    json.dump({"steps": 3}, file)
print("done")
"""

BACKUP = """\
set -eu
echo "backing up $TARGET"
tar -cf - /etc/hostname 2>/dev/null | wc -c
echo "backup finished"
"""

INGESTION = """\
import random

rows = random.randint(900, 1100)
print(f"fetched {rows} rows from the API")
"""

FLAKY = """\
import os, sys

print(f"attempt {os.environ['ATTEMPT']}: the warehouse does not answer", file=sys.stderr)
sys.exit(3)
"""

#: In the order in which they are created; the first one is run.
SAMPLES: tuple[dict[str, Any], ...] = (
    {
        "name": "Hello",
        "description": "Says hello every five minutes.",
        "type": "python",
        "script": HELLO,
        "schedule": "*/5 * * * *",
        "timeout_minutes": 5,
        "tags": ["sample"],
    },
    {
        "name": "Nightly backup",
        "description": "A shell script at two in the morning, Berlin time.",
        "type": "shell",
        "script": BACKUP,
        "env": {"TARGET": "warehouse"},
        "schedule": "0 2 * * *",
        "timezone": "Europe/Berlin",
        "timeout_minutes": 30,
        "retry_policy": {"max_retries": 2, "retry_delay_minutes": 5},
        "tags": ["sample", "backup"],
    },
    {
        "name": "Hourly API ingestion",
        "description": "Fetches rows at every full hour.",
        "type": "python",
        "script": INGESTION,
        "schedule": "@hourly",
        "timeout_minutes": 15,
        "tags": ["sample", "etl"],
    },
    {
        "name": "Flaky export",
        "description": "Fails, is tried again twice, and then waits for somebody in the dead letters.",
        "type": "python",
        "script": FLAKY,
        "retry_policy": {"max_retries": 2, "retry_delay_seconds": 10},
        "tags": ["sample"],
    },
)


async def show(running: Running, *, leave: bool) -> int | None:
    """The tour; with ``leave`` its exit status: 0 only if the sample run succeeded."""
    try:
        status = await asyncio.to_thread(_tour, running)
    except httpx.HTTPError as error:
        running.progress.say(f"the tour failed: {error}")
        return 1
    if leave:
        return 0 if status == "success" else 1
    return None


def _tour(running: Running) -> str:
    say = running.progress.say
    with _client(running) as client:
        jobs = [_ensure_job(client, sample) for sample in SAMPLES]
        say(f"sample jobs of {MAYA}: {', '.join(job['name'] for job in jobs)}")
        execution_id = _posted(client, f"/jobs/{jobs[0]['job_id']}/run", {})["execution_id"]
        say(f"running {jobs[0]['name']!r}; its live log:")
        for line in _live_log(client, execution_id):
            print(line, flush=True)
        execution = _got(client, f"/executions/{execution_id}")
        say(ending(execution))
        _print_history(client, jobs[0], running)
        _posted(client, f"/jobs/{jobs[3]['job_id']}/run", {})
    _print_addresses(running)
    return str(execution["status"])


def _client(running: Running) -> httpx.Client:
    users = json.loads(running.home.credentials.read_text())["users"]
    key = next(user["api_key"] for user in users if user["email"] == MAYA)
    # The environment's proxies have no business on loopback.
    return httpx.Client(base_url=f"{running.local_url}/api/v1", headers={"X-API-Key": key}, timeout=30, trust_env=False)


def _ensure_job(client: httpx.Client, sample: dict[str, Any]) -> dict[str, Any]:
    """The job as it was created now or by an earlier tour."""
    answer = client.post("/jobs", json=sample)
    if answer.status_code != httpx.codes.CONFLICT:
        return dict(answer.raise_for_status().json())
    found = _got(client, "/jobs", q=sample["name"], limit=200)["items"]
    return next(job for job in found if job["name"] == sample["name"])


def _live_log(client: httpx.Client, execution_id: str) -> Iterator[str]:
    """The log's lines as they come, from the stream of server-sent events; it ends with the run."""
    address = f"/executions/{execution_id}/logs/stream"
    with client.stream("GET", address, timeout=httpx.Timeout(30, read=RUN_SECONDS)) as response:
        response.raise_for_status()
        yield from log_lines(response.iter_lines())


def log_lines(stream: Iterator[str]) -> Iterator[str]:
    """The lines within server-sent events, until the one that tells the status."""
    event = ""
    for line in stream:
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "status":
            return
        elif name == "data" and event == "line":
            yield _as_text(json.loads(value))


def _as_text(line: dict[str, Any]) -> str:
    return f"    {line['timestamp'][11:23]} {line['stream']:<6} | {line['line']}"


def ending(execution: dict[str, Any]) -> str:
    """A run that was skipped or never started has taken no time."""
    seconds = execution["duration_seconds"]
    taken = "" if seconds is None else f" after {seconds:.1f} s"
    return f"it ended: {execution['status']}{taken}, result {execution['result']}"


def _print_history(client: httpx.Client, job: dict[str, Any], running: Running) -> None:
    running.progress.say(f"history of {job['name']!r}:")
    for execution in _got(client, f"/jobs/{job['job_id']}/executions", limit=5)["items"]:
        started = (execution["started_at"] or "-")[:19]
        print(f"    {started}  {execution['status']:<9}  {execution['triggered_by']:<9}  {execution['execution_id']}")


def _print_addresses(running: Running) -> None:
    for name, value in (
        ("web UI", f"{running.base_url} (sign in as {MAYA})"),
        ("API docs", f"{running.base_url}/api/docs"),
        ("health", f"{running.base_url}/health"),
        ("metrics", f"{running.base_url}/metrics"),
        ("API keys", str(running.home.credentials)),
        ("logs", str(running.home.logs)),
    ):
        print(f"    {name:<9} {value}", flush=True)


def _got(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    return dict(client.get(path, params=parameters).raise_for_status().json())


def _posted(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return dict(client.post(path, json=body).raise_for_status().json())
