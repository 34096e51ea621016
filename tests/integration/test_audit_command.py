"""`job-platform audit verify` as an auditor runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psycopg
import pytest


def verify(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOB_PLATFORM_")}
    return subprocess.run(
        [sys.executable, "-m", "platform_api.cli.main", "audit", "verify", *arguments],
        env={**kept, "JOB_PLATFORM_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_head_that_was_printed_proves_later_that_nothing_was_made_anew(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO audit_log (action, outcome, resource_type)"
            " SELECT 'job.run', 'allowed', 'job' FROM generate_series(1, 3)"
        )
    first = verify(database_url, "--json")
    found = json.loads(first.stdout)
    assert (first.returncode, found["valid"], found["checked"], found["first_invalid"]) == (0, True, 3, None)
    assert verify(database_url, "--expect-head", found["head"]).returncode == 0
    other = verify(database_url, "--expect-head", "3:" + "00" * 32)
    assert (other.returncode, "made anew" in other.stdout) == (1, True)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM audit_log WHERE id = 2")
    last = verify(database_url)
    assert (last.returncode, "does NOT hold" in last.stdout, "entry 2: the entry was deleted" in last.stdout) == (
        1,
        True,
        True,
    )


@pytest.mark.parametrize("arguments", [("--expect-head", "x"), ("--expect-head", "1:00"), ()])
def test_what_cannot_be_told_is_no_verdict(arguments: tuple[str, ...]) -> None:
    done = verify("postgresql://x:s3cret@127.0.0.1:1/x", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "could not be checked" in done.stderr
    assert "s3cret" not in done.stderr
