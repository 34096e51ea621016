"""Times, durations and pictures as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from platform_api.web import words
from platform_api.web.sparkline import share_bar, sparkline

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "–"), (0.0, "0 ms"), (0.84, "840 ms"), (1, "1 s"), (12.34, "12.3 s"), (60, "1 min"), (61, "1 min 1 s"),
        (3600, "1 h"), (3900, "1 h 5 min"), (90_000, "1 d 1 h"), (86_400, "1 d"), (timedelta(minutes=5), "5 min"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(
    ("share", "told"), [(None, "–"), (1, "100 %"), (0.9999, "99.9 %"), (0.987, "98.7 %"), (0.5, "50 %"), (0, "0 %")]
)
def test_one_failure_is_never_a_hundred_percent(share: float | None, told: str) -> None:
    assert words.percent(share) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(2, "now"), (-90, "2 min ago"), (90, "in 2 min"), (-7200, "2 h ago"), (172_800, "in 2 d")]
)
def test_distances(seconds: int, told: str) -> None:
    assert words.relative(NOW + timedelta(seconds=seconds), NOW) == told


def test_a_picture_says_in_words_what_it_shows() -> None:
    drawn = sparkline([("success", 1.0), ("success", 2.0), ("timed_out", None)])
    assert 'aria-label="last 3 runs: 2 success, 1 timed out"' in drawn
    assert drawn.count("M") == 4  # three bars and the ground
    assert "style=" not in drawn


def test_a_picture_shows_no_more_runs_than_it_has_room_for() -> None:
    assert sparkline([("success", 1.0)] * 40, slots=16).count("V") == 16
    assert "no runs yet" in sparkline([])


def test_pictures_are_no_way_in_for_markup() -> None:
    assert "<script>" not in sparkline([("<script>", 1.0)])
    assert "<script>" not in share_bar('"><script>', 0.5)
