"""A job every minute for some minutes, and how soon after "run now" its first line is on the stream.

`python -m bench.minute [--minutes 5] [--runs 10]`
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime

import httpx

from bench.figures import spread
from bench.platform import accounted_platform


def start_latencies(client: httpx.Client, minutes: int) -> list[float]:
    """Let one job tick ``minutes`` times; each run's own start minus its tick."""
    script = "import json, os, time\njson.dump(time.time(), open(os.environ['JOB_RESULT'], 'w'))\n"
    body = {"name": "every minute", "type": "python", "script": script, "schedule": "* * * * *"}
    job = client.post("/jobs", json=body).raise_for_status().json()["job_id"]
    deadline = time.time() + 60 * (minutes + 1)
    while time.time() < deadline:
        executions = client.get(f"/jobs/{job}/executions").raise_for_status().json()["items"]
        ended = [e for e in executions if e["ended_at"]]
        if len(ended) >= minutes:
            break
        time.sleep(2)
    return [e["result"] - datetime.fromisoformat(e["scheduled_for"]).timestamp() for e in ended]


def first_lines(client: httpx.Client, runs: int) -> list[float]:
    """From the request to run a job to the first event of its stream, each run on its own."""
    body = {"name": "now", "type": "python", "script": "print('first')"}
    job = client.post("/jobs", json=body).raise_for_status().json()["job_id"]
    return [_first_line(client, job) for _ in range(runs)]


def _first_line(client: httpx.Client, job: str) -> float:
    begun = time.perf_counter()
    execution = client.post(f"/jobs/{job}/run").raise_for_status().json()["execution_id"]
    taken = float("nan")
    with client.stream("GET", f"/executions/{execution}/logs/stream") as stream:
        for row in stream.iter_lines():
            if row.startswith("event: line") and taken != taken:
                taken = time.perf_counter() - begun
    return taken


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    with accounted_platform() as (platform, _), platform.client("admin") as client:
        print(f"run now to first line on the stream: {spread(first_lines(client, options.runs))}")
        print(f"script start minus tick, every minute: {spread(start_latencies(client, options.minutes))}")


if __name__ == "__main__":
    main()
