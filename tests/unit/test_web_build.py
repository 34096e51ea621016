"""When the pages' assets are built, and of what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from platform_api.web.build import SOURCES, CannotBuild, built_from, fingerprint, locked


def test_the_same_sources_have_the_same_fingerprint_and_others_another(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.js").write_text("one")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "x.js").write_text("fetched, not ours")
    assert fingerprint(tmp_path) == before
    (tmp_path / "src" / "app.js").write_text("two")
    assert fingerprint(tmp_path) != before


def test_half_a_build_is_none(tmp_path: Path) -> None:
    assert built_from(tmp_path) is None
    (tmp_path / "manifest.json").write_text("{")
    assert built_from(tmp_path) is None
    (tmp_path / "manifest.json").write_text(json.dumps({"inputs": "abc", "assets": {}}))
    assert built_from(tmp_path) == "abc"


def test_a_package_is_taken_from_the_lock_with_its_hashes_alone() -> None:
    lock = "a==1 \\\n    --hash=sha256:1\nb==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n    # via c\nc==3\n"
    assert locked(lock, "b") == "b==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n"
    with pytest.raises(CannotBuild):
        locked(lock, "d")


def test_the_lock_of_npm_says_what_and_not_where_from() -> None:
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package and "resolved" not in package for name, package in packages.items() if name)
