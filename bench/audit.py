"""What the chain of the audit trail costs (decision 0017): `python -m bench.audit [--rounds 3] [--writers 16]`.

Writes with and without the trigger that links an entry, in turns on the same server, which writes to the disk as it
does in production; then a verification of a long trail.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.figures import percentile
from platform_api.audit.actions import Action
from platform_api.audit.entries import Entry, Subject
from platform_api.db.engine import create_engine
from platform_api.db.unit_of_work import units_of_work
from platform_api.use_cases.audit_chain import examine
from tests import postgres
from tests.cast import Cast, assemble_cast, hello, services_on, settings_for_tests

LONG = 100_000
_FILL = """
    INSERT INTO audit_log (actor_email, action, outcome, resource_type, resource_name, changes)
    SELECT 'maya@example.com', 'job.updated', 'allowed', 'job', 'Job ' || i, '{"tags": {"old": [], "new": ["etl"]}}'
    FROM generate_series(1, :count) AS i
"""

Write = Callable[[int], Awaitable[object]]


async def measure(url: str, rounds: int, writers: int, count: int) -> None:
    """Entries alone (the worst case), jobs as people save them, and the look at a long trail."""
    engine = create_engine(url, pool_size=writers, application_name="bench")
    with tempfile.TemporaryDirectory() as home:
        settings = settings_for_tests(home=Path(home), max_jobs_per_team=1_000_000)
        cast = await assemble_cast(engine, services_on(engine, settings))
        await _compare("transactions with nothing but an entry", engine, _entry(engine), rounds, writers, count)
        await _compare("POST /jobs (in this process)", engine, _job(cast), rounds, writers, count // 4)
    # As people write: a few entries per transaction.
    for _ in range(LONG // 1000):
        async with engine.begin() as connection:
            await connection.execute(text(_FILL), {"count": 1000})
    began = time.perf_counter()
    async with units_of_work(engine)() as uow:
        verdict = await examine(uow.audit_chain)
    spent = time.perf_counter() - began
    # Entries that were written while the trigger was off are found as slipped in, so the verdict is no.
    print(f"verification: {verdict.checked} links in {spent:.1f} s, {verdict.checked / spent:,.0f} a second")
    await engine.dispose()


def _entry(engine: AsyncEngine) -> Write:
    async def write(number: int) -> None:
        async with units_of_work(engine)() as uow:
            await uow.audit.record(Entry(Action.JOB_RUN, Subject("job", str(number)), actor_email="maya@example.com"))

    return write


def _job(cast: Cast) -> Write:
    numbers = iter(range(10_000_000))

    async def write(_: int) -> None:
        (await cast.maya.post("/jobs", hello(name=f"Job {next(numbers)}"))).raise_for_status()

    return write


async def _compare(name: str, engine: AsyncEngine, write: Write, rounds: int, writers: int, count: int) -> None:
    rates: dict[str, list[float]] = {"DISABLE": [], "ENABLE": []}
    await _rate(write, writers, writers * 4)
    for _ in range(rounds):
        for state, seen in rates.items():
            async with engine.begin() as connection:
                await connection.execute(text(f"ALTER TABLE audit_log {state} TRIGGER audit_log_link"))
            seen.append(await _rate(write, writers, count))
    without, chained = (percentile(seen, 0.5) for seen in rates.values())
    found = f"{without:.0f}/s without the chain, {chained:.0f}/s with it: {chained / without:.2f}"
    print(f"{name}, {writers} writers: {found}")


async def _rate(write: Write, writers: int, count: int) -> float:
    async def writer() -> None:
        for number in range(count // writers):
            await write(number)

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(writers)))
    return (count // writers) * writers / (time.perf_counter() - began)


def main() -> None:
    """A server of its own that waits for the disk, unlike those of the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--count", type=int, default=800)
    options = parser.parse_args()
    durable = {"max_connections": "100"}
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(postgres, "FAST", durable),
        postgres.running_cluster(Path(folder)) as cluster,
    ):
        postgres.migrated_template(cluster)
        with postgres.cloned_database(cluster) as url:
            asyncio.run(measure(url, options.rounds, options.writers, options.count))


if __name__ == "__main__":
    main()
