"""The folder that holds the state of one machine: who uses it, its secrets and its ports."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_api.embedded.postgres import free_port
from platform_api.ports.supervision import FILE_NAME


class AlreadyRunning(RuntimeError):
    """Another ``up`` serves this home."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"already running (pid {pid})")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths below one ``JOB_PLATFORM_HOME``; everything in it is for its owner only."""

    path: Path

    @property
    def logs(self) -> Path:
        """What the children say."""
        return self.path / "log"

    @property
    def postgres(self) -> Path:
        """The embedded PostgreSQL."""
        return self.path / "postgres"

    @property
    def children(self) -> Path:
        """What the supervisor knows about its children; the health check reads it."""
        return self.path / FILE_NAME

    @property
    def credentials(self) -> Path:
        """The sample users' keys."""
        return self.path / "credentials.json"

    def prepare(self) -> None:
        """Make the folder, closed to everybody else."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process; raises ``AlreadyRunning``. The kernel lets go when the process dies."""
        descriptor = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(descriptor)
            yield
        finally:
            os.close(descriptor)

    def secret(self, name: str) -> str:
        """The secret of that name, made at the first call."""
        path = self.path / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text().strip()

    def port(self, name: str) -> int:
        """The port that ``name`` had last time where it is free, else another free one."""
        path = self.path / "ports.json"
        ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        if name not in ports or not port_is_free("127.0.0.1", ports[name]):
            ports[name] = _other_than(set(ports.values()))
            write_private(path, json.dumps(ports))
        return ports[name]


def _take(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(os.pread(descriptor, 20, 0).decode() or "unknown") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _other_than(taken: set[int]) -> int:
    port = free_port()
    while port in taken:
        port = free_port()
    return port


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As every server does, so that connections which linger after a restart do not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def write_private(path: Path, content: str) -> None:
    """Replace the file as a whole, mode 0600: a reader or a crash never sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    draft.replace(path)


def write_private_json(path: Path, content: Any) -> None:
    """The same for a JSON document."""
    write_private(path, json.dumps(content, indent=2) + "\n")
