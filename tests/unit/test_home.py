"""The folder that holds the state of one machine."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from platform_api.embedded.home import AlreadyRunning, Home, port_is_free, write_private


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_is_for_its_owner_only(home: Home) -> None:
    assert mode(home.path) == 0o700
    assert mode(home.logs) == 0o700


def test_a_home_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    Home(tmp_path / "home").prepare()
    assert mode(tmp_path / "home") == 0o700


def test_a_secret_is_made_once_and_for_its_owner_only(home: Home) -> None:
    first = home.secret("pepper")
    assert len(first) >= 32
    assert home.secret("pepper") == first
    assert home.secret("another") != first
    assert mode(home.path / "pepper") == 0o600


def test_a_file_is_replaced_as_a_whole_and_stays_private(home: Home) -> None:
    path = home.path / "file"
    path.write_text("old and readable")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o600
    assert [entry.name for entry in home.path.iterdir() if "file" in entry.name] == ["file"]


def test_one_process_at_a_time_holds_a_home_and_says_who_it_is(home: Home) -> None:
    with (
        home.locked(),
        pytest.raises(AlreadyRunning, match=rf"^already running \(pid {os.getpid()}\)$"),
        home.locked(),
    ):
        pytest.fail("two hold the home")
    with home.locked():
        pass


def test_a_refused_second_start_leaves_the_first_ones_lock_alone(home: Home) -> None:
    with home.locked():
        for _ in range(2):
            with pytest.raises(AlreadyRunning), home.locked():
                pytest.fail("two hold the home")


def test_a_port_is_remembered_while_it_is_free(home: Home) -> None:
    port = home.port("postgres")
    assert home.port("postgres") == port
    assert home.port("prefect") != port
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        assert not port_is_free("127.0.0.1", port)
        moved = home.port("postgres")
    assert moved != port
    assert home.port("postgres") == moved
