"""Long logs and many logs at once: nothing lost, memory, how soon a line is on a reader's screen.

`python -m bench.logs [--runs 200] [--megabytes 50] [--flood 15]`
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.figures import spread
from bench.platform import accounted_platform
from bench.processes import ProcessWatch
from tests.running_platform import Platform, wait_for_end

#: Lines of a hundred bytes, each with its own number, as fast as they go.
LINES = (
    "import sys\nfor n in range(0, {lines}, 100):\n"
    "    sys.stdout.write(''.join(f'{{i:099d}}\\n' for i in range(n, n + 100)))\n"
)
#: Not for ever, should the benchmark be gone.
WAIT = "import os, time\nfor _ in range(1500):\n    if os.path.exists({go!r}): break\n    time.sleep(0.2)\n"
TALK = "import time\nfor _ in range({count}): print(time.time()); time.sleep(0.1)\n"
FLOOD = "import os, time\nend = time.time() + {seconds}\nwhile time.time() < end: os.write(1, b'{line}\\n' * 500)\n"


def expected_digest(lines: int) -> str:
    """Of what the script above writes."""
    digest = hashlib.sha256()
    for number in range(lines):
        digest.update(b"%099d\n" % number)
    return digest.hexdigest()


def run(client: httpx.Client, name: str, script: str, times: int = 1) -> list[str]:
    """A job that may overlap itself, started so many times."""
    body = {"name": name, "type": "python", "script": script, "concurrency": "allow"}
    job = client.post("/jobs", json=body).raise_for_status().json()["job_id"]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: client.post(f"/jobs/{job}/run").raise_for_status().json(), range(times))
        return [answer["execution_id"] for answer in answers]


def digest_of(client: httpx.Client, execution: str) -> str:
    """Of the downloaded log."""
    digest = hashlib.sha256()
    with client.stream("GET", f"/executions/{execution}/logs?download=1") as response:
        for piece in response.iter_bytes():
            digest.update(piece)
    return digest.hexdigest()


@dataclass
class Latencies:
    """Of each line of one more script: until its shim had it, and from there to the reader's screen."""

    caught: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)

    def clear(self) -> None:
        """Forget those of the warm-up."""
        del self.caught[:], self.shown[:]

    def copy(self) -> Latencies:
        """As they are now."""
        return Latencies(list(self.caught), list(self.shown))

    def lines(self) -> str:
        """Three spreads."""
        whole = [caught + shown for caught, shown in zip(self.caught, self.shown, strict=False)]
        return (
            f"  another run's lines meanwhile, printed to read: {spread(whole)}\n"
            f"    printed to caught by its shim: {spread(self.caught)}\n"
            f"    caught to read: {spread(self.shown)}"
        )


@contextmanager
def latencies(platform: Platform, seconds: float) -> Iterator[Latencies]:
    """Follow one more script, which says ten times a second what time it is."""
    taken = Latencies()
    with platform.client("admin") as client:
        (execution,) = run(client, f"talk {time.time()}", TALK.format(count=int(seconds * 10)))
        address = f"{platform.base_url}/api/v1/executions/{execution}/logs/stream"
        reader = threading.Thread(target=_hear, args=(address, platform.key("admin"), taken))
        reader.start()
        while not taken.shown:
            time.sleep(0.05)
        try:
            yield taken
        finally:
            client.post(f"/executions/{execution}/cancel")
            reader.join()


def _hear(address: str, key: str, taken: Latencies) -> None:
    command = [sys.executable, "-m", "bench.log_reader", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write(f"{key}\n")
        reader.stdin.close()
        for row in reader.stdout:
            caught, shown = map(float, row.split())
            taken.caught.append(caught)
            taken.shown.append(shown)


def tell(watch: ProcessWatch) -> None:
    """Two lines."""
    grown = ", ".join(f"{kind} {size:.0f}" for kind, size in sorted(watch.growth().items()))
    print(f"  largest growth of a process in MiB: {grown}")
    spent = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in sorted(watch.cpu_seconds().items()))
    print(f"  CPU-seconds: {spent}", flush=True)


def one_long(platform: Platform, client: httpx.Client, megabytes: int) -> None:
    """One log just within the limits."""
    lines = megabytes * 10_000
    with ProcessWatch(platform.process.pid) as watch, latencies(platform, 300) as taken:
        taken.clear()
        begun = time.time()
        (execution,) = run(client, "long", LINES.format(lines=lines))
        wait_for_end(client, execution, 120)
        ended = time.time() - begun
        whole = digest_of(client, execution) == expected_digest(lines)
    print(f"{megabytes} MB in one log: ended and stored after {ended:.1f} s, whole: {whole}")
    print(taken.lines())
    tell(watch)


def many(platform: Platform, client: httpx.Client, runs: int) -> None:
    """A megabyte from each at the same moment."""
    go = platform.home.parent / "evidence" / "go"
    go.parent.mkdir()
    go.parent.chmod(0o777)
    executions = run(client, "many", WAIT.format(go=str(go)) + LINES.format(lines=10_000), runs)
    while len(client.get("/executions", params={"status": "running", "limit": "200"}).json()["items"]) < min(runs, 200):
        time.sleep(0.5)
    with ProcessWatch(platform.process.pid) as watch, latencies(platform, 300) as taken:
        time.sleep(1)
        taken.clear()
        begun = time.time()
        go.touch()
        verdicts = [wait_for_end(client, execution, 120)["status"] for execution in executions]
        ended, heard = time.time() - begun, taken.copy()
    digest = expected_digest(10_000)
    whole = sum(digest_of(client, execution) == digest for execution in executions)
    print(
        f"{runs} logs of 1 MB at once: all ended after {ended:.1f} s, {verdicts.count('success')} well, whole: {whole}"
    )
    print(heard.lines())
    tell(watch)


def flood(platform: Platform, client: httpx.Client, seconds: float) -> None:
    """As much as a script can print."""
    most = 0
    with ProcessWatch(platform.process.pid) as watch, latencies(platform, 300) as taken:
        taken.clear()
        (execution,) = run(client, "flood", FLOOD.format(seconds=seconds, line="x" * 99))
        end = time.time() + seconds
        while time.time() < end:
            most = max(most, _size(platform.home / "runs" / execution))
            time.sleep(0.2)
        wait_for_end(client, execution, 120)
        heard = taken.copy()
    text = client.get(f"/executions/{execution}/logs?download=1").content
    cut = next((row.decode() for row in text.split(b"\n") if row.startswith(b"[...")), "nothing was cut")
    kept = len(text) / 2**20
    print(f"{seconds:.0f} s of a flood: {most / 2**20:.0f} MiB on the disk at most, {kept:.1f} MiB kept: {cut}")
    print(heard.lines())
    tell(watch)


def _size(folder: Path) -> int:
    size = 0
    for file in folder.rglob("log-*"):
        try:
            size += sum(f.stat().st_size for f in (file.iterdir() if file.is_dir() else [file]))
        except OSError:
            continue
    return size


def main() -> None:
    """All three on one platform; 0 leaves one out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--flood", type=float, default=15)
    options = parser.parse_args()
    with accounted_platform() as (platform, _), platform.client("admin") as client:
        if options.megabytes:
            one_long(platform, client, options.megabytes)
        if options.runs:
            many(platform, client, options.runs)
        if options.flood:
            flood(platform, client, options.flood)


if __name__ == "__main__":
    main()
