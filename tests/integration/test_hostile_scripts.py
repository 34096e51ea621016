"""Scripts that try what they must not (D9), against an executor of root's and one of an ordinary user's."""

# ruff: noqa: ASYNC240 - a look at a local file is no wait worth a thread

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.suspects import ORDINARY_USER, Outcome, Suspects
from work_pools.executors.local import landlock, metadata_guard
from work_pools.executors.local.executor import default_isolation
from work_pools.executors.local.isolation import LANDLOCK, NAMESPACES
from work_pools.executors.local.landlock import guards_ports

MEBIBYTE = 1 << 20
PROCESSES = 60
NICENESS = 7
DISK = 64 * MEBIBYTE
#: From this version of landlock on (Linux 6.12) a script cannot signal others.
SCOPES_OF_SIGNALS = 6
IMPORTS = "import glob, json, os, socket, stat, sys, tempfile"
SECRET = "the-platforms-own-secret"


class Machine(NamedTuple):
    """Who runs the worker, what keeps its scripts in, and the platform's home."""

    is_root: bool
    level: str
    home: Path


MACHINES = {"root": (True, NAMESPACES), "ordinary user": (False, NAMESPACES), "landlock": (False, LANDLOCK)}

#: What a level does not contain, as docs/explanation/isolation.md has it: each of these attempts succeeds.
UNCONTAINED = {
    LANDLOCK: {
        "test_only_its_own_processes_are_there_to_be_seen": "numbers and command lines of others are visible",
        "test_not_to_the_databases_socket": "landlock has no rule for sockets; the database's password guards it",
        "test_to_nobody_without_network": "the network is the machine's",
        "test_no_system_v_memory_is_left_on_the_machine": "there is one IPC namespace for all",
    },
}
#: And what would take this machine with it.
TOO_DANGEROUS = {
    LANDLOCK: {
        "test_a_fork_bomb_ends_and_its_neighbours_do_not_notice": "nothing counts its processes apart from others'",
    },
}


