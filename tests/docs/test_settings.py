"""The settings page names every setting with its default and meaning."""

from __future__ import annotations

from pathlib import Path

from docs.settings_page import PAGE, render


def test_the_settings_page_is_generated_from_the_settings() -> None:
    assert PAGE.read_text() == render(), "run `python -m docs.settings_page`"


def test_decision_records_are_listed() -> None:
    folder = Path(__file__).parents[2] / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert all(record.name in index for record in folder.glob("0*.md"))
