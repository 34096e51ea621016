"""A platform of the benchmark's own, accounted for, on an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cpu import CpuAccount
from platform_api.embedded.postgres import free_port
from tests.running_platform import Platform, stop, wait_until_ready


@contextmanager
def accounted_platform() -> Iterator[tuple[Platform, CpuAccount]]:
    """A ready platform and the CPU account of all its processes."""
    account = CpuAccount("platform")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home, port = Path(folder) / "home", free_port()
        # Scripts see the folders that are there when their worker starts; each script is a user of its own.
        evidence = Path(folder) / "evidence"
        evidence.mkdir()
        evidence.chmod(0o777)
        environment = os.environ | {
            "JOB_PLATFORM_HOME": str(home),
            "JOB_PLATFORM_SCRIPT_WRITABLE_FOLDERS": str(evidence),
            # More jobs than one team's quota and more requests than one person makes.
            "JOB_PLATFORM_MAX_JOBS_PER_TEAM": "10000",
            "JOB_PLATFORM_RATE_LIMIT_PER_MINUTE": "1000000",
            "JOB_PLATFORM_MANUAL_RUNS_PER_HOUR": "1000000",
        }
        started = time.monotonic()
        with (Path(folder) / "up.log").open("wb") as log:
            command = [sys.executable, "-m", "platform_api.cli.main", "up", "--port", str(port)]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, preexec_fn=account.join())
        platform = Platform(home, port, process)
        try:
            wait_until_ready(platform)
            print(f"platform ready after {time.monotonic() - started:.1f} s")
            yield platform, account
        finally:
            stop(platform)
            account.close()
