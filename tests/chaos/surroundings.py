"""What faults strike: the processes of one `up`, `up` itself, and a worker of nobody's beside it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from platform_api.embedded import plans
from platform_api.embedded.environments import Access
from platform_api.embedded.home import Home
from platform_api.embedded.postgres import Cluster
from platform_api.embedded.processes import Identity
from platform_api.embedded.start import PLATFORM_DATABASE, PREFECT_DATABASE
from tests.chaos.plan import Fault
from tests.running_platform import Platform, start

LOOK_SECONDS = 0.2
RESTART_SECONDS = 1.0


def access(platform: Platform) -> Access:
    """What `up` tells its own worker, as the home has it."""
    home = Home(platform.home)
    ports = json.loads((platform.home / "ports.json").read_text())
    cluster = Cluster(home.postgres, ports["postgres"], home.logs / "postgres.log")
    return Access(
        home=home,
        base_url=platform.base_url,
        database_url=cluster.application_url(PLATFORM_DATABASE),
        owner_database_url=cluster.url(PLATFORM_DATABASE),
        prefect_database_url=cluster.url(PREFECT_DATABASE),
        prefect_port=ports["prefect"],
        prefect_auth_string=f"admin:{home.secret('prefect-password')}",
        api_key_pepper=home.secret("api-key-pepper"),
        work_pool="local",
    )


class SecondWorker:
    """A worker on the pool and home of `up`, started by hand once: its settings stay as they were then."""

    def __init__(self, platform: Platform) -> None:
        plan = plans.of_worker(access(platform))
        self._command = [argument for argument in plan.command if argument != "--gate"]
        self._environment = dict(plan.environment)
        self._log = platform.home.parent / "second-worker.log"
        self.process = self._spawn()

    def start_again(self) -> None:
        """A process anew."""
        self.process = self._spawn()

    def kill(self) -> None:
        """kill -9; scripts that it has started live on."""
        self.process.kill()
        self.process.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


@contextmanager
def second_worker(platform: Platform) -> Iterator[SecondWorker]:
    """One more worker, gone at the end."""
    worker = SecondWorker(platform)
    try:
        yield worker
    finally:
        worker.kill()


def supervised(home: Path, name: str) -> Identity | None:
    """A child of `up`, while it runs."""
    children = json.loads((home / "children.json").read_text())["children"]
    pids = [(c["pid"], c["started"]) for c in children if c["name"] == name and c["pid"]]
    identity = Identity(*pids[0]) if pids else None
    return identity if identity and identity.is_alive() else None


@dataclass
class Surroundings:
    """Strikes, and does for what nobody supervises what a service manager would: starts it again."""

    platform: Platform
    second: SecondWorker
    #: Seconds since the beginning, and what happened.
    happened: list[tuple[float, str]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _due: dict[str, float] = field(default_factory=dict)

    def suffer(self, faults: list[Fault], seconds: float) -> None:
        """All faults in turn, then quiet until the time is over."""
        self._began = time.monotonic()
        for fault in faults:
            self._tend(fault.at)
            self._strike(fault)
        self._tend(seconds)

    def settle(self) -> None:
        """Start again whatever is down."""
        while self._due or self.platform.process.poll() is not None:
            self._look()
            time.sleep(LOOK_SECONDS)

    def _tend(self, until: float) -> None:
        while (left := until - self._elapsed()) > 0:
            self._look()
            time.sleep(min(left, LOOK_SECONDS))

    def _look(self) -> None:
        for name, process in (("up", self.platform.process), ("second worker", self.second.process)):
            if (code := process.poll()) is not None and name not in self._due:
                self._note(f"{name} ended by itself with {code}")
                self._due[name] = self._elapsed() + RESTART_SECONDS
        for name in [name for name, moment in self._due.items() if moment <= self._elapsed()]:
            del self._due[name]
            self._start(name)

    def _start(self, name: str) -> None:
        if name == "up":
            self.platform.process = start(self.platform.home, self.platform.port).process
        else:
            self.second.start_again()

    def _strike(self, fault: Fault) -> None:
        match fault.target:
            case "up":
                hit = self.platform.process.poll() is None
                self.platform.process.kill()
                self.platform.process.wait()
                self._due.setdefault("up", self._elapsed() + fault.pause)
            case "second worker":
                hit = self.second.process.poll() is None
                self.second.kill()
                self._due.setdefault("second worker", self._elapsed() + fault.pause)
            case name:
                hit = self._kill_child(name)
        self._note(f"{fault.target} {'killed' if hit else 'was away already'}")

    def _kill_child(self, name: str) -> bool:
        child = supervised(self.platform.home, name)
        if child is not None:
            child.signal(signal.SIGKILL)
        return child is not None

    def _note(self, what: str) -> None:
        self.happened.append((self._elapsed(), what))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began
