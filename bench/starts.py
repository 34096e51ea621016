"""What isolation costs: scripts of one executor started at once, without and with it: `python -m bench.starts`.

CPU is that of the launcher with all that it forked, from the order to the end of a script that does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path

from bench.figures import percentile
from tests.attempts import attempt_order
from work_pools.executors.local.executor import LocalExecutor, default_isolation
from work_pools.executors.local.isolation import Isolation


async def measure(name: str, isolation: Isolation, runs: Path, count: int) -> None:
    """Prepare all, start all at once, wait for all."""
    executor = LocalExecutor(runs, isolation)
    await executor.open()
    orders = [attempt_order("true") for _ in range(count)]
    for order in orders:
        await executor.prepare(order)
    before, ordered = machine_cpu(), time.time()
    begun = await asyncio.gather(*(executor.start(order) for order in orders))
    await asyncio.gather(*(executor.wait(order.ref) for order in orders))
    cpu = machine_cpu() - before
    late = [moment.timestamp() - ordered for moment in begun]
    print(f"{name:12} {count} starts: last after {max(late):.2f} s, p95 {percentile(late, 0.95):.2f} s; ", end="")
    print(f"{1000 * cpu / count:.2f} ms CPU each (whole machine)")
    await executor.close()


def machine_cpu() -> float:
    """Seconds that all cores have worked since the machine started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / 100


async def main() -> None:
    """One after the other, each on folders of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=450)
    count = parser.parse_args().count
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("none", "isolated"):
            runs = Path(folder) / name
            await measure(name, Isolation.off() if name == "none" else default_isolation(runs), runs, count)


if __name__ == "__main__":
    asyncio.run(main())
