"""The rule that keeps scripts' users from clouds' metadata addresses, in a network of the test's own without any route.

Nothing is sent: the kernel says what it would do with a packet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from work_pools.executors.local.metadata_guard import ADDRESSES

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="rules of the network are root's")

_PRELUDE = """
import json, socket
from work_pools.executors.local import kernel
kernel.unshare(kernel.CLONE_NEWNET)
from work_pools.executors.local.metadata_guard import ADDRESSES, Users, guard, refuses, users_from
users = Users(200_000, 200_100)
"""


def _elsewhere(script: str) -> Any:
    """What a script says that runs in a network of its own."""
    said = subprocess.run(
        [sys.executable, "-c", f"{_PRELUDE}\n{script}"], check=True, capture_output=True, cwd=Path(__file__).parents[2]
    )
    return json.loads(said.stdout)


@pytest.mark.parametrize("address", ADDRESSES)
def test_scripts_users_are_refused_and_nobody_else(address: str) -> None:
    script = "asked = [0, 199_999, 200_000, 200_050, 200_100, 200_101]\nassert guard(users) is None\n"
    script += f"print(json.dumps([refuses({address!r}, user) for user in asked]))"
    assert _elsewhere(script) == [False, False, True, True, True, False]


def test_no_other_address_is_refused() -> None:
    others = ["127.0.0.1", "169.254.20.10", "169.254.169.253", "10.0.0.1", "fd00:ec2::253", "::1"]
    script = f"guard(users)\nprint(json.dumps([refuses(address, 200_001) for address in {others}]))"
    assert _elsewhere(script) == [False] * len(others)


def test_nothing_is_refused_before() -> None:
    assert _elsewhere("print(json.dumps([refuses(address, 200_001) for address in ADDRESSES]))") == [False] * 5


def test_a_second_worker_finds_the_rules_there() -> None:
    assert _elsewhere("print(json.dumps([guard(users), guard(users), guard(Users(300_000, 300_100))]))") == [None] * 3


def test_a_name_server_there_goes_on_answering(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("# by DHCP\nnameserver 169.254.169.254\nsearch internal\n")
    script = f"assert guard(users, {str(tmp_path / 'resolv.conf')!r}) is None\n"
    script += "protocols = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)\n"
    script += "print(json.dumps([refuses(ADDRESSES[0], 200_001, protocol) for protocol in protocols]))"
    assert _elsewhere(script) == [True, False]


def test_without_the_right_to_it_there_is_a_reason() -> None:
    script = "import os\nkernel.drop_capabilities()\nprint(json.dumps(guard(users)))"
    assert _elsewhere(script) == "the kernel takes no rule for users: Operation not permitted"


def test_the_users_are_those_that_any_process_id_makes() -> None:
    limit = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert _elsewhere("print(json.dumps(users_from(200_000)))") == [200_000, 200_000 + limit]
