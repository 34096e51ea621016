"""How long lists, pages of history and the dashboard take: `python -m bench.lists [--jobs 5000] [--executions 720000]`.

A real platform with so much in its database; each request alone, and then all of them by many users at once. The
figures to reach are in `docs/explanation/figures.md`: 50 ms for lists, 100 ms for any, 300 ms for the dashboard (p95).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import httpx
import psycopg

from bench.figures import percentile
from bench.platform import accounted_platform
from tests.running_platform import Platform

_TEAMS = """
    INSERT INTO teams (id, name) SELECT gen_random_uuid(), 'team ' || i FROM generate_series(1, 45) i;
    INSERT INTO users (id, email, display_name, role, team_id)
    SELECT gen_random_uuid(), 'user' || row_number() OVER () || '@example.com', t.name, 'job_creator', t.id
    FROM (SELECT id, name FROM teams) t, generate_series(1, 10) i WHERE t.name LIKE 'team %'
"""
# Disabled, so that nothing of them runs while their lists are looked at.
_JOBS = """
    WITH owners AS (SELECT id, team_id, row_number() OVER () AS place, count(*) OVER () AS all_of_them
                    FROM users WHERE role = 'job_creator')
    INSERT INTO jobs (id, name, type, tags, team_id, owner_id, status, version, spec, synced_generation)
    SELECT gen_random_uuid(), 'nightly load ' || i, model.type, ARRAY['etl', 'tag-' || mod(i, 20)],
           owners.team_id, owners.id, 'disabled', 1, model.spec, 1
    FROM (SELECT * FROM jobs LIMIT 1) model, generate_series(1, %(jobs)s) i
    JOIN owners ON owners.place = 1 + mod(i, owners.all_of_them)
"""
_EXECUTIONS = """
    INSERT INTO executions (id, job_id, job_version, pool, status, triggered_by, scheduled_for, due_at, queued_at,
                            started_at, ended_at, exclusive)
    SELECT gen_random_uuid(), j.id, 1, 'local', CASE WHEN random() < 0.95 THEN 'success' ELSE 'failed' END, 'scheduled',
           at, at, at, at, at + interval '12 seconds', true
    FROM jobs j, LATERAL (SELECT now() - n * interval '15 hours' AS at FROM generate_series(1, %(each)s) n) moments
    WHERE j.status = 'disabled'
"""
#: What people look at; {job} and {execution} are replaced.
REQUESTS: Mapping[str, str] = {
    "jobs": "/jobs",
    "jobs, searched": "/jobs?q=load 49",
    "jobs, last run failed": "/jobs?last_status=failed",
    "a job": "/jobs/{job}",
    "a job's history": "/jobs/{job}/executions?limit=30",
    "a job's figures": "/jobs/{job}/metrics",
    "executions": "/executions",
    "failed executions": "/executions?status=failed",
    "an execution": "/executions/{execution}",
    "dead letters": "/dead-letters",
    "dashboard": "/dashboard",
}


def fill(platform: Platform, jobs: int, executions: int) -> None:
    """Teams, people, jobs and their history, by SQL."""
    with platform.client() as client:
        client.post("/jobs", json={"name": "model", "type": "shell", "script": "true"}).raise_for_status()
    with psycopg.connect(platform.database_url(), autocommit=True) as connection:
        connection.execute(_TEAMS)
        connection.execute(_JOBS, {"jobs": jobs})
        connection.execute(_EXECUTIONS, {"each": executions // jobs})
        connection.execute("VACUUM ANALYZE")


def addresses(platform: Platform) -> dict[str, str]:
    """The requests, with a job and an execution that exist."""
    with platform.client("admin") as client:
        job = client.get("/jobs", params={"q": "nightly"}).json()["items"][0]["job_id"]
        execution = client.get(f"/jobs/{job}/executions").json()["items"][0]["execution_id"]
    return {name: path.format(job=job, execution=execution) for name, path in REQUESTS.items()}


def alone(platform: Platform, who: str, paths: Mapping[str, str], times: int) -> None:
    """One request at a time."""
    with platform.client(who) as client:
        for name, path in paths.items():
            taken = [_timed(client, path) for _ in range(times)]
            print(_line(name, taken))


def _line(name: str, taken: Sequence[float]) -> str:
    p95, median = (1000 * percentile(taken, share) for share in (0.95, 0.5))
    return f"  {name:24} p95 {p95:6.1f} ms, median {median:6.1f}"


def _timed(client: httpx.Client, path: str) -> float:
    begun = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - begun


async def together(platform: Platform, paths: Mapping[str, str], users: int, think: float, seconds: float) -> None:
    """So many users, each of whom looks at something and thinks about it for ``think`` seconds on average."""
    taken: defaultdict[str, list[float]] = defaultdict(list)
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=users, max_keepalive_connections=users)
    headers = {"X-API-Key": platform.key("admin")}
    url = f"{platform.base_url}/api/v1"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits, trust_env=False) as client:

        async def user(number: int) -> None:
            chance = random.Random(number)  # noqa: S311 - a repeatable choice
            while time.monotonic() < until:
                await asyncio.sleep(chance.expovariate(1 / think))
                name = chance.choice(list(paths))
                begun = time.perf_counter()
                (await client.get(paths[name])).raise_for_status()
                taken[name].append(time.perf_counter() - begun)

        await asyncio.gather(*(user(number) for number in range(users)))
    everything = [value for values in taken.values() for value in values]
    print(f"{users} users at once, {len(everything) / seconds:.0f} requests a second:")
    for name, values in [*sorted(taken.items()), ("all", everything)]:
        print(_line(name, values))


def main() -> None:
    """Fill, then look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--executions", type=int, default=720_000)
    parser.add_argument("--users", type=int, default=150)
    parser.add_argument("--think", type=float, default=5.0, help="seconds between two requests of a user")
    options = parser.parse_args()
    with accounted_platform() as (platform, _):
        begun = time.monotonic()
        fill(platform, options.jobs, options.executions)
        print(f"{options.jobs} jobs, {options.executions} executions in {time.monotonic() - begun:.0f} s")
        paths = addresses(platform)
        lists = {name: path for name, path in paths.items() if "{" not in REQUESTS[name]}
        for who in ("admin", "maya", "chris"):
            print(f"{who}, one request at a time:")
            alone(
                platform,
                who,
                paths if who == "admin" else lists,
                30,
            )
        asyncio.run(together(platform, paths, options.users, options.think, 30))


if __name__ == "__main__":
    main()
