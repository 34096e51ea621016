"""Whatever a script writes comes out of the API as it went in: real scripts on a running platform, HTTP and SSE."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from platform_api.domain.log_limits import MEGABYTE, LogLimits, cut_message
from platform_api.domain.log_limits import Count as Cut
from tests.running_platform import Platform, wait_for_end

pytestmark = pytest.mark.xdist_group("platform")

#: Each writes bytes that only the script knows, and their digest as its result.
AWKWARD = {
    "a line of 10 MB": "data = b'x' * 10_000_000 + b'\\n'",
    "no line feed at all": "data = b'no end ' * 30_000",
    "NUL bytes": "data = b'a\\0b\\n\\0\\n' * 1000 + b'\\0' * 100_000",
    "broken UTF-8": "data = bytes(range(128, 256)) * 500 + b'\\n\\xff\\xfe\\n\\xe2\\x82'",
    "colours": "data = b'\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07\\r\\n' * 1000",
}
WRITE = (
    "import hashlib, json, os, sys\n{data}\nsys.stdout.buffer.write(data)\nsys.stdout.flush()\n"
    "json.dump({{'digest': hashlib.sha256(data).hexdigest()}}, open(os.environ['JOB_RESULT'], 'w'))\n"
)

#: 100,000 lines as fast as they go; the script says how long it took to write them.
FAST = (
    "import json, os, sys, time\nbegun = time.time()\n"
    "sys.stdout.write(''.join(f'{i:09d}\\n' for i in range(100_000)))\nsys.stdout.flush()\n"
    "json.dump({'seconds': time.time() - begun}, open(os.environ['JOB_RESULT'], 'w'))\n"
)

#: Of a thousand bytes each: more than is kept.
LINES = 60_000
LONG = (
    "import sys\nfor n in range(0, {lines}, 100):\n"
    "    sys.stdout.write(''.join(f'{{i:06d}}' + 'x' * 993 + '\\n' for i in range(n, n + 100)))\n"
)


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client() as client:
        yield client


def execute(client: httpx.Client, script: str) -> dict[str, Any]:
    """Run it as a job of its own and return the ended execution."""
    body = {"name": f"writer {uuid.uuid4()}", "type": "python", "script": script}
    job = client.post("/jobs", json=body).raise_for_status().json()["job_id"]
    run = client.post(f"/jobs/{job}/run").raise_for_status().json()["execution_id"]
    execution = wait_for_end(client, run)
    assert execution["status"] == "success", execution
    return execution


def text_of(client: httpx.Client, execution: dict[str, Any], query: str = "?download=1") -> bytes:
    return client.get(f"/executions/{execution['execution_id']}/logs{query}").raise_for_status().content


def streamed(client: httpx.Client, execution: dict[str, Any], last: int | None = None) -> Iterator[tuple[int, Any]]:
    """The number and the data of each line event, up to the verdict."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    path = f"/executions/{execution['execution_id']}/logs/stream"
    with client.stream("GET", path, headers=headers) as response:
        number = -1
        for row in response.raise_for_status().iter_lines():
            name, _, value = row.partition(": ")
            if name == "id":
                number = int(value)
            elif name == "data" and (data := json.loads(value)).get("line") is not None:
                yield number, data


@pytest.mark.parametrize("data", AWKWARD.values(), ids=AWKWARD)
def test_bytes_come_out_as_they_went_in(client: httpx.Client, data: str) -> None:
    execution = execute(client, WRITE.format(data=data))
    text = text_of(client, execution)
    assert hashlib.sha256(text).hexdigest() == execution["result"]["digest"]
    shown = "".join(line["line"] + ("" if line.get("partial") else "\n") for _, line in streamed(client, execution))
    assert len(shown) > 0
    if data != AWKWARD["broken UTF-8"]:
        assert shown.encode() == text


def test_100_000_lines_a_second_are_all_there_in_order(client: httpx.Client) -> None:
    execution = execute(client, FAST)
    print(f"100,000 lines written in {execution['result']['seconds']:.2f} s")
    assert text_of(client, execution) == b"".join(b"%09d\n" % number for number in range(100_000))


