"""kill -9 of the worker while scripts run: how many ends are reported, each once, after its restart.

`python -m bench.adoption [--scripts 20] [--sleep 60]`
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time

import httpx

from bench.platform import accounted_platform
from tests.running_platform import Platform, wait_for, wait_for_end


def worker_pid(platform: Platform) -> int:
    """The worker's process, as the supervisor recorded it."""
    report = json.loads((platform.home / "children.json").read_text())
    return next(int(child["pid"]) for child in report["children"] if child["name"].startswith("worker"))


def start_scripts(client: httpx.Client, count: int, sleep: float, evidence: str) -> list[str]:
    """Start them all and return once each runs."""
    script = f'echo started; echo $$ >> "{evidence}/$EXECUTION_ID"; sleep {sleep}; echo ended'
    ids = []
    for number in range(count):
        body = {"name": f"adopt {number}", "type": "shell", "script": script}
        job = client.post("/jobs", json=body).raise_for_status().json()["job_id"]
        ids.append(client.post(f"/jobs/{job}/run").raise_for_status().json()["execution_id"])
    for execution in ids:
        wait_for(client, execution, {"running"})
    return ids


def main() -> None:
    """Kill, wait and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=int, default=20)
    parser.add_argument("--sleep", type=float, default=60)
    options = parser.parse_args()
    with accounted_platform() as (platform, _), platform.client("admin") as client:
        evidence = platform.home.parent / "evidence"
        ids = start_scripts(client, options.scripts, options.sleep, str(evidence))
        killed = worker_pid(platform)
        os.kill(killed, signal.SIGKILL)
        begun = time.time()
        ends = [wait_for_end(client, execution, options.sleep + 60) for execution in ids]
        whole = sum(_log(client, execution) == ["started", "ended"] for execution in ids)
        once = sum(len(file.read_text().split()) == 1 for file in evidence.iterdir())
        verdicts = {end["status"]: sum(e["status"] == end["status"] for e in ends) for end in ends}
        print(f"worker {killed} killed with {len(ids)} scripts running; all ended after {time.time() - begun:.0f} s")
        print(f"verdicts {verdicts}; scripts started exactly once: {once}; logs whole: {whole}")


def _log(client: httpx.Client, execution: str) -> list[str]:
    items = client.get(f"/executions/{execution}/logs").raise_for_status().json()["items"]
    return [item["line"] for item in items]


if __name__ == "__main__":
    main()
