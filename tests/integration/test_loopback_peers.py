"""The loopback provider tells a person's browser from one of the platform's own scripts: real sockets, real users."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from platform_api.identity.loopback.peers import Connection, scripts_from

FIRST_UID = 200_000

#: Connects, says from which port, and stays until its input ends.
CLIENT = """
import encodings.idna, os, socket, sys
if len(sys.argv) > 2: os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    print(connection.getsockname()[1], flush=True)
    sys.stdin.read()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


@contextmanager
def connected(*prefix: str, uid: int | None = None) -> Iterator[Connection]:
    """A connection of another process's to a server of this one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        command = [*prefix, sys.executable, "-I", "-c", CLIENT, str(port), *([str(uid)] if uid is not None else [])]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            accepted, peer = server.accept()
            with accepted:
                assert process.stdout is not None
                assert int(process.stdout.readline()) == peer[1]
                yield Connection(peer[1], port)
                assert process.stdin is not None
                process.stdin.close()


def test_a_process_of_the_same_user_is_a_person_s() -> None:
    with connected() as connection:
        assert not scripts_from(FIRST_UID)(connection)


@as_root
def test_a_process_of_another_user_is_a_person_s() -> None:
    with connected(uid=12_345) as connection:
        assert not scripts_from(FIRST_UID)(connection)


@as_root
@pytest.mark.parametrize("uid", [FIRST_UID, FIRST_UID + 1, FIRST_UID + 30_000])
def test_a_user_number_of_scripts_is_a_script_s(uid: int) -> None:
    with connected(uid=uid) as connection:
        assert scripts_from(FIRST_UID)(connection)


def can_unshare() -> bool:
    return subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="this machine gives no user namespaces")
def test_a_process_in_a_namespace_of_its_own_is_a_script_s() -> None:
    with connected("unshare", "--user", "--map-root-user") as connection:
        assert scripts_from(FIRST_UID)(connection)


def test_what_the_kernel_does_not_list_may_be_a_script() -> None:
    with connected() as connection:
        ended = connection
    assert scripts_from(FIRST_UID)(ended)
    assert scripts_from(FIRST_UID)(Connection(1, 1))
