"""The README's first job, done as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_platform import Platform

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.xdist_group("platform")


def example(name: str) -> str:
    """The code block behind the marker ``<!-- runs: name -->``."""
    found = re.search(rf"<!-- runs: {name} -->\n```\w+\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found.group(1)


@pytest.fixture
def folder(platform: Platform, tmp_path: Path) -> Path:
    """A current folder as `make demo` leaves it."""
    (tmp_path / ".job-platform").symlink_to(platform.home)
    return tmp_path


def test_the_curl_example_creates_the_job(platform: Platform, folder: Path) -> None:
    commands = example("curl").replace("http://127.0.0.1:8080", platform.base_url)
    done = subprocess.run(["sh", "-ec", commands], cwd=folder, capture_output=True, text=True, check=True)
    assert '"status":"active"' in done.stdout.replace(" ", "")


def test_the_python_example_prints_the_log(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example("python")], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("stdout hello from Hello")
