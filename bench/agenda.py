"""What our own look at the calendar costs (decision 0012): `python -m bench.agenda [--jobs 5000]`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from platform_api.db.engine import create_engine
from tests.engine_room import Room, open_room
from tests.postgres import cloned_database, migrated_template, running_cluster
from work_pools.agenda import AgendaKeeper
from work_pools.timer import Timer

IDLE_ROUNDS = 200

_COPIES = """
    INSERT INTO jobs (id, name, type, team_id, owner_id, status, version, spec, scheduled_since)
    SELECT gen_random_uuid(), 'job ' || i, type, team_id, owner_id, 'active', version, spec, scheduled_since
    FROM jobs, generate_series(2, :count) AS i
"""
_PROPOSED = """
    INSERT INTO executions (id, job_id, job_version, pool, status, triggered_by, scheduled_for, due_at, exclusive)
    SELECT gen_random_uuid(), id, 1, 'local', 'queued', 'scheduled', :tick, :tick, true FROM jobs
"""


async def measure(url: str, jobs: int) -> None:
    """Idle, a minute without and one with Prefect, and after an outage."""
    engine = create_engine(url, pool_size=5, application_name="bench")
    with tempfile.TemporaryDirectory() as home:
        async with open_room(engine, url, Path(home)) as room:
            await _measure(room, jobs)
    await engine.dispose()


async def _measure(room: Room, jobs: int) -> None:
    room.clock.begin_a_minute()
    await room.job()
    await room.run_sql(_COPIES, count=jobs)
    await room.run_sql("INSERT INTO agenda SELECT id, :tick FROM jobs", tick=room.clock.minute(1))
    await room.run_sql("ANALYZE")
    equipment = room.equipment()
    keeper = AgendaKeeper(equipment, Timer(equipment.clock))
    await _rounds("nothing to do, per round", keeper, IDLE_ROUNDS)
    room.clock.step(timedelta(seconds=54))
    await _until_settled(f"{jobs} ticks, none proposed", keeper)
    await room.run_sql(_PROPOSED, tick=room.clock.minute(2))
    room.clock.step(timedelta(minutes=1))
    await _until_settled(f"{jobs} ticks, all proposed", keeper)
    await room.run_sql("DELETE FROM agenda WHERE job_id NOT IN (SELECT id FROM jobs ORDER BY id LIMIT 450)")
    room.clock.step(timedelta(hours=2))
    await _until_settled("450 jobs after two hours", keeper)


async def _rounds(name: str, keeper: AgendaKeeper, count: int) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        await keeper.round()
    _show(name, (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)


async def _until_settled(name: str, keeper: AgendaKeeper) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    while await keeper.round():
        pass
    _show(name, time.perf_counter() - wall, time.process_time() - cpu)


def _show(name: str, wall: float, cpu: float) -> None:
    print(f"{name:32} {wall * 1e3:9.1f} ms   {cpu * 1e3:9.1f} ms CPU of the worker", flush=True)


def main() -> None:
    """On a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    jobs = parser.parse_args().jobs
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, running_cluster(Path(folder)) as cluster:
        migrated_template(cluster)
        with cloned_database(cluster) as url:
            asyncio.run(measure(url, jobs))


if __name__ == "__main__":
    main()
