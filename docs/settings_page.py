"""Writes ``docs/reference/settings.md`` from the settings themselves: `python -m docs.settings_page`."""

from __future__ import annotations

from pathlib import Path

from platform_api.settings import Settings

PAGE = Path(__file__).parent / "reference" / "settings.md"

HEAD = """# Settings

Environment variables, or lines of a `.env` file in the current folder. Generated from `platform_api/settings.py`.

| variable | default | meaning |
| --- | --- | --- |
"""


def render() -> str:
    """The page."""
    rows = [
        f"| `JOB_PLATFORM_{name.upper()}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


def _default(value: object) -> str:
    return "none" if value is None else f"`{value}`"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render())