@pytest.fixture(scope="module")
def log(client: httpx.Client) -> dict[str, Any]:
    return execute(client, LONG.format(lines=LINES))


@pytest.fixture(scope="module")
def lines(client: httpx.Client, log: dict[str, Any]) -> list[bytes]:
    """As they are downloaded."""
    return text_of(client, log).splitlines()


@pytest.fixture(scope="module")
def at(lines: list[bytes]) -> int:
    """Where the line about the cut is."""
    (at,) = [place for place, line in enumerate(lines) if line.startswith(b"[... ")]
    return at


class TestCut:
    """A log of 60 MB, seen by every reader."""

    def test_the_download_has_head_and_tail_and_says_what_is_missing(self, lines: list[bytes], at: int) -> None:
        first = int(lines[at + 1][:6])
        assert [int(line[:6]) for line in lines[:at]] == list(range(at))
        assert [int(line[:6]) for line in lines[at + 1 :]] == list(range(first, LINES))
        assert lines[at].decode() == cut_message(Cut(first - at, 1000 * (first - at)), LogLimits())
        assert at * 1000 >= 40 * MEGABYTE
        assert 10 * MEGABYTE <= (LINES - first) * 1000 < 12 * MEGABYTE

    def test_pages_follow_each_other_over_it(
        self, client: httpx.Client, log: dict[str, Any], lines: list[bytes], at: int
    ) -> None:
        path, first = f"/executions/{log['execution_id']}/logs", int(lines[at + 1][:6])
        wanted: dict[str, Any] = {"limit": 1500}
        # The last page before the cut is found by what a reader has: the cursor of the page before.
        seen: list[Any] = []
        while len(seen) <= at + 3:
            page = client.get(path, params=wanted).raise_for_status().json()
            seen += page["items"]
            wanted["cursor"] = page["next_cursor"]
        assert [item["number"] for item in seen[at - 1 : at + 3]] == [at - 1, first - 1, first, first + 1]
        assert seen[at]["cut"] == {"lines": first - at, "bytes": 1000 * (first - at)}
        assert seen[at]["stream"] == "platform"

    def test_a_search_says_what_it_could_not_search(
        self, client: httpx.Client, log: dict[str, Any], lines: list[bytes], at: int
    ) -> None:
        found = text_of(client, log, f"?download=1&q={LINES - 1:06d}x").splitlines()
        assert found == [lines[at], lines[-1]]
        items = client.get(f"/executions/{log['execution_id']}/logs", params={"q": "000007x"}).json()["items"]
        assert [bool(item.get("cut")) for item in items] == [False, True]

    def test_the_tail(self, client: httpx.Client, log: dict[str, Any], lines: list[bytes]) -> None:
        assert text_of(client, log, "?download=1&tail=3").splitlines() == lines[-3:]
        items = client.get(f"/executions/{log['execution_id']}/logs", params={"tail": 3}).json()["items"]
        assert [item["number"] for item in items] == [LINES - 3, LINES - 2, LINES - 1]

    @pytest.mark.parametrize("gone", [0, 1, 1000])
    def test_a_reader_who_was_before_the_cut_is_told_when_coming_back(
        self, client: httpx.Client, log: dict[str, Any], lines: list[bytes], at: int, gone: int
    ) -> None:
        """Last-Event-ID is a line before the cut, or one that was there when the reader left."""
        first = int(lines[at + 1][:6])
        events = streamed(client, log, last=at - 1 + gone)
        number, line = next(events)
        assert (number, bool(line.get("cut"))) == (first - 1, True)
        number, line = next(events)
        assert (number, int(line["line"][:6])) == (first, first)

    def test_a_reader_who_was_behind_the_cut_is_not(
        self, client: httpx.Client, log: dict[str, Any], lines: list[bytes], at: int
    ) -> None:
        first = int(lines[at + 1][:6])
        seen = list(streamed(client, log, last=LINES - 3))
        assert [(number, "cut" in line) for number, line in seen] == [(LINES - 2, False), (LINES - 1, False)]
        assert next(streamed(client, log, last=first - 1))[0] == first
