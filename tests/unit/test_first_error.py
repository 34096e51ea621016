"""Which line of a log looks like its first error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from platform_api.ports.logs import PLATFORM, LogLine
from platform_api.web.execution_log import first_error_in


def lines(*texts: str, stream: str = "stdout") -> list[LogLine]:
    """A log with these lines."""
    return [LogLine(n, datetime.now(UTC), stream, 1, text.encode()) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    "text",
    [
        "ERROR the disk is full",
        "Traceback (most recent call last):",
        "KeyError: 'REGION'",
        "java.lang.NullPointerException: null",
        "level=fatal msg=stopped",
        "panic: runtime error",
        "2 tests failed",
        "\x1b[31merror\x1b[0m: cannot find crate",
    ],
)
def test_an_error_is_found(text: str) -> None:
    assert first_error_in(lines("all is well", text, "ERROR later")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "0 errors",
        "finished without failures",
        "no errors found",
        "mirrored 3 files",
        "terror",
        "unfailing",
        "",
        "failover",
    ],
)
def test_what_only_sounds_like_one_is_none(text: str) -> None:
    assert first_error_in(lines(text)) is None


def test_the_platform_s_own_words_are_none() -> None:
    assert first_error_in(lines("ERROR 3 lines were dropped", stream=PLATFORM)) is None
