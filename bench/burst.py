"""Jobs due in the same second: the script's own start minus its tick, lost and doubled runs, CPU per run.

`python -m bench.burst [--jobs 100] [--stock 20] [--sleep 0]`. With `--stock`, trivial runs go through Prefect's stock
process worker on a server of its own in the same run, so that the ratio does not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bench.cpu import CpuAccount
from bench.figures import percentile, spread
from bench.platform import accounted_platform
from bench.stock import measure_stock
from tests.running_platform import Platform

#: Creating jobs takes this long at most for each, so the tick is set behind it.
SECONDS_PER_CREATION = 0.12
SETTLE_SECONDS = 50
#: The API is asked, and processes' shares are counted, for so long after the tick.
LOOK_SECONDS = 5


def script(evidence: Path, sleep: float) -> str:
    """Writes its own start to a file named by its execution, a second start to a second line."""
    # Without a process of its own, which would take as long as the start that it is to measure.
    return f'echo "$EPOCHREALTIME" >> "{evidence}/$EXECUTION_ID.$ATTEMPT"\nsleep {sleep}\n'


def create_jobs(client: httpx.Client, count: int, tick: datetime, text: str) -> list[str]:
    """One-time jobs, all due at ``tick``."""

    def create(number: int) -> str:
        body = {"name": f"burst {number}", "type": "shell", "script": text, "run_at": tick.isoformat()}
        return str(client.post("/jobs", json=body).raise_for_status().json()["job_id"])

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(create, range(count)))


def wait_for_verdicts(client: httpx.Client, jobs: list[str], tick: datetime, sleep: float) -> list[dict[str, Any]]:
    """Every execution of the burst, once each job has a final one or two minutes have passed."""
    deadline = tick.timestamp() + sleep + 120
    while True:
        executions = all_executions(client)
        ended = {e["job_id"] for e in executions if e["ended_at"]}
        if len(ended) >= len(jobs) or time.time() > deadline:
            return executions
        time.sleep(1)


def all_executions(client: httpx.Client) -> list[dict[str, Any]]:
    """Every page of the list."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = client.get("/executions", params=parameters).raise_for_status().json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def api_latency(client: httpx.Client, until: float) -> list[float]:
    """How long `GET /jobs` takes while the burst runs."""
    taken = []
    while time.time() < until:
        begun = time.perf_counter()
        client.get("/jobs").raise_for_status()
        taken.append(time.perf_counter() - begun)
        time.sleep(0.1)
    return taken


def reports_behind(platform: Platform) -> tuple[float, float]:
    """Backlog and lag of what Prefect is still to be told, from the metrics page."""
    page = httpx.get(f"{platform.base_url}/metrics", trust_env=False).text
    values = dict(row.rsplit(" ", 1) for row in page.splitlines() if row and not row.startswith("#"))
    return (
        float(values.get("job_platform_prefect_reports_backlog", "nan")),
        float(values.get("job_platform_prefect_reports_lag_seconds", "nan")),
    )


def follow_reports(platform: Platform, deadline: float) -> tuple[float, float]:
    """Wait until Prefect has been told everything; the longest lag seen and the time it took."""
    begun, longest = time.time(), 0.0
    while time.time() < deadline:
        backlog, lag = reports_behind(platform)
        longest = max(longest, lag)
        if backlog == 0:
            break
        time.sleep(1)
    return longest, time.time() - begun


def measure(platform: Platform, account: CpuAccount, count: int, sleep: float) -> float:
    """Run one burst, print its figures and return CPU-seconds per run."""
    evidence = platform.home.parent / "evidence"
    tick = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=SETTLE_SECONDS + count * SECONDS_PER_CREATION)
    with platform.client("admin") as client:
        begun = time.time()
        jobs = create_jobs(client, count, tick, script(evidence, sleep))
        print(f"{count} jobs created in {time.time() - begun:.1f} s, due at {tick:%H:%M:%S}")
        time.sleep(max(0.0, tick.timestamp() - SETTLE_SECONDS - time.time()))
        before = account.seconds()
        time.sleep(max(0.0, tick.timestamp() - 1 - time.time()))
        shares = account.shares()
        latencies = api_latency(client, tick.timestamp() + LOOK_SECONDS)
        shares = account.shares() - shares
        executions = wait_for_verdicts(client, jobs, tick, sleep)
    longest, caught_up = follow_reports(platform, time.time() + 300)
    spent = account.seconds() - before
    report(evidence, tick, count, executions)
    spent_by = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in shares.most_common())
    print(f"CPU-seconds in the first {LOOK_SECONDS} s: {spent_by}")
    print(f"API during the burst: GET /jobs p95 {1000 * percentile(latencies, 0.95):.0f} ms")
    print(f"Prefect was told everything {caught_up:.0f} s after the last end; longest lag seen {longest:.0f} s")
    per_run = spent / count
    kind = "all processes" if account.exact else "whole machine"
    print(f"CPU from claim to last report, {kind}: {spent:.1f} s = {per_run:.3f} s per run")
    return per_run


def report(evidence: Path, tick: datetime, count: int, executions: list[dict[str, Any]]) -> None:
    """Start latency by the scripts' own clock; lost and doubled by their own evidence."""
    starts = {file.name: [float(row) for row in file.read_text().split()] for file in evidence.iterdir()}
    late = [min(moments) - tick.timestamp() for moments in starts.values()]
    doubled = sum(len(moments) > 1 for moments in starts.values()) + max(0, len(starts) - count)
    verdicts = {e["status"]: sum(x["status"] == e["status"] for x in executions) for e in executions}
    print(f"script start minus tick: {spread(late)}, earliest {min(late):.3f} s")
    print(f"lost {count - len(starts)}, doubled {doubled}, verdicts {json.dumps(verdicts)}")


def main() -> None:
    """Measure ours, then Prefect's stock worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--stock", type=int, default=20)
    parser.add_argument("--sleep", type=float, default=0)
    options = parser.parse_args()
    with accounted_platform() as (platform, account):
        ours = measure(platform, account, options.jobs, options.sleep)
    if options.stock:
        stock = measure_stock(options.stock)
        print(f"ratio: the stock process worker spends {stock / ours:.0f} times as much CPU per run")


if __name__ == "__main__":
    main()
