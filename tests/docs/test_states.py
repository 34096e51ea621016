"""The drawing of the states says what the table says."""

from __future__ import annotations

import re
from pathlib import Path

from platform_api.domain.executions import TRANSITIONS, ExecutionStatus

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "states.md"


def test_the_drawn_transitions_are_those_of_the_table() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", PAGE.read_text(), re.MULTILINE))
    assert drawn == {(str(a), str(b)) for a, following in TRANSITIONS.items() for b in following}


def test_every_status_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert set(explained) == {str(status) for status in ExecutionStatus}
