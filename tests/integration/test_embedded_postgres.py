"""The embedded PostgreSQL: made once, safe from half-made folders, strangers' numbers and forbidden namespaces."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from platform_api.embedded import postgres
from platform_api.embedded.postgres import IMPOSSIBLE_PID, Cluster
from tests.postgres import running_cluster


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user could reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def with_pid_file(folder: Path, content: str) -> Cluster:
    cluster = Cluster(folder / "postgres", 1)
    cluster.data.mkdir(parents=True)
    (cluster.data / "postmaster.pid").write_text(content)
    return cluster


def pid_file(cluster: Cluster) -> str:
    return (cluster.data / "postmaster.pid").read_text()


def test_a_number_that_a_stranger_has_now_is_replaced_and_the_rest_is_kept(tmp_path: Path) -> None:
    cluster = with_pid_file(tmp_path, f"{os.getpid()}\n/data\n1700000000\n5432\n\n127.0.0.1\n 123 456\n")
    postgres.free_the_pid_file(cluster)
    assert pid_file(cluster) == f"{IMPOSSIBLE_PID}\n/data\n1700000000\n5432\n\n127.0.0.1\n 123 456\n"


def test_the_number_of_a_server_that_lives_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    command = [sys.executable, "-c", "input()", "-D", str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:
        cluster = with_pid_file(tmp_path, f"{server.pid}\nrest\n")
        postgres.free_the_pid_file(cluster)
        assert pid_file(cluster) == f"{server.pid}\nrest\n"
        server.kill()


@pytest.mark.parametrize("content", ["", "no newline"])
def test_a_damaged_pid_file_is_left_to_postgres(tmp_path: Path, content: str) -> None:
    cluster = with_pid_file(tmp_path, content)
    postgres.free_the_pid_file(cluster)
    assert pid_file(cluster) == content


def test_without_a_pid_file_nothing_is_made(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1)
    postgres.free_the_pid_file(cluster)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_crash_left_half_made_is_made_anew_with_the_same_password(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "postgres", postgres.free_port())
    postgres.ensure_password(cluster)
    password = cluster.password_file.read_text()
    cluster.data.mkdir()
    (cluster.data / "half").touch()
    with running_cluster(tmp_path) as served:
        assert not (served.data / "half").exists()
        assert served.password_file.read_text() == password
        assert stat.S_IMODE(served.password_file.stat().st_mode) == 0o600
        with psycopg.connect(served.url("postgres")) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
    (cluster.data / "mine").touch()
    postgres.initialise(cluster)
    assert (cluster.data / "mine").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_where_namespaces_are_forbidden_root_serves_as_nobody(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_namespaces_work", lambda: False)
    with running_cluster(open_folder) as cluster:
        postgres.ensure_database(cluster, "once")
        postgres.ensure_database(cluster, "once")
        pid = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
        assert Path(f"/proc/{pid}").stat().st_uid != 0
