"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("flows", "platform_api", "deployments", "work_pools", "rbac", "migrations")
LONGEST_FILE = 500
LONGEST_FUNCTION = 60


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in (ROOT / room).rglob("*.py") if "versions" not in path.parts)


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def test_no_file_is_a_hall() -> None:
    long = {str(path): count for path in sources() if (count := len(path.read_text().splitlines())) > LONGEST_FILE}
    assert long == {}


def test_no_function_is_a_corridor() -> None:
    lengths = {f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno for path, node in functions()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [str(path) for path in sources() if ast.get_docstring(ast.parse(path.read_text())) is None] == []


def test_no_name_says_nothing() -> None:
    empty = {"utils", "common", "helpers", "managers"}
    assert [str(path) for path in sources() if path.stem in empty] == []


def test_locked_requirements_are_hashed_and_name_no_host() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text
        assert text.count("--hash=sha256:") >= text.count("==")
