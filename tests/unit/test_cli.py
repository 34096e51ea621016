"""The command's surface: what it offers, and that it answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from platform_api.cli.demo import SAMPLES, ending, log_lines
from platform_api.cli.main import app

HEAVY = {"prefect", "fastapi", "sqlalchemy", "psycopg", "httpx", "pydantic", "uvicorn", "asyncio"}


def test_the_command_loads_nothing_heavy_before_it_is_asked_to() -> None:
    code = f"import sys, platform_api.cli.main; print(sorted({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("command", ["up", "demo", "migrate", "api", "worker", "rotate-master-key"])
def test_every_local_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--gate" not in result.output


@pytest.mark.parametrize("arguments", [["up", "--port", "0"], ["up", "--port", "70000"], ["unknown"], ["up", "extra"]])
def test_a_wrong_call_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_the_live_log_is_read_until_the_status() -> None:
    stream = [
        "id: 0",
        "event: line",
        'data: {"timestamp": "2026-01-15T12:00:00.123456Z", "stream": "stdout", "attempt": 1, "line": "a: b"}',
        "",
        ": ping",
        "event: line",
        'data: {"timestamp": "2026-01-15T12:00:01.000000Z", "stream": "stderr", "attempt": 1, "line": ""}',
        "",
        "event: status",
        'data: {"status": "success", "exit_code": 0}',
        "event: line",
        "data: never read",
    ]
    assert list(log_lines(iter(stream))) == ["    12:00:00.123 stdout | a: b", "    12:00:01.000 stderr | "]


def test_the_samples_have_names_of_their_own() -> None:
    names = [sample["name"] for sample in SAMPLES]
    assert len(set(names)) == len(names) == 4


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(1.549537, "it ended: success after 1.5 s, result None"), (None, "it ended: success, result None")],
)
def test_the_tour_rounds_how_long_the_run_took(seconds: float | None, told: str) -> None:
    assert ending({"status": "success", "duration_seconds": seconds, "result": None}) == told