@pytest.fixture(params=MACHINES, scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A platform's home with what is worth stealing, owned by whoever runs the worker.

    Not in pytest's own folder: any other pytest that starts closes that one to ordinary users.
    """
    is_root, level = MACHINES[request.param]
    if is_root and os.getuid() != 0:
        pytest.skip("needs root")
    if level == LANDLOCK and landlock.version() < SCOPES_OF_SIGNALS:
        pytest.skip("this kernel's landlock lets scripts signal their neighbours")
    base = Path(tempfile.mkdtemp(prefix="hostile-"))
    home = base / "home"
    home.mkdir(mode=0o700)
    (home / "credentials.json").write_text(SECRET)
    (home / "api-key-pepper").write_text(SECRET)
    (home / "runs").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as database:
        database.bind(str(home / ".s.PGSQL.5432"))
        database.listen()
        if not is_root and os.getuid() == 0:
            base.chmod(0o711)
            for path in [home, *home.iterdir()]:
                os.chown(path, ORDINARY_USER, ORDINARY_USER)
        yield Machine(is_root, level, home)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def home(machine: Machine) -> Path:
    return machine.home


@pytest.fixture(autouse=True)
def _what_a_level_does_not_contain_is_known(request: pytest.FixtureRequest, machine: Machine) -> None:
    name = request.node.originalname
    if reason := TOO_DANGEROUS.get(machine.level, {}).get(name):
        pytest.skip(reason)
    if reason := UNCONTAINED.get(machine.level, {}).get(name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="module")
def prefect_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
async def suspects(machine: Machine, prefect_port: int) -> AsyncIterator[Suspects]:
    suspects = await _suspects(machine, prefect_port)
    yield suspects
    await suspects.close()


async def _suspects(machine: Machine, prefect_port: int, *, network: bool = True) -> Suspects:
    isolation = default_isolation(machine.home / "runs")._replace(
        levels=(machine.level,),
        first_uid=200_000 if machine.is_root else 0,
        hidden=(str(machine.home),),
        network=network,
        guarded_ports=(prefect_port,),
        processes=PROCESSES,
        niceness=NICENESS,
        disk_bytes=DISK,
    )
    return await Suspects.open(machine.home / "runs", isolation, ordinary=not machine.is_root)


def _processes_with(mark: str) -> list[int]:
    """Processes of this machine whose command line holds the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


async def _python(suspects: Suspects, script: str, **order: Any) -> Outcome:
    return await suspects.run(script, type="python", **order)


async def _said(suspects: Suspects, script: str, **order: Any) -> Any:
    """What a script that reports its spoils has to say."""
    outcome = await _python(suspects, f"{IMPORTS}\n{script}\nprint(json.dumps(spoils))", **order)
    assert (outcome.cause, outcome.exit_code) == ("exited", 0), outcome
    return outcome.said


class TestReading:
    async def test_no_environment_memory_or_file_of_another_process(self, suspects: Suspects) -> None:
        neighbour = asyncio.create_task(suspects.run("sleep 2", env={"TOKEN": "the-neighbours-secret"}))
        await asyncio.sleep(0.3)
        script = """
spoils = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) != os.getpid():
        for name in ("environ", "mem", "maps", "root/etc/hostname", "cwd/."):
            try:
                path = f"/proc/{pid}/{name}"
                spoil = os.listdir(path) if name == "cwd/." else open(path, "rb").read(1)
                if spoil:
                    spoils[path] = True
            except OSError:
                pass
"""
        assert await _said(suspects, script) == {}
        assert (await neighbour).exit_code == 0

    async def test_only_its_own_processes_are_there_to_be_seen(self, suspects: Suspects) -> None:
        outcome = await suspects.run("sleep 1 & ps -eo comm= 2>/dev/null || ls /proc | grep -c '^[0-9]'; wait")
        assert len(outcome.lines) <= 5
        assert not any("postgres" in line or "pytest" in line for line in outcome.lines)

    async def test_nothing_of_the_platforms_home(self, suspects: Suspects, home: Path) -> None:
        script = f"""
spoils = []
for folder, folders, files in os.walk({str(home)!r}):
    spoils += [os.path.join(folder, name) for name in files]
spoils = [path for path in spoils if os.getcwd().rpartition("/")[0] not in path]
for name in ("credentials.json", "api-key-pepper"):
    try:
        spoils.append(open({str(home)!r} + "/" + name).read())
    except OSError as error:
        assert error.errno in (2, 13)
"""
        assert await _said(suspects, script) == []

    async def test_no_mount_but_those_of_its_own_tree(self, suspects: Suspects, machine: Machine, home: Path) -> None:
        if machine.level != NAMESPACES:
            pytest.skip("its tree is the machine's")
        script = f"""
mounts = [line.split() for line in open("/proc/self/mountinfo")]
places = [fields[4] for fields in mounts]
runs = [fields[fields.index("-") + 1] for fields in mounts if fields[4] == {str(home / "runs")!r}]
spoils = {{"proc": places.count("/proc"), "runs": runs, "machine": os.path.exists("/sys") or os.path.exists("/run")}}
spoils["outside"] = [name for _, _, files in os.walk("/.outside") for name in files]
"""
        assert await _said(suspects, script) == {"proc": 1, "runs": ["tmpfs"], "machine": False, "outside": []}

    async def test_no_other_runs_folder(self, suspects: Suspects, home: Path) -> None:
        neighbour = asyncio.create_task(suspects.run("echo private > file; sleep 1"))
        await asyncio.sleep(0.3)
        script = f"try: spoils = os.listdir({str(home / 'runs')!r})\nexcept PermissionError: spoils = []"
        assert len(await _said(suspects, script)) <= 1
        assert (await neighbour).exit_code == 0

    async def test_no_disk_and_no_kernel_memory(self, suspects: Suspects) -> None:
        script = """
spoils = []
for path in glob.glob("/dev/**", recursive=True) + ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/mem", "/dev/kmsg"]:
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISDIR(kind) and path.split("/")[2] not in ("fd", "stdin", "stdout", "stderr"):
            open(path, "rb", buffering=0)
            spoils.append(path)
    except OSError:
        pass
spoils = [path for path in spoils if path not in ("/dev/tty", *(f"/dev/{n}" for n in (
    "null", "zero", "full", "random", "urandom")))]
try:
    os.mknod("disk", 0o060600, os.makedev(254, 0))
    spoils.append("mknod")
except PermissionError:
    pass
"""
        assert await _said(suspects, script) == []


class TestTalking:
    async def test_not_to_the_databases_socket(self, suspects: Suspects, home: Path) -> None:
        script = f"""
spoils = None
try:
    socket.socket(socket.AF_UNIX).connect({str(home / ".s.PGSQL.5432")!r})
    spoils = "connected"
except OSError:
    pass
"""
        assert await _said(suspects, script) is None

    async def test_not_to_prefect_or_postgresql_on_this_machine(self, suspects: Suspects, prefect_port: int) -> None:
        script = f"""
spoils = []
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    with socket.socket(family) as client:
        try:
            client.connect((host, {prefect_port}))
            spoils.append(host)
        except PermissionError:
            pass
"""
        spoils = await _said(suspects, script)
        assert spoils == [] if guards_ports() else any("passwords" in warning for warning in suspects.warnings)

    async def test_to_everybody_else_as_before(self, suspects: Suspects) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            script = f"socket.create_connection(('127.0.0.1', {port})); spoils = 'connected'"
            assert await _said(suspects, script) == "connected"

    async def test_not_to_the_clouds_metadata_address_or_it_is_said(self, suspects: Suspects, machine: Machine) -> None:
        """Nothing is ever sent there: the kernel is asked what it would do with a packet of the script's user."""
        outcome = await suspects.run("id -u")
        refused = metadata_guard.refuses("169.254.169.254", int(outcome.lines[0]))
        assert refused == (machine.is_root)
        assert refused != any("169.254.169.254" in warning for warning in suspects.warnings)

    async def test_to_nobody_without_network(self, machine: Machine, prefect_port: int) -> None:
        script = """
interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
routes = [line.split()[0] for line in open("/proc/net/route").readlines()[1:]]
spoils = {"interfaces": interfaces, "routes": routes}
"""
        suspects = await _suspects(machine, prefect_port, network=False)
        try:
            assert await _said(suspects, script) == {"interfaces": ["lo"], "routes": []}
            assert not any("169.254.169.254" in warning for warning in suspects.warnings)
        finally:
            await suspects.close()


class TestRights:
    async def test_none_is_left_and_none_can_be_had(self, suspects: Suspects, machine: Machine) -> None:
        outcome = await suspects.run("grep -E 'Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status; id -G")
        *values, groups = outcome.lines
        rights = dict(line.split(":\t", 1) for line in values)
        # What this set holds cannot be had without new privileges, and an ordinary user may not empty it.
        bounding = rights.pop("CapBnd")
        assert rights == {"CapPrm": "0" * 16, "CapEff": "0" * 16, "CapAmb": "0" * 16, "NoNewPrivs": "1"}
        assert machine.level == LANDLOCK or bounding == "0" * 16
        assert len(groups.split()) == 1

    async def test_the_file_tree_cannot_be_changed(self, suspects: Suspects) -> None:
        script = """
import ctypes
libc = ctypes.CDLL(None)
spoils = {
    "mount": libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None),
    "umount": libc.umount2(b"/proc", 2),
    "chroot": libc.chroot(b"."),
    "ptrace": libc.ptrace(16, 1, 0, 0),
}
"""
        assert set((await _said(suspects, script)).values()) == {-1}

    async def test_as_root_each_run_has_a_user_of_its_own(self, suspects: Suspects, machine: Machine) -> None:
        outcomes = await asyncio.gather(*(suspects.run("id -u; sleep .5") for _ in range(3)))
        users = {int(outcome.lines[0]) for outcome in outcomes}
        if machine.is_root:
            assert len(users) == 3
            assert min(users) > 200_000
        else:
            assert users == {machine.home.stat().st_uid}


class TestWriting:
    async def test_only_into_folders_of_its_own(self, suspects: Suspects) -> None:
        script = """
import pathlib
spoils = []
for folder in ("/", "/usr", "/etc", "/opt", "/dev", "/bin", "/proc/sys/kernel", os.path.dirname(__file__)):
    try:
        pathlib.Path(folder, "spoil").write_text("x")
        spoils.append(folder)
    except OSError:
        pass
pathlib.Path(tempfile.gettempdir(), "spoil").write_text("x"); open("spoil", "w").write("x")
"""
        assert await _said(suspects, script) == []
        assert not Path("/tmp/spoil").exists()  # noqa: S108
        assert (await suspects.run("ls ${TMPDIR:-/tmp}/spoil || ls spoil")).exit_code != 0

    async def test_not_into_its_log_or_its_verdict(self, suspects: Suspects, home: Path) -> None:
        script = "ls ..; for f in log-0 exit started session stop; do echo forged > ../$f; done; echo said; exit 3"
        outcome = await suspects.run(script)
        assert (outcome.cause, outcome.exit_code) == ("exited", 3)
        assert "said" in outcome.lines
        assert "log-0" not in outcome.lines

    async def test_as_much_as_it_likes(self, suspects: Suspects) -> None:
        scripts = {
            "one file": "exec dd if=/dev/zero of=big bs=1M count=2000",
            "many": "cd ${TMPDIR:-/tmp}; for i in $(seq 100); do head -c 20M /dev/zero >f$i; done; sleep 30",
            "nameless": "exec 3>gone; exec 4>gone2; rm gone gone2; head -c 60M /dev/zero >&3; "
            "head -c 60M /dev/zero >&4; "
            "sleep 30",
        }
        outcomes = await asyncio.gather(*(suspects.run(script) for script in scripts.values()))
        assert [outcome.cause for outcome in outcomes] == ["limit_exceeded"] * 3
        assert {outcome.error.removeprefix("file size ").removeprefix("disk ") for outcome in outcomes} == {
            "limit of 64 MiB exceeded"
        }


class TestTaking:
    @pytest.mark.parametrize(
        "script",
        [
            "kept = []\nwhile True: kept.append(bytearray(8 << 20))",
            "import os, time\nfor _ in range(8): os.fork() or ([bytearray(100 << 20), time.sleep(20)])\ntime.sleep(20)",
            "import mmap, time\nm = mmap.mmap(-1, 900 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\n"
            "time.sleep(20)",
            "import os, time\nf = os.memfd_create('x')\nfor _ in range(60): os.write(f, b'x' * (1 << 20))\n"
            "k = [bytearray(1 << 20) for _ in range(500)]\ntime.sleep(20)",
        ],
        ids=["one process", "several processes", "shared", "anonymous file"],
    )
    async def test_more_memory_than_the_job_has(self, suspects: Suspects, script: str) -> None:
        outcome = await _python(suspects, script, memory_bytes=512 * MEBIBYTE)
        assert (outcome.cause, outcome.error) == ("limit_exceeded", "memory limit of 512 MiB exceeded")
        assert outcome.seconds < 10

    async def test_memory_that_is_shared_counts_once(self, suspects: Suspects) -> None:
        script = (
            "import os, time\nk = bytearray(150 << 20)\nfor _ in range(6):\n  if not os.fork(): break\ntime.sleep(1.5)"
        )
        outcome = await _python(suspects, script, memory_bytes=512 * MEBIBYTE)
        assert (outcome.cause, outcome.exit_code, outcome.error) == ("exited", 0, None)

    async def test_a_fork_bomb_ends_and_its_neighbours_do_not_notice(self, suspects: Suspects) -> None:
        neighbour = asyncio.create_task(suspects.run("for i in $(seq 40); do /bin/true || exit 1; sleep .05; done"))
        bomb = await suspects.run("bomb() { bomb | bomb & }; bomb; sleep 20")
        assert (bomb.cause, bomb.error) == ("limit_exceeded", f"process limit of {PROCESSES} exceeded")
        assert (await neighbour).exit_code == 0


class TestStandingBack:
    async def test_behind_the_platforms_own_processes(self, suspects: Suspects) -> None:
        outcome = await suspects.run("sleep .2; nice; cut -d' ' -f3 /proc/self/autogroup 2>/dev/null || echo 7")
        assert outcome.lines == [str(NICENESS)] * 2

    async def test_and_it_stays_there(self, suspects: Suspects) -> None:
        outcome = await suspects.run("nice -n -5 nice; echo -5 > /proc/self/autogroup && echo forward")
        assert str(NICENESS) in outcome.lines
        assert "forward" not in outcome.lines


class TestStaying:
    async def test_nothing_outlives_the_script_however_it_detached_itself(self, suspects: Suspects) -> None:
        script = """
sleep 987601 &
nohup sleep 987602 >/dev/null 2>&1 &
setsid sleep 987603 >/dev/null 2>&1 &
(env -i setsid bash -c 'trap "" TERM HUP; (exec sleep 987604) & disown -a' >/dev/null 2>&1 &)
(trap '' TERM; while :; do setsid sleep 987605 & sleep .1; done >/dev/null 2>&1) &
sleep .3; echo done
"""
        outcome = await suspects.run(script, timeout_seconds=10)
        assert (outcome.cause, outcome.exit_code) == ("exited", 0)
        assert _processes_with("sleep\x009876") == []

    async def test_not_past_its_time_with_every_signal_ignored(self, suspects: Suspects) -> None:
        script = "import signal\nfor n in range(1, 32):\n  n in (9, 19) or signal.signal(n, signal.SIG_IGN)\n"
        script += "while True: pass"
        outcome = await _python(suspects, script, timeout_seconds=0.5, grace_seconds=0.5)
        assert (outcome.cause, outcome.signal) == ("timed_out", 9)
        assert outcome.seconds < 3

    async def test_no_shared_memory_is_left_on_the_machine(self, suspects: Suspects) -> None:
        await suspects.run("echo left > /dev/shm/left")
        assert not Path("/dev/shm/left").exists()  # noqa: S108

    async def test_no_system_v_memory_is_left_on_the_machine(self, suspects: Suspects) -> None:
        key = 471_100 + os.getpid()
        script = f"import ctypes\nspoils = ctypes.CDLL(None).shmget({key}, 4096, 0o1666)"
        assert await _said(suspects, script) >= 0
        left = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        identities = [int(fields[1]) for fields in left if fields[0] == str(key)]
        for identity in identities:
            ctypes.CDLL(None).shmctl(identity, 0, None)
        assert identities == []


class TestSignalling:
    async def test_nobody_but_itself(self, suspects: Suspects) -> None:
        neighbour = asyncio.create_task(suspects.run("sleep 1.5; echo whole"))
        await asyncio.sleep(0.3)
        worker = suspects.process.pid
        outcome = await suspects.run(f"kill -9 {worker} {os.getpid()}; kill -9 1; kill -STOP -1; kill -9 -- -1; echo x")
        assert outcome.cause in ("exited", "signalled")
        assert (await neighbour).lines == ["whole"]
        assert suspects.process.returncode is None


async def test_the_interpreter_and_its_library_are_there(suspects: Suspects) -> None:
    script = (
        "import ctypes, sqlite3, ssl, tempfile, zoneinfo\nspoils = tempfile.mkdtemp(), os.listdir('/proc/self/fd') > []"
    )
    assert (await _said(suspects, script))[0].startswith("/tmp/")  # noqa: S108


async def test_what_is_not_enforced_is_said(suspects: Suspects, machine: Machine) -> None:
    said = "; ".join(suspects.warnings)
    assert "not isolated" not in said
    for word in ("namespaces", "visible", "fork bomb", "socket", "shared memory"):
        assert (word in said) == (machine.level == LANDLOCK), word
    assert json.dumps(suspects.warnings).count("cpu limit") <= 1
