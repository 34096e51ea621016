"""A program that is started early loads its modules and then waits here until what it needs is ready."""

from __future__ import annotations

import sys

#: Written to the standard input of a child that may go on.
OPEN = b"go\n"


def wait_at_gate() -> None:
    """Return when the supervisor says so; leave when it has ended without a word."""
    if sys.stdin.buffer.readline() != OPEN:
        sys.exit("the supervisor ended before it let this process start")
